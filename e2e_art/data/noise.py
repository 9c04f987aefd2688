"""An endless, seeded, resumable stream of noise, and of masks with it."""

from __future__ import annotations

import numpy as np

from ..networks.inputs import SEEDS, seeded_noise
from .masks import Masks, one_hot_planes

__all__ = ["VALIDATION_SEEDS", "NoiseStream"]

VALIDATION_SEEDS = range(4)  # of validation noise: training has other


class NoiseStream:
    """Fresh noise for each step, (N, channels, size, size): that of number i depends on the seed and on i alone.

    masks: with them, each sample begins with its regions, a plane each.
    """

    def __init__(self, channels: int, size: int, batch: int, seed: int, position: int, masks: Masks | None = None):
        self._shape, self._batch, self._masks, self.position = (channels, size, size), batch, masks, position
        self._first = int(np.random.default_rng(seed).integers(len(VALIDATION_SEEDS), SEEDS))
        self.photos: list[str] = []  # as a `PhotoStream` has them; here there are none
        self.skipped: dict[str, str] = {}

    def __enter__(self) -> NoiseStream:
        return self

    def __exit__(self, *error) -> None:
        if self._masks:
            self._masks.close()

    def __next__(self) -> np.ndarray:
        """Returns the noise of the next step."""
        samples = []
        for number in range(self.position, self.position + self._batch):
            sample = seeded_noise((self._first + number) % SEEDS, *self._shape)  # (1, channels, size, size)
            if self._masks:
                planes = one_hot_planes(self._masks[number], self._masks.regions, self._shape[1])
                sample = np.concatenate([planes, sample], axis=1)
            samples.append(sample)
        self.position += self._batch
        return np.concatenate(samples)
