"""Picture files <-> arrays.

Everywhere else a picture is a ``numpy.uint8`` array of shape (H, W, 3): RGB in the sRGB color space, upright, without
transparency.  What cannot be converted to that raises an ImageError that says what to do.
"""

from __future__ import annotations

import errno
import io
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..errors import ImageError
from ..files import write_atomically
from .arrays import no_picture
from .folder import find_images, list_images, passed_over
from .formats import IMAGE_SUFFIXES, LONGEST, WRITABLE_SUFFIXES, register_heif
from .metadata import Metadata, into_profile
from .opacity import check_opacity, off_white
from .reading.decode import MAX_PIXELS, Picture, decode

__all__ = [
    "IMAGE_SUFFIXES", "MAX_PIXELS", "WRITABLE_SUFFIXES", "Metadata", "Picture", "check_sides", "check_suffix",
    "count_frames", "encode_animation", "encode_image", "find_images", "list_images", "passed_over", "read_image",
    "read_picture", "write_image",
]  # fmt: skip

_SHORT_SUFFIXES = {".jpg": "JPEG", ".tif": "TIFF", ".heic": "HEIF"}  # the others are the names of their formats
_SEE_THROUGH = ("PNG", "WEBP", "TIFF", "AVIF", "HEIF")  # formats that hold an opacity
_ENCODER_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "HEIF": {"quality": 90},
}


def read_image(source: Path | str | BinaryIO, at_least: int | None = None) -> np.ndarray:
    """Reads a picture: upright, in sRGB, 8 bits a channel, transparency laid onto white, the first frame only.

    source: a path, or an open binary file.
    at_least: a JPEG may be shrunk to 1/2, 1/4 or 1/8 while it is decoded (much faster), as long as its short edge
    keeps this many pixels; None reads it at full size.
    Returns uint8 RGB, (H, W, 3).  Raises ImageError for what is missing, damaged, no picture or above MAX_PIXELS.
    """
    return read_picture(source, at_least).pixels


def read_picture(source: Path | str | BinaryIO, at_least: int | None = None) -> Picture:
    """Reads a picture, all as `read_image`, with the EXIF data and the color profile that `write_image` passes on."""
    if not isinstance(source, (str, os.PathLike)):
        return decode(io.BytesIO(source.read()), str(getattr(source, "name", "The picture")), at_least)
    if os.path.isdir(source):
        raise ImageError(f"{source} is a folder: give the path of one picture")
    try:
        with open(source, "rb") as file:
            return decode(file if file.seekable() else io.BytesIO(file.read()), str(source), at_least)
    except FileNotFoundError:
        way = "download it, and give the file" if "://" in str(source) else "check the path"
        raise ImageError(f"{source} does not exist: {way}") from None
    except OSError as error:
        raise ImageError(f"{source} cannot be opened ({error.strerror}): check its path and permissions") from error


def count_frames(path: Path | str) -> int:
    """Returns how many frames a GIF, WebP or PNG has; 1 for other files, and for those that cannot be read.

    A GIF that is cut short behind its second frame has 2.
    """
    try:
        with Image.open(path, formats=("GIF", "WEBP", "PNG")) as image:
            with suppress(Exception):  # damage behind its first frames
                return int(getattr(image, "n_frames", 1))
            image.seek(1)
            return 2
    except Exception:  # damaged, missing or no picture: whoever reads it says so
        return 1


def encode_image(
    image: np.ndarray, suffix: str, metadata: Metadata | None = None, opacity: np.ndarray | None = None
) -> bytes:
    """Encodes a picture as the suffix says: JPEG in quality 95 without color subsampling, PNG, WebP, TIFF, BMP, ...

    image: uint8 RGB in sRGB, (H, W, 3).  suffix: one of WRITABLE_SUFFIXES, in any case.
    metadata: goes into the file, except into a BMP; the colors are converted into its profile.
    opacity: uint8 (H, W), of a picture that is given as it looks on white; JPEG and BMP leave it so.
    Raises ImageError for other arrays, and where the format cannot hold so large a picture.
    """
    if wrong := no_picture(image):
        raise ImageError(f"A picture is uint8 (H, W, 3): {wrong} is none")
    check_opacity(image, opacity)
    if why := _misfit(suffix, *image.shape[:2]):
        raise ImageError(why)
    kind = _kind(suffix)
    options = dict(_ENCODER_OPTIONS.get(kind, {}))
    opacity = opacity if kind in _SEE_THROUGH else None
    content = Image.fromarray(np.ascontiguousarray(image) if opacity is None else off_white(image, opacity))
    if metadata and metadata.exif and kind != "BMP":
        options["exif"] = metadata.exif
        options.pop("compression", None)  # libtiff, which compresses, writes no EXIF data
    if metadata and metadata.profile and kind != "BMP" and (converted := into_profile(content, metadata.profile)):
        content, options["icc_profile"] = converted, metadata.profile
    if opacity is not None:
        content.putalpha(Image.fromarray(opacity))
    if kind == "HEIF":
        register_heif()
    file = io.BytesIO()
    try:
        content.save(file, kind, **options)
    except (KeyError, OSError, ValueError, RuntimeError) as error:
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
        why = f"no picture is made as '{path.suffix}'" if path.suffix else "it has no suffix, and is no folder"
        raise ImageError(f"{path} cannot be written: {why}: choose one of {', '.join(WRITABLE_SUFFIXES)}")


def check_sides(path: Path, height: int, width: int) -> None:
    """Raises ImageError where no picture of that size can be written as a file's suffix says."""
    if why := _misfit(path.suffix, height, width):
        raise ImageError(f"{path} cannot be written: {why}")


def _kind(suffix: str) -> str:
    """Returns Pillow's name of the format that a suffix stands for."""
    return _SHORT_SUFFIXES.get(suffix.lower(), suffix[1:].upper())


def _misfit(suffix: str, height: int, width: int) -> str:
    """Says why a format holds no picture of that size, and the way; "" where it does."""
    longest = LONGEST.get(_kind(suffix), math.inf)
    why = f"{width}x{height} pixels do not fit into a {suffix}, which takes {longest} a side: choose .png"
    return why if max(height, width) > longest else ""


def write_image(
    path: Path | str,
    image: np.ndarray,
    overwrite: bool = False,
    metadata: Metadata | None = None,
    opacity: np.ndarray | None = None,
) -> None:
    """Writes a picture as its suffix says, whole or not at all; missing folders are made.

    image: uint8 RGB, (H, W, 3).  metadata: of the photo that it was painted from, as `encode_image` takes it.
    opacity: as there.
    Raises ImageError where the file exists already (unless overwrite), or cannot be encoded or written.
    """
    if os.path.exists(path) and not overwrite:
        raise ImageError(f"{path} exists already: choose another name, or allow overwriting")
    path = Path(path)
    check_suffix(path)
    try:
        write_atomically(path, encode_image(image, path.suffix, metadata, opacity))
    except ImageError as error:
        raise ImageError(f"{path} cannot be written: {error}") from error
    except OSError as error:
        long = error.errno == errno.ENAMETOOLONG
        way = "choose a shorter name" if long else "choose a folder that has space and that you may write to"
        raise ImageError(f"{path} cannot be written ({error.strerror}): {way}") from error
