"""`infer.py`: photos in, paintings out."""

from __future__ import annotations

import argparse
import glob
import io
import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import ImageError, OptionError, UserError
from ..images.io import WRITABLE_SUFFIXES, check_suffix, encode_image, list_images, read_image, write_image
from ..images.sheet import sheet
from ..models.folder import Model, read_model
from ..models.kinds import DOODLE
from ..painting.engines import ENGINES
from ..painting.photo import Painter, load
from . import infer_doodle as cli_doodle
from . import infer_texture as cli_texture
from . import infer_video as cli_video
from .models import describe_model, describe_models

__all__ = ["add_command"]

log = logging.getLogger(__name__)

STREAM = "-"  # stdin as a photo, stdout as a painting
AHEAD = 3  # photos decoded before their turn


@dataclass(frozen=True)
class Job:
    """A photo to read, and the file its painting goes to."""

    photo: str
    target: Path | None  # None is stdout


def add_command(commands) -> None:
    """Adds `infer` to the commands."""
    parser = commands.add_parser(
        "infer",
        help="paint photos",
        description="Paint photos with a trained model.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="files, folders, patterns, or - for standard input")
    parser.add_argument(
        "--model", default="starry_night", help="a shipped model's name, a model's folder, or an ONNX file"
    )
    parser.add_argument("-o", "--out", metavar="OUT", help="a file for one photo, a folder for several, - for stdout")
    parser.add_argument("--stages", action="store_true", help="also write every stage, and a sheet of them all")
    parser.add_argument(
        "--stage", type=int, metavar="K", help="stop at stage K, counted from 0: nearer to the photo, and faster"
    )
    parser.add_argument("--strength", type=float, default=1.0, help="0 is the photo, 1 the trained look, up to 2")
    parser.add_argument("--keep-colors", action="store_true", help="keep the photo's colors")
    parser.add_argument(
        "--denoise", type=float, nargs="?", const=0.02, default=0.0, help="smooth the painting this much"
    )
    parser.add_argument(
        "--size",
        metavar="EDGE",
        help="long edge to paint at: sets the size of strokes; 0 for the photo's own",
    )
    parser.add_argument(
        "--tile", type=_edge, metavar="EDGE", default="auto", help="paint in tiles: auto if memory is short; 0 never"
    )
    parser.add_argument("--as-painted", action="store_true", help="leave the painting at --size")
    parser.add_argument("--guided", action="store_true", help="grow it back from --size with the photo's own edges")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what computes")
    parser.add_argument("--gpu", type=int, metavar="N", help="number of the GPU to use")
    parser.add_argument("--threads", type=int, metavar="N", help="threads to use: all cores if left out")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--list", action="store_true", help="list the shipped models")
    parser.add_argument("--info", action="store_true", help="tell how the model was trained")
    parser.add_argument("--verbose", action="store_true", help="say more")
    cli_video.add_flags(parser)
    cli_texture.add_flags(parser)


def run(flags: argparse.Namespace) -> int:
    """Paints; returns 0 where at least one painting was made."""
    if flags.list:
        return describe_models()
    if flags.info:
        return describe_model(read_model(flags.model))
    if flags.threads is not None:
        if flags.threads < 1:
            raise OptionError(f"--threads must be at least 1, not {flags.threads}")
        os.environ["OMP_NUM_THREADS"] = str(flags.threads)  # MXNet reads it when it is imported
    if flags.texture:
        return cli_texture.run(flags)
    if not flags.model.lower().endswith(".onnx") and read_model(flags.model).kind is DOODLE:
        return cli_doodle.run(flags)
    flags.size = _size(flags.size)
    if cli_video.is_clip(flags):
        return cli_video.run(flags, lambda: _load(flags))
    if not flags.photos or not flags.out:
        raise OptionError("Say what to paint and where to: e2e-art infer PHOTO... -o OUT (--help lists all flags)")
    jobs = list(_jobs(flags.photos, flags.out))
    painter = _load(flags)
    _check_targets(jobs, flags, len(painter.model.stages))
    done, seconds, failures = 0, 0.0, []
    with ThreadPoolExecutor(1) as reader, tqdm(total=len(jobs), unit="photo", disable=len(jobs) == 1) as bar:
        for job, photo in _read_ahead(reader, jobs):
            if isinstance(photo, ImageError):
                if len(jobs) == 1:
                    raise photo
                failures.append(photo)
                bar.write(f"skipped: {photo}", file=sys.stderr)
            else:
                started = time.perf_counter()
                pictures = _paint(painter, photo, flags)
                seconds += time.perf_counter() - started
                _write(job, photo, pictures, painter, flags)
                done += 1
            bar.update()
    report = f"{done} painted in {seconds:.2f} s"
    if failures:
        report += f", {len(failures)} could not be read and {'was' if len(failures) == 1 else 'were'} skipped"
    print(report, file=sys.stderr)
    if not done:
        raise UserError(f"None of the {len(jobs)} photos could be read: the lines above say why")
    return 0


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.lstrip("-").isdecimal():
        raise OptionError(f"--size takes the long edge of a photo in pixels, such as 800, not '{text}'")
    return int(text)


def _edge(text: str) -> int | None:
    return None if text == "auto" else int(text)


def _load(flags: argparse.Namespace) -> Painter:
    return load(flags.model, flags.engine, flags.threads, flags.gpu)


def _jobs(photos: list[str], out: str) -> Iterator[Job]:
    """Yields what to paint; folders keep their tree below OUT."""
    found: list[tuple[str, str]] = []  # the photo, and its name below OUT
    for photo in photos:
        if photo == STREAM:
            found.append((photo, "stdin.png"))
        elif Path(photo).is_dir():
            inside = list_images(photo)
            if not inside:
                raise ImageError(f"The folder {photo} holds no pictures: check the path")
            found += [(str(path), str(path.relative_to(photo))) for path in inside]
        elif Path(photo).exists() or not glob.has_magic(photo):
            found.append((photo, Path(photo).name))
        else:
            matches = [path for path in sorted(glob.glob(photo, recursive=True)) if Path(path).is_file()]
            if not matches:
                raise ImageError(f"No file matches '{photo}': check the pattern")
            found += [(path, Path(path).name) for path in matches]
    single = len(found) == 1 and not Path(photos[0]).is_dir()
    if out == STREAM:
        if not single:
            raise OptionError(f"{len(found)} paintings do not fit into one stream: give a folder as -o")
        yield Job(found[0][0], None)
    elif single and (Path(out).suffix or found[0][0] == STREAM) and not Path(out).is_dir():
        yield Job(found[0][0], Path(out))
    else:
        if Path(out).is_file():
            raise OptionError(f"{out} is a file, and there are {len(found)} photos: give a folder as -o")
        for photo, name in found:
            target = Path(out) / name
            yield Job(photo, target if target.suffix.lower() in WRITABLE_SUFFIXES else target.with_suffix(".png"))


def _stage_path(target: Path, stage: int) -> Path:
    return target.with_name(f"{target.stem}_stage-{stage}{target.suffix}")


def _sheet_path(target: Path) -> Path:
    return target.with_name(f"{target.stem}_sheet.jpg")


def _outputs(target: Path, flags: argparse.Namespace, count: int) -> list[Path]:
    """Returns the files that one photo becomes; count: stages of the model."""
    stages = [_stage_path(target, stage) for stage in range(count if flags.stage is None else flags.stage + 1)]
    return [target, *stages, _sheet_path(target)] if flags.stages else [target]


def _check_targets(jobs: list[Job], flags: argparse.Namespace, count: int) -> None:
    """Finds before the work what would only show after it: files in the way, formats that cannot be written."""
    if flags.stages and flags.out == STREAM:
        raise OptionError("--stages writes several files: give a file or folder as -o")
    seen: set[Path] = set()
    existing = []
    for job in jobs:
        if job.target is None:
            continue
        check_suffix(job.target)
        for path in _outputs(job.target, flags, count):
            if path in seen:
                raise OptionError(
                    f"Two pictures would both become {path}: give their folder instead, it keeps its tree, or paint "
                    "them one by one"
                )
            seen.add(path)
            if path.exists():
                existing.append(path)
    if existing and not flags.overwrite:
        others = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise OptionError(f"{existing[0]}{others} exists: choose another -o, or add --overwrite")


def _read_ahead(reader: ThreadPoolExecutor, jobs: list[Job]) -> Iterator[tuple[Job, np.ndarray | ImageError]]:
    """Yields each job with its photo, decoded while others are painted, or with the reason why it cannot be read."""

    def read(job: Job):
        try:
            return read_image(_standard_input() if job.photo == STREAM else job.photo)
        except ImageError as error:
            return error

    waiting = [(job, reader.submit(read, job)) for job in jobs[:AHEAD]]
    for index in range(len(jobs)):
        job, future = waiting.pop(0)
        if index + AHEAD < len(jobs):
            waiting.append((jobs[index + AHEAD], reader.submit(read, jobs[index + AHEAD])))
        yield job, future.result()


def _standard_input() -> io.BytesIO:
    content = io.BytesIO(sys.stdin.buffer.read())
    content.name = "standard input"  # what messages call it
    return content


def _paint(painter: Painter, photo: np.ndarray, flags: argparse.Namespace) -> list[np.ndarray]:
    """Returns the pictures to write: of every stage, or of the last one alone."""
    last = len(painter.model.stages) - 1 if flags.stage is None else flags.stage
    with tqdm(unit="tile", leave=False, delay=1) as bar:

        def on_tile(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        return painter.stages(
            photo,
            [*range(last), last] if flags.stages else [last],
            strength=flags.strength,
            size=flags.size,
            as_painted=flags.as_painted,
            keep_colors=flags.keep_colors,
            denoise=flags.denoise,
            tile=flags.tile,
            guided=flags.guided,
            on_tile=on_tile,
        )


def _write(job: Job, photo: np.ndarray, pictures: list[np.ndarray], painter: Painter, flags) -> None:
    if job.target is None:
        try:
            sys.stdout.buffer.write(encode_image(pictures[-1], ".png"))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(
                f"standard output cannot be written ({error.strerror}): free space, or give a file as -o"
            ) from error
        return
    write_image(job.target, pictures[-1], flags.overwrite)
    written = [job.target]
    if flags.stages:
        for stage, picture in enumerate(pictures):
            written.append(_stage_path(job.target, stage))
            write_image(written[-1], picture, flags.overwrite)
        written.append(_sheet_path(job.target))
        labels = [Path(job.photo).name, *_labels(painter.model, photo, pictures)]
        write_image(written[-1], sheet([photo, *pictures], labels, painter.model.title), flags.overwrite)
    if log.isEnabledFor(logging.DEBUG) or flags.stages:
        for path in written:
            print(path)


def _labels(model: Model, photo: np.ndarray, pictures: list[np.ndarray]) -> list[str]:
    """Returns each stage's number and, where the training extra is there, its losses."""
    try:
        from ..evaluation.evaluator import Evaluator

        losses = Evaluator(model).losses(photo, pictures)
    except UserError as error:
        log.debug("the sheet goes without losses: %s", error)
        return [f"stage {stage}" for stage in range(len(pictures))]
    return [
        f"stage {stage}\ntotal {loss['total']:.2f}: style {loss['style']:.2f}, content {loss['content']:.2f}"
        for stage, loss in enumerate(losses)
    ]
