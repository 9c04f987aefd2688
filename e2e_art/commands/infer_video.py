"""`infer.py` with a clip or a camera instead of a photo."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import cv2
from tqdm import tqdm

from ..errors import OptionError
from ..painting.photo import Painter
from ..painting.video import SUFFIXES, Clip, paint_clip
from .interrupt import Interrupt

__all__ = ["add_flags", "is_clip", "run"]


def add_flags(parser) -> None:
    """Adds the flags that clips alone have."""
    group = parser.add_argument_group("clips", "one clip as PHOTO, or the camera; its size, rate and sound are kept")
    group.add_argument(
        "--camera", nargs="?", const="0", metavar="N", help="record the camera of that number until Ctrl-C"
    )
    group.add_argument(
        "--steady", action="store_true", help="blend each painting with the last one, moved along: flickers less"
    )
    group.add_argument("--flicker", action="store_true", help="measure how much the painted clip flickers")


def is_clip(flags: argparse.Namespace) -> bool:
    """Returns whether what is to be painted is a clip."""
    return flags.camera is not None or any(Path(photo).suffix.lower() in SUFFIXES for photo in flags.photos)


def run(flags: argparse.Namespace, load) -> int:
    """Paints a clip; load: returns the painter, once the files are found free."""
    if len(flags.photos) + (flags.camera is not None) != 1:
        raise OptionError("One clip at a time: give one file, or --camera without any")
    if flags.stages:
        raise OptionError("--stages is for photos: leave it out, or choose one with --stage")
    target = Path(flags.out or "")
    if target.suffix.lower() not in SUFFIXES:
        raise OptionError(f"-o must be a clip's name, ending in {', '.join(SUFFIXES)}, not '{flags.out}'")
    if target.exists() and not flags.overwrite:
        raise OptionError(f"{target} exists: choose another -o, or add --overwrite")
    if flags.camera is None:
        source: str | int = flags.photos[0]
    else:
        source = int(flags.camera) if flags.camera.isdecimal() else flags.camera
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its own words on broken files: ours say enough
    cv2.setLogLevel(0)
    clip = Clip(source)
    painter: Painter = load()
    look = {name: getattr(flags, name) for name in ("strength", "size", "keep_colors", "denoise")}
    with tqdm(total=clip.count or None, unit="frame") as bar, Interrupt() as interrupt:

        def on_frame(frames: int) -> None:
            bar.update()
            interrupt.check()

        try:
            done = paint_clip(
                clip,
                target,
                lambda frame: painter(frame, flags.stage, **look),
                steady=flags.steady,
                measure=flags.flicker,
                on_frame=on_frame,
            )
        except KeyboardInterrupt:
            bar.write(f"{target} ends after {bar.n} frames", file=sys.stderr)
            raise
        finally:
            clip.close()
    height, width = clip.size
    sound = "with its sound" if done.sound else "without sound"
    print(f"{target}: {done.frames} frames of {width}x{height} at {clip.rate:g} a second, {sound}", file=sys.stderr)
    if flags.flicker:
        print(f"flicker: {done.flicker:.1f} squared gray levels a frame, the clip itself {done.flicker_of_clip:.1f}")
    return 0
