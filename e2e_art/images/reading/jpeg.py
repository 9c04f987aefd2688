"""JPEGs that end early: those whose end mark alone is missing are whole, the others are told apart from them."""

from __future__ import annotations

import hashlib
import io
import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from ...errors import ImageError

__all__ = ["check_kind", "completed"]

_END = b"\xff\xd9"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of what kind a JPEG is
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_ROWS = 16


def completed(file: BinaryIO, name: str) -> BinaryIO:
    """Returns a JPEG that lacks its end with an end mark; raises ImageError where rows of its picture are missing.

    libjpeg makes up what is missing, without a word.  Bytes before the end mark are passed over where the picture is
    whole, and change it where it is not.
    """
    file.seek(0)
    content = file.read().rstrip(b"\xff")
    noise = np.random.default_rng(0).integers(0, 255, 4096).astype(np.uint8).tobytes()
    whole = _rows(content + _END)
    first = next(
        (row for row, (one, other) in enumerate(zip(whole, _rows(content + noise + _END))) if one != other), -1
    )
    if first >= 0:
        there = f", after about {first / len(whole):.0%} of its picture" if check_kind(file) not in _PROGRESSIVE else ""
        raise ImageError(f"{name} is damaged or cut short: it ends early{there}; copy it again")
    return io.BytesIO(content + _END)


def _rows(content: bytes) -> list[bytes]:
    """Returns a digest of every few rows."""
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        image.load()
        strips = (
            image.crop((0, top, image.width, min(top + _ROWS, image.height))) for top in range(0, image.height, _ROWS)
        )
        return [hashlib.sha1(strip.tobytes()).digest() for strip in strips]


def check_kind(file: BinaryIO, name: str = "") -> int:
    """Returns the marker of what kind a JPEG is, 0 where there is none.

    name: where given, raises ImageError for kinds that are not read.
    """
    place, kind, bits = 2, 0, 8
    while not kind:
        file.seek(place)
        head = file.read(5)
        if len(head) < 5 or head[0] != 0xFF:
            break
        if head[1] in _FRAMES:
            kind, bits = head[1], head[4]
        place += 1 if head[1] == 0xFF else 2 + struct.unpack(">H", head[2:4])[0]
    if name and bits != 8:
        raise ImageError(f"{name} is a JPEG of {bits} bits a channel, which is not read: save it as .png or 8-bit .jpg")
    return kind
