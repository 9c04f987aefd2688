"""A clip through a trained model: frames are read, painted and written side by side."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from ..clips.animation import Animation
from ..clips.clip import Clip
from ..clips.formats import VideoError, check_sides, format_of
from ..clips.reader import ClipFile
from ..clips.segments import FRAMES, Segments
from ..clips.sound import Sound
from ..clips.writer import Plan, join
from ..images.io import count_frames
from .ahead import ahead, behind
from .flow import flicker, motion
from .steady import blend

__all__ = ["Clip", "Painted", "VideoError", "open_clip", "paint_clip"]

log = logging.getLogger(__name__)


def open_clip(path: Path | str) -> Clip:
    """Opens a clip, or a picture of several frames; raises VideoError where it cannot be read."""
    if os.path.exists(path) and not os.path.isfile(path):  # nothing comes out of a pipe twice
        raise VideoError(f"{path} is no file: save the clip as one first, it is read more than once")
    return Animation(Path(path)) if count_frames(path) > 1 else ClipFile(Path(path))


@dataclass
class Painted:
    """What came of a clip: frames read and written; the mean flicker of the painting, and of the clip itself.

    first, last, ends: ticks of the file's clock at which its first and last frame begin, and the last one ends.
    rate: frames a second.  size: (height, width).  copied, encoded: sound tracks.
    """

    read: int = 0
    frames: int = 0
    flicker: float = 0.0
    flicker_of_clip: float = 0.0
    first: int = 0
    last: int = -1
    ends: int = 0
    rate: float = 0.0
    size: tuple[int, int] = (0, 0)
    copied: int = 0
    encoded: int = 0


def paint_clip(
    clip: Clip,
    target: Path,
    paint: Callable[[np.ndarray], np.ndarray],
    *,
    size: tuple[int, int] | None = None,
    steady: bool = False,
    measure: bool = False,
    resume: bool = False,
    request: Mapping[str, Any] | None = None,
    on_frame: Callable[[int], None] = lambda frames: None,
) -> Painted:
    """Paints a clip, frame by frame, at its own times, and keeps its sound.

    paint: makes a painting, uint8 (H, W, 3), of a frame alike.  size: (height, width) of paintings, the clip's own by
    default.  steady: blend each painting with the last one, warped,
    wherever the motion can be trusted.  measure: find the flicker (`flow.flicker`).  resume: go on where a painting of
    the same clip to the same target ended.  request: what else must be the same for that, as JSON has it.  on_frame:
    called after each frame with how many are read; a KeyboardInterrupt raised by it ends the clip there, which is then
    whole and playable, and can be resumed.

    The file appears by rename.  Raises VideoError where it cannot be written, before the work where its size says so.
    """
    plan = Plan.of(clip, format_of(target), size)
    check_sides(target, *plan.size)
    with _writing(target):
        segments = Segments(target, plan, {**(request or {}), "steady": steady, "measure": measure}, resume)
        try:
            done = Painted(**(segments.state or {}))
            interrupted = _paint_frames(clip, paint, plan, segments, done, steady, measure, on_frame)
            sound = _join(target, clip, plan, segments, done, whole=interrupted is None)
        except Exception:
            if not resume:
                segments.remove()
            raise
    if interrupted and clip.path:
        segments.note_part(target)
    else:
        segments.remove()
    pairs = max(1, done.frames - 1)
    done.flicker, done.flicker_of_clip = done.flicker / pairs, done.flicker_of_clip / pairs
    done.rate = _rate(done, plan, clip.damaged)
    done.size = plan.size
    if sound:
        done.copied, done.encoded = sound.copied, sound.encoded
    if interrupted:
        raise interrupted
    return done


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Raises VideoError where a file could not be written."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        reason = "" if isinstance(error, av.FFmpegError) else f" ({error.strerror})"
        fix = "free space, or choose another -o"
        raise VideoError(f"{target} could not be written whole{reason}: {fix}") from error


def _join(target: Path, clip: Clip, plan: Plan, segments: Segments, done: Painted, whole: bool) -> Sound | None:
    """Makes the file of its segments, and returns its sound: none where it has none, or none that can be written."""
    joined, times = segments.folder / f"joined{target.suffix}", (done.last, done.ends)
    try:
        sound = join(joined, segments.paths, plan, clip, times, whole, clip.has_sound)
    except av.FFmpegError:
        if not clip.has_sound:
            raise
        sound = join(joined, segments.paths, plan, clip, times, whole, with_sound=False)
        log.warning("the sound of %s is damaged, and was left out", clip.name)
    os.replace(joined, target)
    return sound


def _paint_frames(
    clip: Clip,
    paint: Callable[[np.ndarray], np.ndarray],
    plan: Plan,
    segments: Segments,
    done: Painted,
    steady: bool,
    measure: bool,
    on_frame: Callable[[int], None],
) -> KeyboardInterrupt | None:
    """Paints the frames that are still to be done into segments; returns what interrupted it."""
    last = segments.pictures  # the frame before, and its painting
    origin = None
    with closing(ahead(iter(clip))) as frames, behind() as later:
        for number, frame in enumerate(frames):
            if origin is None:
                origin = frame.time if plan.format.animated else 0
            if number < done.read:
                continue
            done.read += 1
            tick = round((frame.time - origin) / plan.clock)
            done.ends = max(done.ends, round((frame.time - origin + frame.duration) / plan.clock))
            if done.frames and tick < done.last + plan.format.shortest:
                if plan.format.shortest > 1:  # than which the format shows none shorter
                    continue
                tick = done.last + 1
            painting = paint(frame.pixels)
            if last and (steady or measure):
                moved = motion(last[0], frame.pixels)
                grown = moved.at(*painting.shape[:2])
                if steady:
                    painting = blend(grown, last[1], painting)
                if measure:
                    done.flicker += flicker(grown, last[1], painting)
                    done.flicker_of_clip += flicker(moved, last[0], frame.pixels)
            later(segments.write, painting, tick)
            last = (frame.pixels, painting) if steady or measure else ()
            done.first = done.first if done.frames else tick
            done.last, done.ends = tick, max(tick + plan.format.shortest, done.ends)
            done.frames += 1
            if done.frames % FRAMES == 0:
                later(segments.finish, asdict(done), last)
            try:
                on_frame(done.read)
            except KeyboardInterrupt as interrupt:
                later(segments.finish, asdict(done), last)
                return interrupt
        later(segments.finish, asdict(done), last)
    return None


def _rate(done: Painted, plan: Plan, damaged: bool) -> float:
    """Returns the frames a second of what was written; the clip's own, where clocks or damage differ."""
    measured = float(done.frames / ((done.ends - done.first) * plan.clock))
    return float(plan.rate) if damaged or abs(measured / plan.rate - 1) < 0.02 else measured
