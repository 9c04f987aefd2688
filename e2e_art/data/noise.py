"""An endless, seeded, resumable stream of noise, and of masks with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..networks.inputs import SEEDS, seeded_noise
from .masks import Masks, one_hot_planes
from .stream import Stream

__all__ = ["VALIDATION_SEEDS", "NoiseStream"]

VALIDATION_SEEDS = range(4)  # of validation noise: training has other


class NoiseStream(Stream[list[np.ndarray]]):
    """Fresh noise for each step, (N, channels, size, size): that of number i depends on the seed and on i alone.

    masks: with them, each sample begins with its regions, a plane each.  beside: returns arrays that go with the sample
    of a number.  batch, position, workers: as for `Stream`.

    Yields lists of arrays, (N, ...) each: the samples, and what goes with them.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        batch: int,
        seed: int,
        position: int = 0,
        masks: Masks | None = None,
        workers: int | None = None,
        beside: Callable[[int, np.ndarray], Sequence[np.ndarray]] = lambda number, sample: [],
    ):
        super().__init__(batch, position, workers)
        self._shape, self._masks, self._beside = (channels, size, size), masks, beside
        self._first = int(np.random.default_rng(seed).integers(len(VALIDATION_SEEDS), SEEDS))

    def __next__(self) -> list[np.ndarray]:
        return [np.stack(parts) for parts in zip(*self._take())]

    def _make(self, number: int) -> list[np.ndarray]:
        (sample,) = seeded_noise((self._first + number) % SEEDS, *self._shape)  # (channels, size, size)
        if self._masks:
            (planes,) = one_hot_planes(self._masks[number], self._masks.regions, self._shape[1])
            sample = np.concatenate([planes, sample])
        return [sample, *self._beside(number, sample)]
