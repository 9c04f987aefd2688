"""Color profiles (ICC) of spaces that a picture file names by numbers: primaries, a white point and a curve."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

__all__ = ["SRGB_CURVE", "SRGB_PRIMARIES", "make_profile"]

Curve = Sequence[float]  # a gamma alone, or it and a, b, c, d of (a x + b)**gamma from d on, c x below

SRGB_CURVE = 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045
SRGB_PRIMARIES = 0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06  # x and y of white, red, green and blue
_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))


def make_profile(curve: Curve, primaries: Sequence[float] = SRGB_PRIMARIES) -> bytes:
    """Returns the profile of an RGB space.

    curve: from values to light, 0..1.  primaries: x and y of white, red, green and blue.
    Raises ValueError for numbers that are no color space.
    """
    white, *colors = (np.array((x / y, 1, (1 - x - y) / y)) for x, y in zip(primaries[::2], primaries[1::2]) if y > 0)
    if len(colors) != 3 or not all(0 < gamma < 100 for gamma in curve[:1]):
        raise ValueError("no color space has these numbers")
    try:
        lights = np.stack(colors, 1)  # (XYZ, RGB), each of luminance 1
        lights = lights * np.linalg.solve(lights, white)
        adapted = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD @ lights
    except np.linalg.LinAlgError as error:
        raise ValueError("no color space has these numbers") from error
    if not np.abs(adapted).max() < 100:
        raise ValueError("no color space has these numbers")
    parametric = b"para" + struct.pack(">IHH", 0, 0 if len(curve) == 1 else 3, 0) + _fixed(curve)
    texts = {sign: b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, 6, 28) + "RGB".encode("utf-16-be")
             for sign in (b"desc", b"cprt")}  # fmt: skip
    points = {b"wtpt": _D50, b"rXYZ": adapted[:, 0], b"gXYZ": adapted[:, 1], b"bXYZ": adapted[:, 2]}
    tags = {**texts, **{sign: b"XYZ " + bytes(4) + _fixed(point) for sign, point in points.items()}}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), parametric)
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for sign, content in tags.items():
        table += sign + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(_D50)
    return head + bytes(128 - len(head)) + table + body


def _fixed(numbers: Sequence[float] | np.ndarray) -> bytes:
    """Numbers of 16 bits before the point and 16 behind it."""
    return b"".join(struct.pack(">i", round(float(number) * 65536)) for number in numbers)
