"""A camera as a clip, by OpenCV: what it sees, when it saw it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from fractions import Fraction

import cv2

from .clip import Clip, Frame
from .formats import VideoError

__all__ = ["Camera"]

RATE = 25  # frames a second, where a camera does not say


class Camera(Clip):
    """A camera to record, by its number or address; raises VideoError where it gives no pictures."""

    clock = Fraction(1, 1000)

    def __init__(self, source: str):
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our message says enough
        (cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging).setLogLevel(0)  # type: ignore[attr-defined] # since OpenCV 5
        self.name = f"camera {source}"
        self._capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
        found, first = self._capture.read()
        if not found:
            raise VideoError(f"{self.name} gives no pictures: check that it is connected, and that nobody else uses it")
        self.size = first.shape[0], first.shape[1]
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else Fraction(RATE)

    def __iter__(self) -> Iterator[Frame]:
        started = time.monotonic()
        while True:
            found, frame = self._capture.read()
            if not found or frame.shape[:2] != self.size:
                return
            seen = Fraction(round((time.monotonic() - started) * 1000), 1000)
            yield Frame(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), seen, 1 / self.rate)

    def close(self) -> None:
        self._capture.release()
