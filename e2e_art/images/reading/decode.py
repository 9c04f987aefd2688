"""The pixels of a picture file: in sRGB, upright, without transparency.

A decoded picture has 4 bytes a pixel at most, the result 3; everything between them is done strip by strip, so that a
large picture takes no more than that.
"""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from ...errors import ImageError, reason_of
from ...machine import free_memory
from ..formats import FORMATS, begins_like_a_picture, no_picture, register_heif
from ..metadata import Metadata, clean_exif
from . import jpeg
from .levels import Survey, to_eight_bits
from .png import SIGNATURE, PngChunks
from .tiff import Tiff

__all__ = ["MAX_PIXELS", "Picture", "decode"]

log = logging.getLogger(__name__)

# Larger pictures are refused before they are decoded.  Pillow by itself warns above 89 megapixels and refuses twice as
# many, but panoramas are larger than that.
MAX_PIXELS = 400_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# What takes more memory, in bytes, and holds more pixels in a byte of its file, is a decompression bomb.
_SUSPICIOUS, _PIXELS_A_BYTE = 800_000_000, 100

_BYTES = {"WEBP": 17, "JPEG2000": 20, "AVIF": 12, "HEIF": 16}  # a pixel takes while it is read
_OTHER_BYTES = 8
_SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}  # of profiles, and Pillow's modes
_STRIP = 2**20  # pixels that are converted at a time
_HEAD = 4096


@dataclass(frozen=True)
class Picture:
    """A picture, uint8 RGB (H, W, 3), and what its file told about it.

    opacity: uint8 (H, W), 0 where white shows alone; None where the file says nothing of it.
    """

    pixels: np.ndarray
    metadata: Metadata
    opacity: np.ndarray | None = None


def decode(file: BinaryIO, name: str, at_least: int | None) -> Picture:
    """Decodes an open file; every error of the many decoders becomes an ImageError.

    at_least: as in `read_image`.
    """
    head = file.read(_HEAD)
    file.seek(0)
    if refusal := no_picture(head, name):
        raise refusal
    try:
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _from_tiff(file, name)
        if head.startswith(SIGNATURE):
            return _from_png(file, name)
        return _from_pillow(file, name, at_least, _formats(head, name))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except UnidentifiedImageError as error:
        if head.startswith(b"\xff\xd8"):
            jpeg.check_kind(file, name)
        if begins_like_a_picture(head):
            raise ImageError(f"{name} is damaged or cut short: copy it again") from error
        raise ImageError(f"{name} is no picture of a known kind: save it as .jpg or .png") from error
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into memory: make it smaller first") from error
    except Exception as error:  # decoders also raise SyntaxError, struct.error, IndexError and more
        raise ImageError(f"{name} is damaged or cut short ({reason_of(error)}): copy it again") from error


def _too_large(name: str) -> ImageError:
    side = math.isqrt(MAX_PIXELS)
    return ImageError(
        f"{name} has more than {MAX_PIXELS // 10**6} megapixels: make it smaller first, to {side}x{side} pixels or so"
    )


def _fitting(width: int, height: int, most: int) -> str:
    """Returns the size of that shape that has at most so many pixels."""
    part = min(1, math.sqrt(most / (width * height)))
    return f"{max(1, int(width * part))}x{max(1, int(height * part))}"


def _check_size(file: BinaryIO, name: str, width: int, height: int, each: int = _OTHER_BYTES) -> None:
    """Raises ImageError for pictures that are too large to be read, or to be true.

    each: bytes that a pixel takes while it is read.
    """
    pixels, content = width * height, file.seek(0, os.SEEK_END)
    if not pixels:
        raise ImageError(f"{name} is damaged (it says that it holds {width}x{height} pixels): copy it again")
    if pixels > MAX_PIXELS:
        raise _too_large(name)
    most = _SUSPICIOUS // each
    if pixels > max(most, content * _PIXELS_A_BYTE):
        raise ImageError(
            f"{name} says that it holds {width}x{height} pixels in {content / 1e6:.1f} MB, as decompression bombs do: "
            f"make it smaller first, {_fitting(width, height, most)} pixels are read"
        )


def _check_memory(name: str, width: int, height: int, each: int = _OTHER_BYTES) -> None:
    """Raises ImageError for pictures that free memory does not hold while they are read."""
    needed, free = width * height * each, free_memory()
    if needed > free:
        raise ImageError(
            f"{name} takes {needed / 1e9:.1f} GB of memory to read, and {free / 1e9:.1f} are free: "
            f"make it smaller first, to {_fitting(width, height, free // each)} pixels"
        )


def _from_tiff(file: BinaryIO, name: str) -> Picture:
    tiff = Tiff(file, name)
    _check_size(file, name, tiff.width, tiff.height)
    _check_memory(name, tiff.width, tiff.height)

    orientation, exif = tiff.tag(ExifTags.Base.Orientation) or 1, _orientation(tiff.exif, name)[1]
    if tiff.plain:
        upright = _Upright(name, (tiff.height, tiff.width), orientation, tiff.mode, tiff.tag(34675))
        for top, left, strip in tiff.strips():
            upright.put(top, left, strip)
        return upright.picture(exif)
    if tiff.is_later:
        raise ImageError(f"{name} begins with a thumbnail, and its picture is packed otherwise: save it as PNG or JPEG")
    file.seek(0)
    try:
        image = Image.open(file, formats=("TIFF",))
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is a TIFF of a kind that is not read ({tiff.kind}): save it as PNG or JPEG"
        ) from error
    try:
        image.load()
    except OSError as error:  # libtiff may lack a compression, and says the same of damage
        raise ImageError(
            f"{name} is damaged, or a TIFF of a kind that is not read ({tiff.kind}): copy it again, or save it as PNG"
        ) from error
    return _from_image(image, name, (orientation, exif), tiff.tag(34675))


def _from_png(file: BinaryIO, name: str) -> Picture:
    chunks = PngChunks(file)
    image = Image.open(chunks.pixels, formats=("PNG",))
    _check_size(file, name, image.width, image.height)
    _check_memory(name, image.width, image.height)
    _tell_frames(name, chunks.frames)
    profile = None
    try:
        profile = chunks.profile()
    except ValueError as error:
        log.warning("%s: its color profile was ignored (%s)", name, error)
    image.load()
    if chunks.bits == 16 and image.mode in ("RGB", "RGBA"):
        if said := chunks.mend_sixteen_bits(image):
            log.warning("%s: %s", name, said)
    elif "transparency" in image.info and image.mode in ("1", "L"):  # one level, counted in the file's own bits
        image.info["transparency"] *= 255 // (2**chunks.bits - 1)
    picture = _from_image(image, name, _orientation(chunks.exif, name), profile, chunks.gray)
    # What stands for a gamma or a space stays behind: in 8 bits, a painting is best kept in sRGB.
    return picture if chunks.has_profile else replace(picture, metadata=Metadata(picture.metadata.exif))


def _formats(head: bytes, name: str) -> list[str]:
    """Returns what to try, by Pillow's names."""
    left_out = set()
    if head[4:8] == b"ftyp":
        register_heif()
    else:
        left_out.add("HEIF")
    if os.path.splitext(name)[1].lower() not in FORMATS["TGA"]:  # which nothing at the beginning of a file tells
        left_out.add("TGA")
    return [kind for kind in FORMATS if kind not in left_out]


def _from_pillow(
    file: BinaryIO, name: str, at_least: int | None, formats: list[str], completed: bool = False
) -> Picture:
    image = Image.open(file, formats=formats)  # reads the header only
    each = _BYTES.get(image.format or "", _OTHER_BYTES)
    _check_size(file, name, image.width, image.height, each)
    if at_least:
        image.draft(None, (at_least, at_least))
    _check_memory(name, image.width, image.height, each)
    if image.format in ("GIF", "WEBP"):
        _tell_frames(name, getattr(image, "n_frames", 1))
    try:
        image.load()
    except OSError:
        if completed or image.format not in ("JPEG", "MPO"):
            raise
    else:
        return _from_image(image, name, _orientation(image.getexif, name), image.info.get("icc_profile"))
    del image  # for its memory
    return _from_pillow(jpeg.completed(file, name), name, at_least, formats, completed=True)


def _tell_frames(name: str, frames: int) -> None:
    if frames > 1:
        log.info("%s: the first of its %d frames", name, frames)


def _orientation(read_tags: Callable[[], Image.Exif], name: str) -> tuple[int, bytes | None]:
    """Returns how a picture lies, as EXIF counts it, 1 to 8, and the EXIF data that travel on."""
    orientation = 1
    try:
        tags = read_tags()
        orientation = tags.get(ExifTags.Base.Orientation, 1)
        return orientation, clean_exif(tags)
    except Exception as error:  # broken EXIF data, of which there are as many kinds as cameras
        log.warning("%s: its EXIF data is broken and was ignored (%s)", name, reason_of(error))
    return orientation, None


def _from_image(
    image: Image.Image, name: str, tags: tuple[int, bytes | None], profile: bytes | None, gray: bool = False
) -> Picture:
    """Converts a picture that Pillow has loaded, of any mode; gray: whether it is gray though its mode says RGB."""
    orientation, exif = tags
    deep = image.mode[0] in "IF"
    black, white = _levels(image, name) if deep else (0.0, 255.0)
    clear = image.info.get("transparency")  # a level or color, or the opacity of each color of a palette
    see_through = clear is not None or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    gray = gray or deep or image.mode in ("1", "L", "LA", "La")
    mode = "L" if gray else image.mode if image.mode in ("CMYK", "LAB") else "RGB"
    upright = _Upright(name, (image.height, image.width), orientation, mode, profile)
    for top, strip in _strips(image):
        if deep:
            values = np.asarray(strip)
            levels = Image.fromarray(to_eight_bits(values, black, white))
            if see_through:
                levels.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
            strip = levels
        elif see_through:
            strip.info["transparency"] = clear
            if image.mode in ("La", "RGBa"):  # colors that have been multiplied by their opacity
                strip = strip.convert(image.mode.upper())
            strip = strip.convert("RGBA")
            strip = Image.merge("LA", (strip.getchannel("R"), strip.getchannel("A"))) if gray else strip
        else:
            strip = strip.convert(mode)
        upright.put(top, 0, strip)
    return upright.picture(exif)


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yields the rows of a picture, some at a time, and which is the first of them."""
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip.info = {}
        yield top, strip


def _levels(image: Image.Image, name: str) -> tuple[float, float]:
    """Returns the values of black and white of gray of 16 bits, 32 bits or floating point."""
    survey = Survey(image.width * image.height)
    for _, strip in _strips(image):
        survey.add(np.asarray(strip))
    black, white, said = survey.levels(np.dtype("f4" if image.mode == "F" else "u2"), 16)
    if said:
        log.warning("%s: %s", name, said)
    return black, white


class _Upright:
    """A picture in the making: strips of what its file holds are put in, in sRGB, on white, and upright.

    size: height and width as the file stores it.  orientation: as EXIF counts; other numbers than 2 to 8 mean upright.
    mode: of the strips, without opacity.
    """

    def __init__(self, name: str, size: tuple[int, int], orientation: int, mode: str, profile: bytes | None):
        height, width = size
        self.turned = orientation in (5, 6, 7, 8)
        self.size = (width, height) if self.turned else (height, width)
        self.steps = tuple(-1 if orientation in those else 1 for those in ((3, 4, 7, 8), (2, 3, 6, 7)))
        self.pixels = np.empty((*self.size, 3), np.uint8)
        self.opacity: np.ndarray | None = None
        self.mode, self.name = mode, name
        self.profile: bytes | None = None
        self.transform = self._transform(profile)

    def _transform(self, profile: bytes | None) -> ImageCms.ImageCmsTransform | None:
        """Returns what turns colors into sRGB; a profile that is broken, or for other colors, is ignored."""
        if not profile and self.mode != "LAB":
            return None
        try:
            space = ImageCms.createProfile("LAB") if self.mode == "LAB" else io.BytesIO(profile or b"")
            source = ImageCms.ImageCmsProfile(space)
            kind = source.profile.xcolor_space.strip()
            if self.mode == "L" and kind == "RGB":
                self.mode = "RGB"
            if _SPACES.get(kind) != self.mode:
                log.warning(
                    "%s: its color profile is for pictures in %s, which it is not, and was ignored", self.name, kind
                )
                return None
            flags = ImageCms.Flags.NOOPTIMIZE if self.mode == "L" else ImageCms.Flags.NONE  # which makes gray coarse
            srgb = ImageCms.createProfile("sRGB")
            transform = ImageCms.buildTransform(source, srgb, self.mode, "RGB", flags=flags)
            self.profile = profile if kind == "RGB" else None
            return transform
        except (OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
            log.warning("%s: its color profile is broken and was ignored (%s)", self.name, reason_of(error))
        return None

    def _place(self, plane: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Returns the part of an upright plane that the file stores there, as the file has it."""
        down, right = self.steps
        stored = plane[::down, ::right]
        stored = stored.swapaxes(0, 1) if self.turned else stored
        return stored[top : top + height, left : left + width]

    def put(self, top: int, left: int, strip: Image.Image) -> None:
        """Puts a strip where the file stores it; it may have opacity."""
        place = top, left, strip.height, strip.width
        colors = strip.convert(self.mode)
        colors = self.transform.apply(colors) if self.transform else colors.convert("RGB")
        if strip.mode in ("LA", "RGBA"):
            opacity = strip.getchannel("A")
            colors = Image.composite(colors, Image.new("RGB", colors.size, "white"), opacity)
            if self.opacity is None:
                self.opacity = np.full(self.size, 255, np.uint8)
            self._place(self.opacity, *place)[:] = np.asarray(opacity)
        self._place(self.pixels, *place)[:] = np.asarray(colors)

    def picture(self, exif: bytes | None) -> Picture:
        opacity = None if self.opacity is None or self.opacity.min() == 255 else self.opacity
        return Picture(self.pixels, Metadata(exif, self.profile), opacity)
