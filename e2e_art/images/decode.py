"""The pixels of a picture file, as Pillow decodes them: in sRGB, upright, without transparency.

The decoded picture has 4 bytes a pixel at most, the result 3; everything between them is done strip by strip, so that
a large picture takes no more than that.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from ..errors import ImageError
from .arrays import rounded
from .formats import FORMATS, register_heif
from .metadata import Metadata, clean_exif

__all__ = ["MAX_PIXELS", "Picture", "decode"]

log = logging.getLogger(__name__)

# Larger pictures are refused before they are decoded.  Pillow by itself warns above 89 megapixels and refuses twice as
# many, but panoramas are larger than that.
MAX_PIXELS = 400_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

_STRIP = 2**20  # pixels that are converted at a time


@dataclass(frozen=True)
class Picture:
    """A picture, uint8 RGB (H, W, 3), and what its file told about it."""

    pixels: np.ndarray
    metadata: Metadata


def decode(file: BinaryIO, name: str, at_least: int | None) -> Picture:
    """Decodes an open file; every error of Pillow's many decoders becomes an ImageError.

    at_least: as in `read_image`.
    """
    too_large = ImageError(f"{name} has more than {MAX_PIXELS // 10**6} megapixels: make it smaller first")
    try:
        register_heif()
        image = Image.open(file, formats=tuple(FORMATS))  # reads the header only
        if image.width * image.height > MAX_PIXELS:
            raise too_large
        if at_least:
            image.draft(None, (at_least, at_least))
        image.load()
        return _picture(image, name)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large from error
    except UnidentifiedImageError as error:
        file.seek(0)
        if not file.read(1):
            raise ImageError(f"{name} is empty: copy it again") from error
        raise ImageError(f"{name} is no picture of a known kind: save it as .jpg or .png") from error
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into memory: make it smaller first") from error
    except Exception as error:  # decoders also raise SyntaxError, struct.error, IndexError and more
        raise ImageError(f"{name} is damaged or cut short ({error}): copy it again") from error


def _picture(image: Image.Image, name: str) -> Picture:
    """Converts a loaded picture of any mode, and takes its metadata."""
    orientation, exif, profile = 1, None, image.info.get("icc_profile")
    try:
        tags = image.getexif()
        orientation = tags.get(ExifTags.Base.Orientation, 1)
        exif = clean_exif(tags)
    except Exception as error:  # broken EXIF data, of which there are as many kinds as cameras
        log.warning("%s: its EXIF data is broken and was ignored (%s)", name, error)
    if image.mode[0] in "IF":
        image = _to_eight_bits(image)
    convert = _converter(image, profile, name)
    pixels, lying = upright(image.height, image.width, orientation)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip.info = image.info
        lying[top : top + rows] = np.asarray(convert(strip))
    return Picture(pixels, Metadata(exif, profile))


def upright(height: int, width: int, orientation: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns an empty picture, uint8 RGB (H, W, 3), and a view of it to be filled as its file stores it.

    height, width: as the file stores it.  orientation: 1 to 8, as EXIF counts; others are taken as 1.
    """
    turned = orientation in (5, 6, 7, 8)
    pixels = np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)
    view = pixels[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]
    return pixels, view.transpose(1, 0, 2) if turned else view


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scales gray of 16 bits, 32 bits or floating point to 8; Pillow's own conversion clips.

    White is 65535 in 16 bits.  Other modes do not define it: here it is the lowest of 1 (floating point only), 255
    (likewise), 65535 and 2**31 - 1 that no pixel exceeds.
    """
    values = np.nan_to_num(np.asarray(image).astype(np.float32))  # (H, W)
    levels = (1, 255, 65535, 2**31 - 1) if image.mode == "F" else (65535, 2**31 - 1)
    brightest = float(values.max())
    white = next((level for level in levels if brightest <= level), brightest)
    return Image.fromarray(rounded(np.clip(values / white, 0, 1) * 255))


def _converter(image: Image.Image, profile: bytes | None, name: str) -> Callable[[Image.Image], Image.Image]:
    """Returns what turns strips of a picture into sRGB without opacity, mode RGB; a broken profile is ignored."""
    mode = image.mode if image.mode in ("L", "CMYK", "LAB") else "RGB"
    transform = None
    if profile or mode == "LAB":
        try:
            space = ImageCms.createProfile("LAB") if mode == "LAB" else io.BytesIO(profile or b"")
            source = ImageCms.ImageCmsProfile(space)
            if mode == "L" and source.profile.xcolor_space.strip() == "RGB":
                mode = "RGB"
            transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        except (OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
            log.warning("%s: its color profile is broken and was ignored (%s)", name, error)
    see_through = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info

    def convert(strip: Image.Image) -> Image.Image:
        if strip.mode in ("La", "RGBa"):  # colors that have been multiplied by their opacity
            strip = strip.convert(strip.mode.upper())
        colors = strip.convert(mode)
        colors = transform.apply(colors) if transform else colors.convert("RGB")
        if not see_through:
            return colors
        opacity = strip.convert("RGBA").getchannel("A")
        return Image.composite(colors, Image.new("RGB", colors.size, "white"), opacity)

    return convert
