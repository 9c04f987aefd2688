"""Picture files <-> arrays.

Everywhere else a picture is a ``numpy.uint8`` array of shape (H, W, 3): RGB in the sRGB color space, upright, without
transparency.  What cannot be converted to that raises an ImageError that says what to do.
"""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import ImageError
from ..files import write_atomically
from .arrays import rounded

__all__ = [
    "IMAGE_SUFFIXES", "MAX_PIXELS", "WRITABLE_SUFFIXES", "check_suffix", "encode_animation", "encode_image",
    "list_images", "read_image", "write_image",
]  # fmt: skip

log = logging.getLogger(__name__)

# Files that are pictures when a folder is searched; a file that is given by name may have any suffix.
IMAGE_SUFFIXES = frozenset(
    (".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)

# Larger pictures are refused before they are decoded.  Pillow by itself warns above 89 megapixels and refuses twice as
# many, but panoramas are larger than that.
MAX_PIXELS = 400_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

WRITABLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_SHORT_SUFFIXES = {".jpg": "JPEG", ".tif": "TIFF"}  # the others are the names of their formats
_ENCODER_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "WEBP": {"quality": 95},
}


def read_image(source: Path | str | BinaryIO, at_least: int | None = None) -> np.ndarray:
    """Reads a picture: upright, in sRGB, 8 bits a channel, transparency laid onto white, the first frame only.

    source: a path, or an open binary file.
    at_least: a JPEG may be shrunk to 1/2, 1/4 or 1/8 while it is decoded (much faster), as long as its short edge
    keeps this many pixels; None reads it at full size.
    Returns uint8 RGB, (H, W, 3).  Raises ImageError for what is missing, damaged, no picture or above MAX_PIXELS.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _decode(io.BytesIO(source.read()), str(getattr(source, "name", "The picture")), at_least)
    if os.path.isdir(source):
        raise ImageError(f"{source} is a folder: give the path of one picture")
    try:
        with open(source, "rb") as file:
            return _decode(file, str(source), at_least)
    except FileNotFoundError:
        raise ImageError(f"{source} does not exist: check the path") from None
    except OSError as error:
        raise ImageError(f"{source} cannot be opened ({error.strerror}): check its path and permissions") from error


def _decode(file: BinaryIO, name: str, at_least: int | None) -> np.ndarray:
    """Decodes an open file; every error of Pillow's many decoders becomes an ImageError."""
    too_large = ImageError(f"{name} has more than {MAX_PIXELS // 10**6} megapixels: make it smaller first")
    try:
        image = Image.open(file)  # reads the header only
        if image.width * image.height > MAX_PIXELS:
            raise too_large
        if at_least:
            image.draft(None, (at_least, at_least))
        image.load()
        return _to_rgb(image, name)
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


def _to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """Converts a loaded picture of any mode to uint8 RGB, (H, W, 3)."""
    profile = image.info.get("icc_profile")
    try:
        image = ImageOps.exif_transpose(image)
    except Exception as error:  # broken EXIF data, of which there are as many kinds as cameras
        log.warning("%s: its EXIF data is broken and was ignored (%s)", name, error)
    if image.mode[0] in "IF":
        image = _to_eight_bits(image)
    if image.mode in ("La", "RGBa"):  # colors that have been multiplied by their opacity
        image = image.convert(image.mode.upper())
    colors = _to_srgb(image, profile, name)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        opacity = image.convert("RGBA").getchannel("A")
        colors = Image.composite(colors, Image.new("RGB", colors.size, "white"), opacity)
    return np.array(colors)


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


def _to_srgb(image: Image.Image, profile: bytes | None, name: str) -> Image.Image:
    """Returns the colors in sRGB, by the profile, in mode RGB without opacity; a broken profile is ignored."""
    colors = image if image.mode in ("L", "CMYK", "LAB") else image.convert("RGB")
    if profile or colors.mode == "LAB":
        try:
            space = ImageCms.createProfile("LAB") if colors.mode == "LAB" else io.BytesIO(profile or b"")
            source = ImageCms.ImageCmsProfile(space)
            if colors.mode == "L" and source.profile.xcolor_space.strip() == "RGB":
                colors = colors.convert("RGB")
            converted = ImageCms.profileToProfile(colors, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return cast(Image.Image, converted)  # None only where it works in place
        except (OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
            log.warning("%s: its color profile is broken and was ignored (%s)", name, error)
    return colors.convert("RGB")


def encode_image(image: np.ndarray, suffix: str) -> bytes:
    """Encodes a picture as the suffix says: JPEG in quality 95 without color subsampling, PNG, WebP, TIFF or BMP.

    image: uint8 RGB, (H, W, 3).  suffix: one of WRITABLE_SUFFIXES, in any case.
    Raises ImageError for other arrays, and where the format cannot hold so large a picture.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(f"A picture is uint8 of shape (H, W, 3): {image.dtype} of shape {image.shape} is none")
    kind = _SHORT_SUFFIXES.get(suffix.lower(), suffix[1:].upper())
    file = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(image)).save(file, kind, **_ENCODER_OPTIONS.get(kind, {}))
    except (OSError, ValueError) as error:
        height, width = image.shape[:2]
        raise ImageError(f"{width}x{height} pixels do not fit into a {suffix} ({error}): choose .png") from error
    return file.getvalue()


def encode_animation(frames: list[np.ndarray], pause: int = 80, rest: int = 2000) -> bytes:
    """Returns pictures of one size, uint8 (H, W, 3), as an endless GIF; pause, rest (the last): milliseconds."""
    images = [Image.fromarray(frame) for frame in frames]
    file = io.BytesIO()
    durations = [pause] * (len(images) - 1) + [rest]
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return file.getvalue()


def check_suffix(path: Path) -> None:
    """Raises ImageError where pictures cannot be written as a file's suffix says."""
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        known = ", ".join(WRITABLE_SUFFIXES)
        raise ImageError(f"{path} cannot be written: no picture is made as '{path.suffix}': choose one of {known}")


def write_image(path: Path | str, image: np.ndarray, overwrite: bool = False) -> None:
    """Writes a picture as its suffix says, whole or not at all; missing folders are made.

    image: uint8 RGB, (H, W, 3).
    Raises ImageError where the file exists already (unless overwrite), or cannot be encoded or written.
    """
    if os.path.exists(path) and not overwrite:
        raise ImageError(f"{path} exists already: choose another name, or allow overwriting")
    path = Path(path)
    check_suffix(path)
    try:
        write_atomically(path, encode_image(image, path.suffix))
    except ImageError as error:
        raise ImageError(f"{path} cannot be written: {error}") from error
    except OSError as error:
        raise ImageError(
            f"{path} cannot be written ({error.strerror}): choose a folder that has space and that you may write to"
        ) from error


def list_images(folder: Path | str) -> list[Path]:
    """Lists the pictures of a folder and of the folders in it, sorted.

    Hidden files and folders are skipped; links are followed, and each folder is entered once, so that loops end.
    Raises ImageError where there is no such folder; an empty one gives an empty list.
    """
    if not os.path.isdir(folder):
        raise ImageError(f"{folder} is no folder: check the path")
    found, entered = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(parent, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    return sorted(found)
