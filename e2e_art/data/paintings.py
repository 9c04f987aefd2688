"""Crops of paintings to learn styles from, beside the crops of photos that are painted in them."""

from __future__ import annotations

from types import TracebackType

import numpy as np

from .photos import PhotoStream
from .randomness import STYLE

__all__ = ["PaintingStream", "Pairs"]

SCALES = 1.05, 1.6  # of the short edge of a painting, to the size of its crop: strokes large and small
PERMUTED = 0.25  # share of crops whose colors change places: more styles than there are paintings


class PaintingStream(PhotoStream):
    """Random crops of random paintings, all as for `PhotoStream`; of some the color channels change places."""

    scales = SCALES

    def _make(self, number: int) -> np.ndarray:
        crop, random = super()._make(number), np.random.default_rng((self.photos.seed, STYLE, number))
        return crop[..., random.permutation(3)] if random.random() < PERMUTED else crop


class Pairs:
    """Photos, and as many paintings beside them: yields both, uint8 (batch, size, size, 3) each."""

    def __init__(self, photos: PhotoStream, paintings: PaintingStream):
        self._streams = photos, paintings

    @property
    def position(self) -> int:
        """How many crops of photos were delivered."""
        return self._streams[0].position

    def __next__(self) -> list[np.ndarray]:
        return [next(stream) for stream in self._streams]

    def __iter__(self) -> Pairs:
        return self

    def __enter__(self) -> Pairs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams:
            stream.__exit__(kind, error, trace)
