"""Noise by number: the same seed gives the same noise on every machine, in every language, at every size.

Each value is a hash of its seed, channel, row and column, so that the page of a browser (`web/noise.js`) paints what
`infer.py` paints, and a larger piece of noise begins with the smaller one.
"""

from __future__ import annotations

import numpy as np

__all__ = ["SEEDS", "seeded_noise"]

SEEDS = 2**32  # how many there are


def seeded_noise(seed: int, channels: int, height: int, width: int) -> np.ndarray:
    """Returns noise, (1, channels, height, width) float32, even in -1..1.

    seed: 0..SEEDS - 1.
    """
    planes = _mixed(_mixed(np.uint32([seed])) ^ np.arange(channels, dtype=np.uint32))  # (C,)
    rows = _mixed(planes[:, np.newaxis] ^ np.arange(height, dtype=np.uint32))  # (C, H)
    values = _mixed(rows[:, :, np.newaxis] ^ np.arange(width, dtype=np.uint32))  # (C, H, W)
    return (values / 2.0**31 - 1).astype(np.float32)[np.newaxis]


def _mixed(x: np.ndarray) -> np.ndarray:
    """Returns 32-bit numbers whose every bit depends on every bit of x (C. Wellons: lowbias32, 2018)."""
    x = x + np.uint32(0x9E3779B9)  # so that 0 does not stay 0
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    return x ^ x >> np.uint32(16)
