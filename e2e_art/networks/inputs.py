"""What generators see beside the picture: reflect padding around it, and noise."""

from __future__ import annotations

import numpy as np

__all__ = [
    "FACTORS",
    "PADDING",
    "NOISE_PERIOD",
    "SEEDS",
    "noise_tile",
    "reflect",
    "reflected",
    "seeded_noise",
    "strided_noise",
]

FACTORS = (2, 4, 8)  # by which pictures are enlarged
PADDING = 16  # pixels of reflect padding on each side
NOISE_PERIOD = 509  # pixels after which the noise repeats: a prime, so that packed pixels do not fall in step with it
SEEDS = 2**32  # how many there are


def strided_noise(F, x, first: int, depth: int, scale: int):
    """Returns what a scale sees of planes of noise, (N, depth, H / 2^scale, W / 2^scale).

    x: holds 2 `depth` planes from channel `first` on.  The first `depth` are the finest scale's, 0.  Of the others each
    coarser scale takes points of its own: rows and columns 0, 2, 4 ...; 1, 5, 9 ...; 3, 11, 19 ...: no two share one.
    """
    if scale == 0:
        return F.slice_axis(x, axis=1, begin=first, end=first + depth)
    step = 2**scale
    begin, end = (None, first + depth, step // 2 - 1, step // 2 - 1), (None, first + 2 * depth, None, None)
    return F.slice(x, begin=begin, end=end, step=(None, None, step, step))


def reflected(F, places, length):
    """Returns which of `length` rows lie at places before them, within and after by reflect padding, at any length.

    F: numpy, or the operators of what the places are; length: a number from 1 on, plain or recorded.
    """
    last = length - 1
    return last - F.abs(places % (2 * last + 1 // length) - last)  # of one row, the period is 1


def reflect(length: int, before: int, after: int) -> np.ndarray:
    """Returns which of `length` rows to take for reflect padding before and after them."""
    return reflected(np, np.arange(-before, length + after), length)


def noise_tile() -> np.ndarray:
    """Returns the noise that all chains paint on, (1, 1, NOISE_PERIOD, NOISE_PERIOD) int8: the same everywhere."""
    return np.random.RandomState(509).randint(-128, 128, (1, 1, NOISE_PERIOD, NOISE_PERIOD)).astype(np.int8)


def seeded_noise(seed: int, channels: int, height: int, width: int) -> np.ndarray:
    """Returns noise, (1, channels, height, width) float32, even in -1..1; seed: 0..SEEDS - 1."""
    values = _mixed(np.array([seed], np.uint32))
    for length in (channels, height, width):
        values = _mixed(values[..., np.newaxis] ^ np.arange(length, dtype=np.uint32))
    return (values / 2.0**31 - 1).astype(np.float32)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Returns 32-bit numbers whose every bit depends on every bit of x (C. Wellons: lowbias32, 2018)."""
    x = x + np.uint32(0x9E3779B9)  # so that 0 does not stay 0
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    return x ^ x >> np.uint32(16)
