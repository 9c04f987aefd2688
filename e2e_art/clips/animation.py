"""Animated GIF, WebP and PNG as clips, by Pillow, which composes their frames."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from .clip import Clip, Frame, check_frame
from .formats import VideoError

__all__ = ["Animation"]

log = logging.getLogger(__name__)

TOO_SHORT, INSTEAD = 10, 100  # milliseconds: frames that claim less than browsers believe, and what they show


class Animation(Clip):
    """An animated picture; transparency is laid onto white.  Raises VideoError where it cannot be read."""

    clock = Fraction(1, 1000)

    def __init__(self, path: Path):
        self.path, self.name = path, str(path)
        try:
            self._image = Image.open(path)
            first, end = int(bool(self._image.info.get("default_image"))), _length(self._image)
        except Exception as error:  # as many kinds as decoders
            raise VideoError(f"{path} cannot be read ({error}): check that it is a whole picture") from error
        check_frame(self.name, self._image.height, self._image.width)
        self.size = self._image.height, self._image.width
        self.count = 0 if end is None else end - first
        self._frames = itertools.count(first) if end is None else range(first, end)
        loops = self._image.info.get("loop", 1 if self._image.format != "GIF" else None)
        repeats = self._image.format == "GIF" and loops  # a GIF counts the times after the first
        self.plays = 1 if loops is None else loops + 1 if repeats else loops
        self.rate = 1 / self._read(first, Fraction(0)).duration

    def __iter__(self) -> Iterator[Frame]:
        time = Fraction(0)
        for number in self._frames:
            try:
                frame = self._read(number, time)
            except VideoError as error:
                log.warning("%s", error)
                self.damaged = True
                return
            yield frame
            time += frame.duration

    def _read(self, number: int, time: Fraction) -> Frame:
        try:
            self._image.seek(number)
            picture = self._image.convert("RGBA")
        except Exception as error:
            raise VideoError(f"{self.name} is damaged or cut short at frame {number} ({error})") from error
        shown = float(self._image.info.get("duration") or 0)
        shown = shown if shown > TOO_SHORT else INSTEAD
        white = Image.new("RGBA", picture.size, "white")
        pixels = np.array(Image.alpha_composite(white, picture).convert("RGB"))
        return Frame(pixels, time, Fraction(round(shown), 1000))

    def close(self) -> None:
        self._image.close()


def _length(image: Image.Image) -> int | None:
    """Returns how many frames a picture has; None where they end in damage, which a GIF knows only then."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # as many kinds as decoders
        return None
