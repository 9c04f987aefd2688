"""What travels from a photo to its painting beside the pixels: EXIF data and the color profile."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageCms

__all__ = ["Metadata", "clean_exif", "into_profile"]

log = logging.getLogger(__name__)

_BASE = ExifTags.Base
# What describes a photo; the other tags describe the file that it was in, as the places of its strips do.
_KEPT = {
    _BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.XResolution, _BASE.YResolution, _BASE.ResolutionUnit,
    _BASE.Software, _BASE.DateTime, _BASE.Artist, _BASE.HostComputer, _BASE.Copyright, _BASE.Rating,
    _BASE.RatingPercent, _BASE.XPTitle, _BASE.XPComment, _BASE.XPAuthor, _BASE.XPKeywords, _BASE.XPSubject,
}  # fmt: skip
_SIZES = _BASE.ExifImageWidth, _BASE.ExifImageHeight  # which a painting need not have
_LONGEST = 65_000  # bytes of EXIF data, of which a JPEG holds fewer than 64 KiB
_TOLERANCE = 1  # levels between sRGB and a profile that means the same


@dataclass(frozen=True)
class Metadata:
    """EXIF data, upright and without a thumbnail, and an RGB color profile (ICC); None where there is none."""

    exif: bytes | None = None
    profile: bytes | None = None


def clean_exif(exif: Image.Exif) -> bytes | None:
    """Returns what describes the photo itself, where it was taken included: for a painting that is upright.

    Raises what Pillow raises for broken data, of which there are as many kinds as cameras.
    """
    kept = Image.Exif()
    kept.update({tag: value for tag, value in exif.items() if tag in _KEPT})
    details = dict(exif.get_ifd(ExifTags.IFD.Exif))
    for tag in _SIZES:
        details.pop(tag, None)
    places = dict(exif.get_ifd(ExifTags.IFD.GPSInfo))
    if not (kept or details or places):
        return None
    kept[_BASE.Orientation] = 1
    if places:
        kept[ExifTags.IFD.GPSInfo] = places
    if details:
        kept[ExifTags.IFD.Exif] = details
    content = kept.tobytes()
    if len(content) > _LONGEST and details.pop(_BASE.MakerNote, None):
        kept[ExifTags.IFD.Exif] = details
        content = kept.tobytes()
    return content if len(content) <= _LONGEST else None


def into_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Returns an sRGB picture in the colors of a profile; None where a profile takes no pictures of three channels."""
    try:
        target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), target, "RGB", "RGB")
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
        log.debug("a color profile was left out: %s", error)
        return None
    return image if _changes_nothing(transform) else ImageCms.applyTransform(image, transform)


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(len(levels), -1, 3)
    converted = np.asarray(ImageCms.applyTransform(Image.fromarray(colors), transform))
    return bool(np.abs(converted.astype(int) - colors).max() <= _TOLERANCE)
