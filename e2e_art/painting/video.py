"""A clip through a trained model: frames are read, painted and written side by side."""

from __future__ import annotations

import logging
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import UserError
from ..images.arrays import rounded
from .flow import Motion, flicker, motion

__all__ = ["SUFFIXES", "Clip", "VideoError", "paint_clip"]

log = logging.getLogger(__name__)

SUFFIXES = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}  # and how they are written
RATE = 25.0  # frames a second, where a clip does not say
AHEAD = 4  # frames read before their turn
KEPT = 0.7  # of the last painting, warped, in a steady clip
STROKE = 2.0  # pixels; what is finer fades where paintings are blended, and is brought back
MOST_GAIN = 2.5


class VideoError(UserError):
    """A clip that cannot be read or written; the message names file, reason and fix."""


class Clip:
    """A clip to read: a file, or a camera by its number or address.

    size: (height, width).  rate: frames a second.  count: frames, 0 where unknown.  Raises VideoError if unreadable.
    """

    def __init__(self, source: str | int):
        self.source = source
        if not isinstance(source, int) and "://" not in source and not Path(source).is_file():
            raise VideoError(f"There is no file {source}: check the path")
        self._capture = cv2.VideoCapture(source)
        self._first = self._next()
        if self._first is None:
            what = f"camera {source}" if isinstance(source, int) else source
            raise VideoError(f"{what} gives no pictures: check that it is a clip, or a camera that nobody else uses")
        self.size = self._first.shape[:2]
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else RATE
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields the frames, uint8 (H, W, 3) RGB, decoded while others are painted."""
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(self._next) for _ in range(AHEAD)]
            frame = self._first
            while frame is not None and frame.shape[:2] == self.size:
                yield frame
                frame = waiting.pop(0).result()
                waiting.append(reader.submit(self._next))

    def close(self) -> None:
        self._capture.release()

    def _next(self) -> np.ndarray | None:
        found, frame = self._capture.read()
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if found else None


@dataclass
class Painted:
    """What came of a clip: frames written; their mean flicker, of the painting and of the clip itself; its sound."""

    frames: int = 0
    flicker: float = 0.0
    flicker_of_clip: float = 0.0
    sound: bool = False


def paint_clip(
    clip: Clip,
    target: Path,
    paint: Callable[[np.ndarray], np.ndarray],
    *,
    steady: bool = False,
    measure: bool = False,
    on_frame: Callable[[int], None] = lambda frames: None,
) -> Painted:
    """Paints a clip, frame by frame, in its own size and rate, and keeps its sound where ffmpeg is installed.

    paint: makes a painting, uint8 (H, W, 3), of a frame alike.  steady: blend each painting with the last one, warped,
    wherever the motion can be trusted.  measure: find the flicker (`flow.flicker`).  on_frame: called after each frame
    with how many are done; a KeyboardInterrupt raised by it ends the clip there, which is then whole and playable.

    The file appears by rename.  Raises VideoError where it cannot be written.
    """
    done = Painted()
    part = target.with_name(f".e2e-art-{uuid.uuid4().hex}{target.suffix}")
    interrupted = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _writer(part, target, clip) as write:
            last: tuple[np.ndarray, np.ndarray] | None = None  # the frame before, and its painting
            for frame in clip:
                painting = paint(frame)
                if last and (steady or measure):
                    moved = motion(last[0], frame)
                    if steady:
                        painting = _blended(moved, last[1], painting)
                    if measure:
                        done.flicker += flicker(moved, last[1], painting)
                        done.flicker_of_clip += flicker(moved, last[0], frame)
                write(painting)
                last = frame, painting
                done.frames += 1
                try:
                    on_frame(done.frames)
                except KeyboardInterrupt as interrupt:
                    interrupted = interrupt
                    break
        if not _is_whole(part, done.frames):  # OpenCV does not say when the disk is full
            raise VideoError(f"{target} could not be written whole: free space, or choose another -o")
        done.sound = _add_sound(part, clip)
        part.replace(target)
    except OSError as error:
        raise VideoError(f"{target} cannot be written ({error.strerror}): free space, or choose another -o") from error
    finally:
        part.unlink(missing_ok=True)
    pairs = max(1, done.frames - 1)
    done.flicker, done.flicker_of_clip = done.flicker / pairs, done.flicker_of_clip / pairs
    if interrupted:
        raise interrupted
    return done


def _blended(moved: Motion, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Returns a painting that keeps to the last one where the motion is reliable, softly bordered.

    Its strokes are made as strong as those of `now`: averaged, they had faded.
    """
    trust = KEPT * _blurred(moved.reliable.astype(np.float32), 2.0)[..., np.newaxis]
    blend, painting = trust * moved.warp(before) + (1 - trust) * now, now.astype(np.float32)
    coarse = _blurred(blend, STROKE)
    strokes, wanted = blend - coarse, painting - _blurred(painting, STROKE)  # (H, W, 3)
    powers = [_blurred(np.square(part).mean(axis=2), 3 * STROKE) + 1 for part in (strokes, wanted)]  # (H, W)
    return rounded(coarse + np.clip(np.sqrt(powers[1] / powers[0]), 1, MOST_GAIN)[..., np.newaxis] * strokes)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma)


@contextmanager
def _writer(part: Path, target: Path, clip: Clip) -> Iterator[Callable[[np.ndarray], None]]:
    """Yields a function that writes frames, in a thread of its own; raises VideoError where that fails."""
    code = cv2.VideoWriter.fourcc(*SUFFIXES[target.suffix.lower()])
    video = cv2.VideoWriter(str(part), code, clip.rate, clip.size[::-1])
    if not video.isOpened():
        raise VideoError(f"{target} cannot be written: choose a folder that you may write to, or another format")
    waiting: list[Future] = []

    def write(frame: np.ndarray) -> None:
        waiting.append(thread.submit(video.write, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)))
        if len(waiting) > AHEAD:
            waiting.pop(0).result()

    try:
        with ThreadPoolExecutor(1) as thread:
            yield write
    finally:
        video.release()


def _is_whole(path: Path, frames: int) -> bool:
    """Returns whether a file plays to the last of so many frames; the count in its head may be there all the same."""
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_POS_FRAMES, frames - 1)
    found, _ = capture.read()
    capture.release()
    return found


def _add_sound(part: Path, clip: Clip) -> bool:
    """Copies a file's sound to what was painted of it, where ffmpeg is installed; returns whether there is sound."""
    if isinstance(clip.source, int) or "://" in clip.source:
        return False
    if not (ffmpeg := shutil.which("ffmpeg")):
        log.info("ffmpeg was not found: the painted clip has no sound; install it to keep a clip's sound")
        return False
    mixed = part.with_name(f"{part.stem}-sound{part.suffix}")
    command = [ffmpeg, "-v", "error", "-y", "-i", str(part), "-i", clip.source, "-map", "0:v", "-map", "1:a"]
    command += ["-c", "copy", "-shortest", str(mixed)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode == 0:
            mixed.replace(part)
        elif "matches no streams" not in ended.stderr:  # else the clip is silent
            log.warning("the sound of %s could not be kept: %s", clip.source, ended.stderr.strip().splitlines()[-1])
        return ended.returncode == 0
    finally:
        mixed.unlink(missing_ok=True)
