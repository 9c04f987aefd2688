"""A PNG's chunks: those that hold its pixels, for Pillow, and those that tell what its colors are.

Pillow gives up at a text or a profile above 1 MB, and at any damage; here texts are left out, and so is what is damaged
beside the pixels, as browsers do.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, cast

import numpy as np
from PIL import Image

from .icc import SRGB_CURVE, SRGB_PRIMARIES, make_profile
from .levels import FEWER, Survey, to_eight_bits

__all__ = ["SIGNATURE", "PngChunks"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_GRAY = 0, 4  # kinds of color
_TOLD = {b"tRNS", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"eXIf", b"acTL"}
_ROWS = 64
_LONGEST = 2**24  # bytes of a chunk beside the pixels, and of an unpacked profile

# ITU-T H.273, as cICP counts them
_PRIMARIES = {
    1: SRGB_PRIMARIES,
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_TELEVISION = (2.4,)  # as it is shown, not as it is filmed
_CURVES: dict[int, tuple[float, ...]] = {1: _TELEVISION, 6: _TELEVISION, 14: _TELEVISION, 15: _TELEVISION}
_CURVES |= {4: (2.2,), 8: (1.0,), 13: SRGB_CURVE}
_USUAL_GAMMA, _NEARLY = 45455, 0.02  # what encoders write for sRGB, and how near they come to it


class PngChunks:
    """The chunks of an open file: `pixels`, a file of its pixels alone, and `told`, what is whole of the others.

    bits: of a value.  gray: whether it has no colors.  frames: of an animation, or 1.  has_profile: whether `profile`
    is one that the file holds, and not one made of numbers.
    """

    def __init__(self, file: BinaryIO):
        self.told: dict[bytes, bytes] = {}
        parts, place = [[0, len(SIGNATURE)]], len(SIGNATURE)  # where each starts and ends
        file.seek(place)
        while len(header := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", header)
            end = place + length + 12
            if kind in _TOLD and length <= _LONGEST and kind not in self.told:
                content, check = file.read(length), file.read(4)
                if check == struct.pack(">I", zlib.crc32(kind + content)):
                    self.told[kind] = content
            if kind in _PIXELS or (kind == b"tRNS" and kind in self.told):
                if parts[-1][1] == place:
                    parts[-1][1] = end
                else:
                    parts.append([place, end])
            place = end
            file.seek(place)
            if kind == b"IEND":
                break
        file.seek(24)
        self.bits, color = (file.read(2) + bytes(2))[:2]
        self.gray = color in _GRAY
        self.frames = max(1, *struct.unpack(">I", self.told.get(b"acTL", b"")[:4].rjust(4, b"\0")))
        self.has_profile = b"iCCP" in self.told and b"cICP" not in self.told
        self.pixels = cast(BinaryIO, _Parts(file, parts))

    def profile(self) -> bytes | None:
        """Returns the profile of the colors, None for sRGB; by the first of cICP, iCCP, sRGB and gAMA that is there.

        Raises ValueError for broken ones, and where a cICP names a space that is not known here.
        """
        if told := self.told.get(b"cICP"):
            primaries, curve = _PRIMARIES.get(told[0]), _CURVES.get(told[1]) if len(told) == 4 else None
            if not primaries or not curve:
                raise ValueError("its space is one of high dynamic range, or unknown")
            return make_profile(curve, primaries)
        if told := self.told.get(b"iCCP"):
            packed = told.partition(b"\0")[2][1:]
            with contextlib.suppress(zlib.error):
                return zlib.decompressobj().decompress(packed, _LONGEST)
            raise ValueError("it cannot be unpacked")
        told = self.told.get(b"gAMA", b"")
        if b"sRGB" in self.told or len(told) != 4:
            return None
        (gamma,) = struct.unpack(">I", told)
        points = self.told.get(b"cHRM", b"")
        counted = struct.unpack(">8I", points) if len(points) == 32 else ()
        space = [number / 1e5 for number in counted] or SRGB_PRIMARIES
        usual = abs(gamma - _USUAL_GAMMA) < _NEARLY * _USUAL_GAMMA
        if usual and np.allclose(space, SRGB_PRIMARIES, rtol=0, atol=_NEARLY):
            return None
        return make_profile((1e5 / max(gamma, 1),), space)

    def exif(self) -> Image.Exif:
        """Returns its EXIF data; raises what Pillow raises for broken ones."""
        tags = Image.Exif()
        if b"eXIf" in self.told:
            tags.load(b"Exif\0\0" + self.told[b"eXIf"])
        return tags

    def mend_sixteen_bits(self, image: Image.Image) -> str:
        """Brings in the low bytes of 16 bits, of which Pillow has read the high ones, where they matter.

        That is where one color of 16 bits is transparent, which becomes white, and where the bits used are fewer than
        16, which are scaled.  Returns what is to be said about it.
        """
        high = np.array(image.getextrema())[:3, 1].max()
        clear = struct.unpack(">3H", told) if len(told := self.told.get(b"tRNS", b"")) == 6 else None
        image.info.pop("transparency", None)
        if high * FEWER > 255 and not clear:
            return ""
        strips = self._gray_sixteen if self.gray else partial(self._color_sixteen, image)
        colors = 1 if self.gray else 3
        survey = Survey(image.width * image.height * colors)
        for _, values in strips():
            survey.add(values[..., :colors])
        black, white, said = survey.levels(np.dtype(np.uint16), 16)
        for top, values in strips():
            mended = to_eight_bits(values, black, white)
            mended[..., colors:] = values[..., colors:] >> 8
            if clear:
                mended[(values == clear).all(-1)] = 255
            image.paste(Image.fromarray(mended).convert(image.mode), (0, top))
        return said

    def _color_sixteen(self, high: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
        """Yields rows of colors of 16 bits, (rows, W, channels), and which is the first; high: with the high bytes."""
        low = Image.open(self.pixels, formats=("PNG",))
        low.tile = [tile._replace(args=str(tile.args).replace("16B", "16L")) for tile in low.tile]
        low.load()
        for top, rows in _rows(low):
            box = (0, top, high.width, top + len(rows))
            yield top, np.asarray(high.crop(box)).astype(np.uint16) << 8 | rows

    def _gray_sixteen(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields rows of gray with opacity of 16 bits, (rows, W, 2), and which is the first.

        Pillow does not read their low bytes; but they lie in the file as the four channels of 8 bits do.
        """
        self.pixels.seek(0)
        content = bytearray(self.pixels.read())
        content[24:26] = 8, 6
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        for top, rows in _rows(Image.open(io.BytesIO(content), formats=("PNG",))):
            yield top, rows.view(">u2").astype(np.uint16)


def _rows(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """Yields some rows of a picture at a time, (rows, W, channels), and which is the first of them."""
    for top in range(0, image.height, _ROWS):
        yield top, np.asarray(image.crop((0, top, image.width, min(top + _ROWS, image.height))))


class _Parts(io.BufferedIOBase):
    """A file of parts of another one, [start, end] each, one after the other; nothing is copied."""

    def __init__(self, file: BinaryIO, parts: list[list[int]]):
        self.file, self.place, self.part, self.length = file, 0, 0, 0
        self.parts: list[tuple[int, int, int]] = []  # where each begins in this file, and in the other, and its length
        for start, end in parts:
            self.parts.append((self.length, start, end - start))
            self.length += end - start

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence]
        self.part = 0
        return self.place

    def read(self, size: int | None = -1) -> bytes:
        wanted = self.length - self.place if size is None or size < 0 else size
        pieces = []
        while wanted > 0 and self.part < len(self.parts):
            begin, start, length = self.parts[self.part]
            inside = self.place - begin
            if inside >= length:
                self.part += 1
                continue
            self.file.seek(start + inside)
            piece = self.file.read(min(wanted, length - inside))
            if not piece:
                break
            pieces.append(piece)
            self.place += len(piece)
            wanted -= len(piece)
        return b"".join(pieces)
