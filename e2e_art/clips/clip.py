"""What a clip is to those who paint it: frames with their times, from a file, a picture that moves, or a camera."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..images.io import MAX_PIXELS
from .formats import VideoError

__all__ = ["Clip", "Frame", "check_frame"]


@dataclass(frozen=True)
class Frame:
    """A frame: uint8 (H, W, 3) RGB; when it is shown, and how long if that is known, in seconds."""

    pixels: np.ndarray
    time: Fraction
    duration: Fraction


def check_frame(name: str, height: int, width: int) -> None:
    """Raises VideoError where the frames of a clip are larger than any picture may be."""
    if height * width > MAX_PIXELS:
        raise VideoError(f"{name} has more than {MAX_PIXELS // 10**6} megapixels a frame: make it smaller first")


class Clip(ABC):
    """A clip to read.

    name: what messages call it.  path: its file, None for a camera.  size: (height, width) of every frame.
    rate: frames a second, as it says.  steps: a rate whose multiples all times are near.  count: frames, 0 where
    unknown.  clock: what times are multiples of, in seconds.  start: where its file's own clock stands at time 0.
    plays: how often it is shown, 0 without end.  has_sound: whether its file holds sound.  metadata: what its file says
    of it, as its title, its author, when and where it was taken.  damaged: whether some of it
    could not be read, known when all is read, as `count` then is.
    """

    name: str
    path: Path | None = None
    size: tuple[int, int]
    rate: Fraction
    count: int = 0
    clock: Fraction
    start = Fraction(0)
    plays: int = 0
    has_sound: bool = False
    metadata: Mapping[str, str] = MappingProxyType({})
    damaged: bool = False

    @property
    def steps(self) -> Fraction:
        return self.rate

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames, once."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the file or camera."""
