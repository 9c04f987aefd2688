"""`e2e-art infer` with a clip or a camera."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from ..errors import OptionError
from ..painting.photo import Painter
from ..painting.video import SUFFIXES, Clip, paint_clip
from .flags import check_free
from .infer_photos import Output
from .progress import Progress

__all__ = ["paint_video"]


def paint_video(
    sources: Sequence[str],
    painter: Painter,
    look: Mapping[str, Any],
    output: Output,
    steady: bool = False,
    measure: bool = False,
) -> None:
    """Paints a clip in its own size.

    sources: one file, or one camera's number or address.  look: options of `Painter.stages`.  steady: blend each frame
    with the one before, warped.  measure: print the flicker.
    """
    if len(sources) != 1:
        raise OptionError("One clip at a time: give one file, or --camera without any")
    target = Path(output.out or "")
    if target.suffix.lower() not in SUFFIXES:
        raise OptionError(f"-o must be a clip's name, ending in {', '.join(SUFFIXES)}, not '{output.out}'")
    check_free([target], output.overwrite)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our message on a broken file says enough
    cv2.setLogLevel(0)
    clip = Clip(int(sources[0]) if sources[0].isdecimal() else sources[0])
    paint = partial(painter, stage=output.stage, **{**look, "as_painted": False})
    with Progress(total=clip.count or None, unit="frame") as bar:
        try:
            done = paint_clip(clip, target, paint, steady=steady, measure=measure, on_frame=lambda frames: bar.step())
        except KeyboardInterrupt:
            bar.write(f"{target} ends after {bar.n} frames", file=sys.stderr)
            raise
        finally:
            clip.close()
    height, width = clip.size
    sound = "with its sound" if done.sound else "without sound"
    print(f"{target}: {done.frames} frames of {width}x{height} at {clip.rate:g} a second, {sound}", file=sys.stderr)
    if measure:
        print(f"flicker: {done.flicker:.1f} squared gray levels a frame, the clip itself {done.flicker_of_clip:.1f}")
