"""Which picture files are read and written, and what other files are that people give for pictures."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import ImageError

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "LONGEST",
    "RAW_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "camera_raw",
    "no_clip",
    "no_picture",
    "register_heif",
]

# What is read, by Pillow's names of formats; its other readers know icons, fonts, clips and programs that draw.
FORMATS = {
    "AVIF": (".avif", ".avifs"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heics", ".heif", ".heifs", ".hif"),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
    "JPEG2000": (".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"),
    "PCX": (".pcx",),
    "PNG": (".apng", ".png"),
    "PPM": (".pbm", ".pfm", ".pgm", ".pnm", ".ppm"),
    "QOI": (".qoi",),
    "SGI": (".bw", ".rgb", ".rgba", ".sgi"),
    "TGA": (".icb", ".tga", ".vda", ".vst"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}

# Files that are pictures when a folder is searched; a file that is given by name may have any suffix.
IMAGE_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)

WRITABLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif")

# Pixels of a side at most; what is written with more is not read again, if it is written.  The others hold any picture.
LONGEST = {"AVIF": 2**15, "HEIF": 65_500, "JPEG": 65_500, "WEBP": 16_383}

RAW_SUFFIXES = frozenset((
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".k25", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".ori", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))  # fmt: skip

_RAW = "a camera's raw file"
_CLIP = "a clip"
_DEVELOP = "develop it to TIFF or JPEG first, in darktable, RawTherapee or the camera's own program"
_FRAME = "e2e-art infer paints clips, and any player saves one of its pictures as .png"
_EXPORT = "export it as .png or .jpg from the program that made it"
_CONVERT = "save it as .png or .jpg in a program that reads it"

# What begins like this, what it is, and the way.  The rest of the line may be any bytes.
_OTHERS = [
    (re.compile(pattern, re.DOTALL), what, way)
    for pattern, what, way in [
        (rb"....ftypcrx |FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|FOVb|\0MRM|II.{4}HEAPCCDR", _RAW, _DEVELOP),
        (rb"....ftyp(qt  |iso|mp4|avc1|M4|3g|dash|f4v|MSNV)|\x1aE\xdf\xa3|RIFF....AVI |FLV\x01|OggS", _CLIP, _FRAME),
        (rb"\0\0\x01[\xba\xb3]|....(moov|mdat|wide)|0&\xb2u\x8ef\xcf\x11|G.{187}G.{187}G", _CLIP, _FRAME),
        (rb"%PDF", "a PDF document", "save its page as .png or .jpg first"),
        (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript", "save its page as .png or .jpg first"),
        (rb"\s*(<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE svg[^>]*>|\s)*<svg", "an SVG drawing", "export it as .png first"),
        (
            rb"(?i)\s*(<!doctype html|<html|<head|<\?xml)",
            "a web page",
            "save the picture itself, not the page it is on",
        ),
        (rb"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch it with git lfs pull"),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL file", _CONVERT),
        (rb"\x89PNG.{8}CgBI", "a PNG that Xcode changed for an app of iOS", "take the one that the app was made from"),
        (rb"II\xbc|WMPHOTO", "a JPEG XR file", _CONVERT),
        (rb"\xff\xd8\xff\xf7", "a JPEG-LS file", _CONVERT),
        (rb"8BPS", "a Photoshop file", _EXPORT),
        (rb"gimp xcf", "a GIMP file", _EXPORT),
        (rb"v/1\x01|#\?(RADIANCE|RGBE)", "a picture of high dynamic range", "tone-map it and save it as .png or .jpg"),
        (rb"P7\s", "a PAM, or a thumbnail of xv", _CONVERT),
        (rb"PF\s", "a colored PFM, of which only gray ones are read", "save it as a TIFF of floating point"),
        (rb"\0\0[\x01\x02]\0[^\0]\0|icns", "an icon", _CONVERT),
        (rb"AT&TFORM", "a DjVu document", "save its page as .png or .jpg first"),
        (rb"DDS ", "a texture of a game", _CONVERT),
        (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile", _EXPORT),
        (rb"PK\x03\x04", "a ZIP archive, or a document in one", "unpack it, or export its picture as .png or .jpg"),
        (rb"Rar!|7z\xbc\xaf|\x1f\x8b|BZh|\xfd7zXZ", "a packed archive", "unpack it first"),
        (rb"ID3|fLaC|RIFF....WAVE|\xff[\xfb\xf3\xf2]", "a sound", "give a picture"),
        (rb"\x89HDF|\x93NUMPY|SIMPLE  =", "a file of measurements", "save its picture as .png or .tif"),
    ]
]

# What begins like this is a picture: where it cannot be decoded, it is damaged.
_PICTURES = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{12}|(II|MM)(\*\0|\0\*|\+\0|\0\+)|RIFF....WEBP|....ftyp|\0\0\0\x0cjP|\xff\x4f\xff\x51"
    rb"|P[1-6f]\s|qoif|\x01\xda",
    re.DOTALL,
)
_FINISHED = re.compile(rb"\x89PNG|\xff\xd8\xff")  # what is no camera's raw file, whatever its name says


def camera_raw(name: str) -> ImageError:
    """Returns what is said of a camera's raw file."""
    return ImageError(f"{name} is {_RAW}: {_DEVELOP}")


def no_picture(head: bytes, name: str) -> ImageError | None:
    """Returns what is said of a file that is no picture, by its first kilobytes or by the suffix of its name, if so."""
    if not head:
        return ImageError(f"{name} is empty: copy it again")
    for begins, what, way in _OTHERS:
        if begins.match(head):
            return ImageError(f"{name} is {what}: {way}")
    if Path(name).suffix.lower() in RAW_SUFFIXES and not _FINISHED.match(head):
        return camera_raw(name)
    return None


def no_clip(head: bytes) -> str:
    """Returns what a file is that was given for a clip, and the way, by its first kilobytes; "" where it may be one."""
    if not head:
        return "is empty: copy it again"
    for begins, what, way in _OTHERS:
        if begins.match(head):
            return "" if what == _CLIP else f"is {what}: {way}"
    film = re.match(rb"....ftyp(?!hei|hev|mif|msf|avi)", head, re.DOTALL)
    return "is a picture: give it the suffix of one" if begins_like_a_picture(head) and not film else ""


def begins_like_a_picture(head: bytes) -> bool:
    """Says whether a file is a picture by its first bytes, whole or not."""
    return bool(_PICTURES.match(head))


def register_heif() -> None:
    """Lets Pillow read and write HEIF; only where one is met, for it takes a moment to import."""
    from pillow_heif import register_heif_opener

    register_heif_opener()
