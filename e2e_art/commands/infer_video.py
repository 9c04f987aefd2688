"""`e2e-art infer` with a clip or a camera."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..clips.formats import ANIMATED, FORMATS, READABLE, format_of
from ..errors import OptionError, UserError, naming, plural
from ..files import sha256_of
from ..images.io import IMAGE_SUFFIXES, count_frames
from ..models.folder import Model
from ..painting.enlarge import Enlarger
from ..painting.external import SUFFIX
from ..painting.photo import Painter
from .flags import check_free
from .infer_targets import STREAM, Output, check_kept
from .progress import Progress
from .report import report

if TYPE_CHECKING:
    from ..painting.video import Clip, Painted

__all__ = ["is_clip", "paint_video"]


def is_clip(source: str, out: str | None) -> bool:
    """Says whether what is given is to be painted as a clip: by its suffix or OUT's, or as a picture of several frames.

    A picture of several frames is one where OUT can hold several; a .png only for one that is a .png itself.
    """
    path, target = Path(source), Path(out or "").suffix.lower()
    kind, clips_alone = path.suffix.lower(), target in FORMATS and target not in ANIMATED
    if kind in READABLE or (clips_alone and kind not in IMAGE_SUFFIXES):
        return not path.is_dir()
    holds = target in FORMATS and (target != ".png" or kind == ".png")
    return kind in ANIMATED and holds and count_frames(path) > 1


def paint_video(
    sources: Sequence[str],
    painter: Painter | Enlarger,
    look: Mapping[str, Any],
    output: Output,
    steady: bool = False,
    measure: bool = False,
    camera: str | None = None,
    resume: bool = False,
) -> None:
    """Paints a clip, or enlarges it, at its own times.

    sources: one file, none with a camera.  painter: what makes a picture of a frame.  look: its options.  steady:
    blend each frame with the one before, warped.  measure: print the flicker.  camera: its number or address.  resume:
    go on where it was interrupted.
    """
    if len(sources) != (camera is None):
        raise OptionError("One clip at a time, without photos: give one file, or --camera without any")
    if not output.out or STREAM in (output.out, *sources):
        raise OptionError("A clip is read from a file and written to one: e2e-art infer CLIP -o OUT.mp4")
    target = Path(output.out)
    format_of(target)
    from ..clips.segments import is_part  # with its libraries, which take long to load

    if not (resume and is_part(target)):
        check_free([target], output.overwrite)
    check_kept(sources, [target], "the clip itself")
    options = {"steady": steady, "measure": measure, "resume": resume}
    source, started = camera if camera is not None else sources[0], time.perf_counter()
    tell = partial(report, source, target, painter.models[0].name)
    try:
        clip, size, done = _paint(source, painter, look, output, camera is not None, options)
    except UserError as error:
        if output.json:
            tell(skipped=str(error))
        raise
    print(f"{target}: {_report(clip, size, done)}", file=sys.stderr)
    flickers = {"flicker": round(done.flicker, 1), "flicker_of_clip": round(done.flicker_of_clip, 1)} if measure else {}
    if output.json:
        frames = {"frames": done.frames, "frames_of_clip": clip.count or done.frames}
        tracks, seconds = done.copied + done.encoded, time.perf_counter() - started
        tell(done.size, seconds, None, **frames, sound_tracks=tracks, **flickers)
    elif measure:
        print(f"flicker: {done.flicker:.1f} squared gray levels a frame, the clip itself {done.flicker_of_clip:.1f}")


def _paint(
    source: str,
    painter: Painter | Enlarger,
    look: Mapping[str, Any],
    output: Output,
    camera: bool,
    options: Mapping[str, Any],
) -> tuple[Clip, tuple[int, int], Painted]:
    """Opens a clip or camera, paints it while a bar shows the frames, and closes it; returns also the size asked for.

    look: options of the painter.  options: of `paint_clip`.
    """
    from ..clips.camera import Camera
    from ..clips.segments import is_part
    from ..painting.video import open_clip, paint_clip

    target = Path(output.out or "")
    clip = Camera(source) if camera else open_clip(source)
    if output.strip:
        clip.metadata = {}
    with closing(clip), Progress(total=clip.count or None, unit="frame", delay=0.01) as bar:

        def on_frame(frames: int) -> None:
            bar.n = frames - 1
            bar.step()

        try:
            size = painter.output_size(*clip.size, **{key: look[key] for key in look if key == "size"})
            paint, request = partial(painter, **look), _request(clip, painter.models, look, size)
            with naming(clip.name):
                done = paint_clip(clip, target, paint, **options, size=size, request=request, on_frame=on_frame)
        except KeyboardInterrupt:
            ends = f"{target} ends after {plural(int(bar.n), 'frame')}"
            if camera:
                bar.write(ends, file=sys.stderr)
            elif is_part(target):
                bar.write(f"{ends}: the same command with --resume goes on", file=sys.stderr)
            raise
    return clip, size, done


def _request(clip: Clip, models: Sequence[Model], look: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Returns what must be the same to go on with an interrupted clip: the clip, the models, and how it is painted."""
    if clip.path is None:
        return {}
    files = [
        model.files
        or {
            path.name: sha256_of(path)
            for path in sorted(model.folder.iterdir())
            if path.stem == model.name and path.suffix.lower() == SUFFIX
        }
        for model in models
    ]
    return {"clip": sha256_of(clip.path), "models": files, "look": dict(look), "size": size}


def _report(clip: Clip, size: tuple[int, int], done: Painted) -> str:
    """Returns what was written, and what of the clip is not in it."""
    height, width = done.size
    missing = clip.count > done.frames
    count = f"{done.frames} of {clip.count} frames" if missing else plural(done.frames, "frame")
    tracks = done.copied + done.encoded
    sound = "without sound" if not tracks else "with its sound" if tracks == 1 else f"with its {tracks} sound tracks"
    notes = [
        f"{count} of {width}x{height} at {done.rate:.4g} a second",
        sound + " (encoded anew)" * bool(done.encoded),
    ]
    if done.size != size:
        whose = "the clip's " if size == clip.size else ""
        notes.append(f"one pixel more than {whose}{size[1]}x{size[0]} where H.264 wants an even side")
    if clip.damaged:
        notes.append("the clip is damaged or cut short" + ", and the other frames could not be read" * missing)
    elif missing:
        notes.append("the format shows no more frames a second")
    return ", ".join(notes)
