"""`e2e-art infer` with a clip or a camera."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..clips.formats import ANIMATED, FORMATS, READABLE, format_of
from ..errors import OptionError
from ..files import sha256_of
from ..images.io import count_frames
from ..painting.photo import Painter
from .flags import check_free
from .infer_targets import Output
from .progress import Progress

if TYPE_CHECKING:
    from ..painting.video import Clip, Painted

__all__ = ["is_clip", "paint_video"]


def is_clip(source: str, out: str | None) -> bool:
    """Says whether what is given is to be painted as a clip: by its suffix, or as a picture of several frames.

    A picture of several frames is one where OUT can hold several; a .png only for one that is a .png itself.
    """
    path, target = Path(source), Path(out or "").suffix.lower()
    if path.suffix.lower() in READABLE:
        return not path.is_dir()
    holds = target in FORMATS and (target != ".png" or path.suffix.lower() == ".png")
    return path.suffix.lower() in ANIMATED and holds and count_frames(path) > 1


def paint_video(
    sources: Sequence[str],
    painter: Painter,
    look: Mapping[str, Any],
    output: Output,
    steady: bool = False,
    measure: bool = False,
    camera: str | None = None,
    resume: bool = False,
) -> None:
    """Paints a clip in its own size, at its own times.

    sources: one file, none with a camera.  look: options of `Painter.stages`.  steady: blend each frame with the one
    before, warped.  measure: print the flicker.  camera: its number or address.  resume: go on where it was
    interrupted.
    """
    if len(sources) != (camera is None):
        raise OptionError("One clip at a time, without photos: give one file, or --camera without any")
    target = Path(output.out or "")
    format_of(target)
    from ..clips.camera import Camera  # with their libraries, which take long to load
    from ..clips.segments import is_part
    from ..painting.video import open_clip, paint_clip

    if not (resume and is_part(target)):
        check_free([target], output.overwrite)
    clip = Camera(camera) if camera is not None else open_clip(sources[0])
    look = {**look, "as_painted": False}
    paint = partial(painter, stage=output.stage, **look)
    with Progress(total=clip.count or None, unit="frame") as bar:

        def on_frame(frames: int) -> None:
            bar.n = frames - 1
            bar.step()

        try:
            request = _request(clip, painter, {**look, "stage": output.stage})
            options: dict[str, Any] = {"steady": steady, "measure": measure, "resume": resume, "request": request}
            done = paint_clip(clip, target, paint, **options, on_frame=on_frame)
        except KeyboardInterrupt:
            if camera is not None:
                bar.write(f"{target} ends after {bar.n} frames", file=sys.stderr)
            elif is_part(target):
                bar.write(
                    f"{target} ends after {bar.n} frames: the same command with --resume goes on", file=sys.stderr
                )
            raise
        finally:
            clip.close()
    print(f"{target}: {_report(clip, done)}", file=sys.stderr)
    if measure:
        print(f"flicker: {done.flicker:.1f} squared gray levels a frame, the clip itself {done.flicker_of_clip:.1f}")


def _request(clip: Clip, painter: Painter, look: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what must be the same to go on with an interrupted clip: the clip, the model, and how it is painted."""
    if clip.path is None:
        return {}
    model = painter.model
    files = model.files or {model.name: sha256_of(model.folder / f"{model.name}.onnx")}
    return {"clip": sha256_of(clip.path), "model": files, "look": dict(look)}


def _report(clip: Clip, done: Painted) -> str:
    """Returns what was written, and what of the clip is not in it."""
    height, width = done.size
    missing = clip.count > done.frames
    count = f"{done.frames} of {clip.count}" if missing else str(done.frames)
    tracks = done.copied + done.encoded
    sound = "without sound" if not tracks else "with its sound" if tracks == 1 else f"with its {tracks} sound tracks"
    notes = [
        f"{count} frames of {width}x{height} at {done.rate:.4g} a second",
        sound + " (encoded anew)" * bool(done.encoded),
    ]
    if done.size != clip.size:
        notes.append(f"one pixel more than the clip's {clip.size[1]}x{clip.size[0]} where H.264 wants an even side")
    if clip.damaged:
        notes.append("the clip is damaged or cut short" + ", and the other frames could not be read" * missing)
    elif missing:
        notes.append("the format shows no more frames a second")
    return ", ".join(notes)
