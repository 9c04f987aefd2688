"""Which picture files are read and written, by their suffixes."""

from __future__ import annotations

__all__ = ["FORMATS", "IMAGE_SUFFIXES", "WRITABLE_SUFFIXES", "register_heif"]

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


def register_heif() -> None:
    """Lets Pillow read and write HEIF; only where one is met, for it takes a moment to import."""
    from pillow_heif import register_heif_opener

    register_heif_opener()
