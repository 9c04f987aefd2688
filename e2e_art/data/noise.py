"""An endless, seeded, resumable stream of noise, and of masks with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..networks.inputs import SEEDS, seeded_noise
from .ahead import Ahead
from .masks import Masks, one_hot_planes

__all__ = ["VALIDATION_SEEDS", "NoiseStream"]

VALIDATION_SEEDS = range(4)  # of validation noise: training has other


class NoiseStream:
    """Fresh noise for each step, (N, channels, size, size): that of number i depends on the seed and on i alone.

    masks: with them, each sample begins with its regions, a plane each.  workers: how many threads; None means as many
    as it takes.  beside: returns arrays that go with the sample of a number.

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
        self._shape, self._batch, self._masks, self._beside = (channels, size, size), batch, masks, beside
        self._first = int(np.random.default_rng(seed).integers(len(VALIDATION_SEEDS), SEEDS))
        self._samples = Ahead[list[np.ndarray]](position, workers, "noise")
        self.photos: list[str] = []  # as a `PhotoStream` has them; here there are none
        self.skipped: dict[str, str] = {}

    @property
    def position(self) -> int:
        """How many samples were delivered."""
        return self._samples.position

    def __enter__(self) -> NoiseStream:
        return self

    def __exit__(self, *error) -> None:
        self._samples.close()

    def __next__(self) -> list[np.ndarray]:
        return [np.stack(parts) for parts in zip(*self._samples.take(self._sample, self._batch))]

    def _sample(self, number: int) -> list[np.ndarray]:
        (sample,) = seeded_noise((self._first + number) % SEEDS, *self._shape)  # (channels, size, size)
        if self._masks:
            (planes,) = one_hot_planes(self._masks[number], self._masks.regions, self._shape[1])
            sample = np.concatenate([planes, sample])
        return [sample, *self._beside(number, sample)]
