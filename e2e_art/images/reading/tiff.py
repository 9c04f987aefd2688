"""TIFF files, read as their tags promise: tifffile reads the tags, and here values become pixels, strip by strip.

Pillow knows a table of kinds, and misreads some of them (channels that lie apart in 16 bits, 32 bits without a sign,
floating point beyond 0 to 1).  It is asked for what is compressed as a picture (JPEG, fax, WebP), and for unpacking.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from PIL import Image

from ...errors import ImageError
from ..formats import RAW_SUFFIXES, camera_raw
from .levels import Survey, to_eight_bits

__all__ = ["Tiff"]

log = logging.getLogger(__name__)

_CFA, _LINEAR_RAW, _DNG_VERSION, _NODATA = 32803, 34892, 50706, 42113
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _CIELAB, _ICCLAB = 0, 1, 2, 3, 5, 8, 9
_PLAIN, _LZW, _DEFLATE, _ADOBE_DEFLATE, _PACKBITS, _LZMA, _ZSTD = 1, 5, 32946, 8, 32773, 34925, 50000
_DEFLATES = _DEFLATE, _ADOBE_DEFLATE
_PREMULTIPLIED, _OPACITY = 1, 2  # kinds of extra samples
_MODES = {_WHITE_IS_ZERO: "L", _BLACK_IS_ZERO: "L", _RGB: "RGB", _PALETTE: "RGB", _INKS: "CMYK", _CIELAB: "LAB"}
_MODES[_ICCLAB] = "LAB"
_FLOATS = {16: "f2", 32: "f4", 64: "f8"}
_MOST_CHANNELS = 64
_LONG_STRIP = 2**27  # bytes; a longer one of few bytes in the file is a decompression bomb
_CHUNK = 2**20  # values that are decoded at a time, where the file allows
with contextlib.suppress(OSError, AttributeError):  # libtiff would write to the terminal; its errors are raised, too
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Tiff:
    """The full picture of an open TIFF file, and whether its values are read here (`plain`), or by Pillow.

    The first page is taken; where that is a thumbnail, the first one that is none.
    height, width: as stored.  mode: of the strips, without opacity.  see_through: whether they have opacity.
    Raises ImageError for a camera's raw file.
    """

    def __init__(self, file: BinaryIO, name: str):
        file.seek(0)
        head = file.read(10)
        file.seek(0)
        with tifffile.TiffFile(file, _multifile=False) as tiff:
            pages = list(_pages(tiff))
            if not pages:
                raise ImageError(f"{name} is a TIFF that holds no picture: save it again")
            if (
                Path(name).suffix.lower() in RAW_SUFFIXES
                or head[8:10] == b"CR"
                or any(int(page.photometric) in (_CFA, _LINEAR_RAW) or _DNG_VERSION in page.tags for page in pages)
            ):
                raise camera_raw(name)
            full = [page for page in pages if not page.subfiletype & (_REDUCED | _MASK)]
            page = self.page = (full or pages)[0]
            self.is_later = page is not pages[0]
            self.order, self.big = tiff.byteorder, tiff.is_bigtiff
            count = 1 if self.is_later else len(tiff.pages)
        self.file, self.name = file, name
        self.kind = f"{getattr(page.compression, 'name', page.compression)}, {page.bitspersample} bits"
        if count > 1:
            log.info("%s: the first of its %d pages", name, count)
        self.height, self.width, self.channels = page.imagelength, page.imagewidth, page.samplesperpixel
        self.apart = int(page.planarconfig) == 2 and self.channels > 1
        bits = page.bitspersample
        self.bits = bits if isinstance(bits, int) else bits[0] if len(set(bits)) == 1 else 0
        self.photometric, self.compression = int(page.photometric), int(page.compression)
        gray = self.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
        if gray and self.channels == 3 and not any(map(int, page.extrasamples)):
            self.photometric = _RGB  # as programs of science write colors
        self.mode = _MODES.get(self.photometric, "")
        self.colors = 1 if self.photometric == _PALETTE else len(self.mode)
        extra = [int(kind) for kind in page.extrasamples][: max(0, self.channels - self.colors)]
        opacity = next((kind for kind in extra if kind in (_PREMULTIPLIED, _OPACITY)), None)
        self.opacity = None if opacity is None else self.channels - len(extra) + extra.index(opacity)
        self.premultiplied = opacity == _PREMULTIPLIED
        self.see_through = self.opacity is not None and self.mode in ("L", "RGB")
        if self.mode and self.channels > (seen := self.colors + (opacity is not None)):
            log.info("%s: of its %d channels, %d became the picture", name, self.channels, seen)

    @property
    def plain(self) -> bool:
        """Whether the values are read here."""
        known = _PLAIN, _LZW, _PACKBITS, _LZMA, _ZSTD, *_DEFLATES
        return self.compression in known and int(self.page.photometric) != 6  # YCbCr, of which Pillow knows the kinds

    def tag(self, code: int) -> Any:
        """Returns the value of a tag, or None."""
        return self.page.tags[code].value if code in self.page.tags else None

    def exif(self) -> Image.Exif:
        """Returns the EXIF data of the first page; none of BigTIFFs, whose tags Pillow does not take for them."""
        tags = Image.Exif()
        self.file.seek(0)
        if not self.big:
            tags.load_from_fp(self.file)
        return tags

    def strips(self) -> Iterator[tuple[int, int, Image.Image]]:
        """Yields parts of the picture, with the row and the column that they begin at: 8 bits, with their opacity.

        Every part comes twice where all of them had to be seen to find out what is black and white.
        Raises ImageError for kinds that are not read.
        """
        dtype = self._check()
        opaque = 1.0 if dtype.kind == "f" else 2.0 ** (self.bits - (dtype.kind == "i")) - 1
        usual = levels = 0.0, opaque
        nodata = self.page.nodata if _NODATA in self.page.tags else None
        survey = Survey(self.height * self.width * self.colors, nodata)
        surveyed = (self.bits > 8 or dtype.kind != "u") and self.mode in ("L", "RGB") and self.photometric != _PALETTE
        for top, left, values in self._values(dtype):
            if surveyed:
                survey.add(values[..., : self.colors])
            yield top, left, self._strip(values, levels, opaque)
        if surveyed and (levels := self._levels(survey, dtype)) != usual:
            opaque = levels[1] if dtype.kind == "f" else opaque
            for top, left, values in self._values(dtype):
                yield top, left, self._strip(values, levels, opaque)

    def _strip(self, values: np.ndarray, levels: tuple[float, float], opaque: float) -> Image.Image:
        """Returns values, (rows, columns, channels), as a picture; opaque: the value of full opacity."""
        colors, mode = values[..., : self.colors], self.mode
        if self.photometric == _PALETTE:
            table = self._palette()
            colors = table[np.minimum(values[..., 0], len(table) - 1)]
        elif mode == "LAB":
            colors = self._lab(colors)
        else:
            colors = to_eight_bits(colors, *levels)
        if self.photometric == _WHITE_IS_ZERO:
            colors = 255 - colors
        if self.opacity is not None and self.see_through:
            opacity = to_eight_bits(values[..., self.opacity, np.newaxis], 0, opaque)
            if self.premultiplied:
                colors = np.minimum(colors.astype(np.uint16) * 255 // np.maximum(opacity, 1), 255).astype(np.uint8)
            colors, mode = np.concatenate([colors, opacity], -1), mode + "A"
        rows, columns = colors.shape[:2]
        return Image.frombuffer(mode, (columns, rows), np.ascontiguousarray(colors).tobytes(), "raw", mode, 0, 1)

    def _check(self) -> np.dtype:
        """Returns the type of the values; raises ImageError for kinds that are not read."""
        formats = self.page.sampleformat
        kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(int(formats if not isinstance(formats, tuple) else formats[0]), "")
        whole = next((size for size in (8, 16, 32, 64) if self.bits <= size), 0)
        odd = f"{self.name} is a TIFF of a kind that is not read"
        if not self.mode or self.colors > self.channels or self.channels > _MOST_CHANNELS:
            raise ImageError(
                f"{odd} (photometric {self.photometric}, {self.channels} channels): save it as PNG or JPEG"
            )
        if not self.bits or not kind or not whole or (kind == "f" and self.bits not in _FLOATS):
            raise ImageError(f"{odd} (bits {self.page.bitspersample}): save it as PNG or JPEG")
        if kind != "u" and (whole != self.bits or self.photometric in (_PALETTE, _INKS, _CIELAB, _ICCLAB)):
            raise ImageError(f"{odd} (signed values of {self.bits} bits): save it as PNG or JPEG")
        if self.mode == "LAB" and self.bits not in (8, 16):
            raise ImageError(f"{odd} (Lab in {self.bits} bits): save it as PNG or JPEG")
        return np.dtype(self.order + (_FLOATS[self.bits] if kind == "f" else f"{kind}{whole // 8}"))

    def _levels(self, survey: Survey, dtype: np.dtype) -> tuple[float, float]:
        """Returns the values of black and white; says what is not obvious of them."""
        odd = survey.values - survey.finite
        if odd > survey.values / 2:
            share = f"{odd / survey.values:.0%} of its pixels"
            raise ImageError(f"{self.name} has no finite value in {share}: fill them with a number first")
        if odd:
            log.warning("%s: values that are not finite are shown as white (infinity) or black: %d", self.name, odd)
        low, high = (np.ravel(self.tag(code))[0] if self.tag(code) is not None else None for code in (340, 341))
        if dtype.kind == "f" and low is not None and high is not None and -np.inf < low < high < np.inf:
            return float(low), float(high)
        black, white, said = survey.levels(dtype, self.bits)
        if said:
            log.warning("%s: %s", self.name, said)
        return black, white

    def _palette(self) -> np.ndarray:
        """Returns the colors of a palette, uint8 (N, 3); old programs wrote 8 bits where there should be 16."""
        colors = np.asarray(self.page.colormap, np.uint16).reshape(3, -1).T
        return (colors if colors.max(initial=0) < 256 else colors // 257).astype(np.uint8)

    def _lab(self, values: np.ndarray) -> np.ndarray:
        """Returns Lab in 8 bits as CIELab stores it, with signed a and b, which is what Pillow takes."""
        lab = (values >> (self.bits - 8)).astype(np.uint8)
        if self.photometric == _ICCLAB:
            lab[..., 1:] ^= 128
        return lab

    def _values(self, dtype: np.dtype) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yields parts of the picture, (rows, columns, channels), with the row and the column that they begin at."""
        page = self.page
        tiled = bool(page.is_tiled)
        columns = page.tilewidth if tiled else self.width
        rows = page.tilelength if tiled else min(page.rowsperstrip or self.height, self.height)
        if columns < 1 or rows < 1 or (tiled and columns * rows > 4 * max(self.width * self.height, 2**20)):
            raise ImageError(f"{self.name} is damaged: its tiles of {columns}x{rows} pixels make no sense")
        across = math.ceil(self.width / columns)
        places = [(top, left) for top in range(0, self.height, rows) for left in range(0, across * columns, columns)]
        planes = self.channels if self.apart else 1
        if len(page.dataoffsets) < planes * len(places) or len(page.databytecounts) < planes * len(places):
            raise ImageError(f"{self.name} is damaged: parts of its picture are missing")
        for place, (top, left) in enumerate(places):
            high = rows if tiled else min(rows, self.height - top)
            parts = [
                self._chunks(place + plane * len(places), high, columns, self.channels // planes, dtype)
                for plane in range(planes)
            ]
            done = 0
            for chunk in zip(*parts):
                values = np.concatenate(chunk, -1) if planes > 1 else chunk[0]
                shown = values[: max(0, self.height - top - done), : self.width - left]
                if shown.size:
                    yield top + done, left, shown
                done += len(values)

    def _chunks(self, index: int, rows: int, columns: int, channels: int, dtype: np.dtype) -> Iterator[np.ndarray]:
        """Yields the values of one strip or tile, (rows, columns, channels), some rows at a time."""
        row = math.ceil(columns * channels * self.bits / 8)  # bytes
        step = max(1, _CHUNK // (columns * channels))
        predictor = int(self.page.predictor)
        reader = self._unpacked(index, row, rows)
        for top in range(0, rows, step):
            count = min(step, rows - top)
            content = reader.read(count * row)
            if len(content) < count * row:
                raise ImageError(f"{self.name} is cut short: rows of its picture are missing, copy it again")
            if predictor == 3:
                yield _float_predicted(content, count, columns, channels, self.bits // 8)
                continue
            values = _to_values(content, count, columns * channels, self.bits, dtype).reshape(count, columns, channels)
            yield np.add.accumulate(values, 1, dtype=values.dtype) if predictor == 2 else values

    def _unpacked(self, index: int, row: int, rows: int) -> Any:
        """Returns a file of the bytes of one strip or tile, unpacked as they are read where that can be."""
        start, length = self.page.dataoffsets[index], self.page.databytecounts[index]
        if self.compression == _PLAIN and int(self.page.fillorder) == 1:
            self.file.seek(start)
            return _Part(self.file, start)
        self.file.seek(start)
        packed = self.file.read(length)
        if int(self.page.fillorder) == 2:
            packed = packed.translate(_REVERSED)
        if self.compression == _PLAIN:
            return io.BytesIO(packed)
        if self.compression in _DEFLATES:
            return _Inflated(packed)
        if row * rows > max(_LONG_STRIP, 100 * len(packed)):
            raise ImageError(f"{self.name} packs {row * rows / 1e9:.1f} GB into one strip: save it in smaller strips")
        return _Rows(_unpack(packed, self.compression, row, rows))


def _pages(tiff: tifffile.TiffFile) -> Iterator[Any]:
    """Yields pages of a file, the first one and what it holds first; of the others no more than are looked for."""
    for number, page in enumerate(tiff.pages):
        if not isinstance(page, tifffile.TiffPage):
            page = page.aspage()
        yield page
        yield from (inner.aspage() if not isinstance(inner, tifffile.TiffPage) else inner for inner in page.pages or ())
        if number == 0 and not page.subfiletype & (_REDUCED | _MASK):
            return


class _Part:
    """A file from one place on, that others read from, too."""

    def __init__(self, file: BinaryIO, start: int):
        self.file, self.place = file, start

    def read(self, count: int) -> bytes:
        self.file.seek(self.place)
        content = self.file.read(count)
        self.place += len(content)
        return content


class _Inflated:
    """The bytes of a deflated strip, as many at a time as are asked for."""

    def __init__(self, packed: bytes):
        self.packed, self.inflate = packed, zlib.decompressobj()

    def read(self, count: int) -> bytes:
        content = b""
        while len(content) < count and not self.inflate.eof and self.packed:
            content += self.inflate.decompress(self.packed, count - len(content))
            self.packed = self.inflate.unconsumed_tail
        return content


class _Rows:
    """The bytes of an unpacked strip, whose rows are those of a gray picture."""

    def __init__(self, image: Image.Image):
        self.image, self.top = image, 0

    def read(self, count: int) -> bytes:
        top, self.top = self.top, min(self.top + count // self.image.width, self.image.height)
        return self.image.crop((0, top, self.image.width, self.top)).tobytes()


def _unpack(packed: bytes, compression: int, row: int, rows: int) -> Image.Image:
    """Unpacks a strip by libtiff: as the only strip of a gray picture whose pixels are the bytes."""
    tags = {256: row, 257: rows, 258: 8, 259: compression, 262: 1, 273: 0, 277: 1, 278: rows, 279: len(packed)}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + packed
    image = Image.open(io.BytesIO(content), formats=("TIFF",))
    image.load()
    return image


def _to_values(content: bytes, rows: int, columns: int, bits: int, dtype: np.dtype) -> np.ndarray:
    """Returns the values of rows that begin at a full byte, (rows, columns)."""
    if bits == dtype.itemsize * 8:
        return np.frombuffer(content, dtype).reshape(rows, columns).astype(dtype.newbyteorder("="), copy=False)
    binary = np.unpackbits(np.frombuffer(content, np.uint8).reshape(rows, -1), 1)[:, : columns * bits]
    weights = 2 ** np.arange(bits - 1, -1, -1, dtype=np.uint32)
    return (binary.reshape(rows, columns, bits) @ weights).astype(dtype.newbyteorder("="))


def _float_predicted(content: bytes, rows: int, columns: int, channels: int, size: int) -> np.ndarray:
    """Undoes predictor 3: differences of bytes, the highest bytes of a row first."""
    differences = np.frombuffer(content, np.uint8).reshape(rows, size * columns, channels)
    by_size = np.add.accumulate(differences, 1, dtype=np.uint8).reshape(rows, size, columns * channels)
    values = np.ascontiguousarray(by_size.transpose(0, 2, 1)).view(f">f{size}")
    return values.reshape(rows, columns, channels).astype(f"f{size}")
