"""What surrounds and underlies every photo: a frame of its own reflection, and noise to paint on."""

from __future__ import annotations

import numpy as np

__all__ = ["BORDER", "NOISE_PERIOD", "noise_tile", "reflect"]

BORDER = 16  # pixels of reflection on each side
NOISE_PERIOD = 509  # pixels after which the noise repeats: a prime, so that packed pixels do not fall in step with it


def reflect(length: int, before: int, after: int) -> np.ndarray:
    """Returns which of `length` rows to take so that they continue as in a mirror, at any length from 1."""
    return np.pad(np.arange(length), (before, after), mode="reflect")


def noise_tile() -> np.ndarray:
    """Returns the noise that all chains paint on, (1, 1, NOISE_PERIOD, NOISE_PERIOD) int8: the same everywhere."""
    return np.random.RandomState(509).randint(-128, 128, (1, 1, NOISE_PERIOD, NOISE_PERIOD)).astype(np.int8)
