"""`e2e-art infer` with photos: read ahead, painted one by one, written with their stages and a sheet where wanted."""

from __future__ import annotations

import glob
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..errors import ImageError, OptionError, UserError
from ..images.io import WRITABLE_SUFFIXES, check_suffix, encode_image, list_images, read_image, write_image
from ..images.resize import resize
from ..images.sheet import sheet
from ..models.folder import Model
from ..painting.photo import Painter
from .flags import check_free

if TYPE_CHECKING:
    from ..evaluation.evaluator import Evaluator

__all__ = ["Output", "PaintOptions", "paint_photos"]

log = logging.getLogger(__name__)

STREAM = "-"  # stdin as a photo, stdout as a painting
AHEAD = 3  # photos decoded before their turn


@dataclass(frozen=True)
class PaintOptions:
    """How photos and frames are painted: the options of `Painter.stages`."""

    strength: float = 1.0
    size: int | None = None
    as_painted: bool = False
    keep_colors: bool = False
    denoise: float = 0.0
    tile: int | None = None
    guided: bool = False


@dataclass(frozen=True)
class Output:
    """What to write: OUT as given, of which stage (the last one by default), and whether files may be replaced."""

    out: str | None = None
    stage: int | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class _Job:
    """A photo to read, and the file its painting goes to."""

    photo: str
    target: Path | None  # None is stdout

    def outputs(self, stages: Sequence[int]) -> list[Path]:
        """Returns the files to write: the painting, and of several stages each one and a sheet."""
        if self.target is None or len(stages) == 0:
            return [self.target] if self.target else []
        names = [*(f"stage-{stage}{self.target.suffix}" for stage in stages), "sheet.jpg"]
        return [self.target, *(self.target.with_name(f"{self.target.stem}_{name}") for name in names)]


def paint_photos(
    photos: Sequence[str], load: Callable[[], Painter], options: PaintOptions, output: Output, every_stage: bool = False
) -> int:
    """Paints photos; photos that cannot be read are skipped where there are others.

    photos: files, folders, patterns or "-".  load: returns the painter.  output: its OUT is a file, a folder, or "-".
    every_stage: also write each stage, and a sheet of them all.
    """
    if not photos or not output.out:
        raise OptionError("Say what to paint and where to: e2e-art infer PHOTO... -o OUT (--help lists all flags)")
    jobs = list(_jobs(photos, output.out))
    painter = load()
    last = len(painter.model.stages) - 1 if output.stage is None else output.stage
    stages = [*range(last), last] if every_stage else []
    _check_targets(jobs, stages, output.overwrite)
    evaluator = _evaluator(painter.model) if every_stage else None
    done, seconds, failures = 0, 0.0, 0
    with ThreadPoolExecutor(1) as reader, tqdm(total=len(jobs), unit="photo", disable=len(jobs) == 1) as bar:
        for job, photo in _read_ahead(reader, jobs):
            if isinstance(photo, ImageError):
                if len(jobs) == 1:
                    raise photo
                failures += 1
                bar.write(f"skipped: {photo}", file=sys.stderr)
            else:
                started = time.perf_counter()
                pictures = _paint(painter, photo, stages or [last], options)
                seconds += time.perf_counter() - started
                written = [pictures[-1]]
                if stages:
                    labels = [Path(job.photo).name, *_labels(evaluator, photo, pictures)]
                    written += [*pictures, sheet([photo, *pictures], labels, painter.model.title)]
                _write(job.outputs(stages), written, output.overwrite)
                if stages or (job.target and log.isEnabledFor(logging.DEBUG)):
                    print("\n".join(map(str, job.outputs(stages))))
                done += 1
            bar.update()
    report = f"{done} painted in {seconds:.2f} s"
    if failures:
        report += f", {failures} could not be read and {'was' if failures == 1 else 'were'} skipped"
    print(report, file=sys.stderr)
    if not done:
        raise UserError(f"None of the {len(jobs)} photos could be read: the lines above say why")
    return 0


def _jobs(photos: Sequence[str], out: str) -> Iterator[_Job]:
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
        yield _Job(found[0][0], None)
    elif single and (Path(out).suffix or found[0][0] == STREAM) and not Path(out).is_dir():
        yield _Job(found[0][0], Path(out))
    else:
        if Path(out).is_file():
            raise OptionError(f"{out} is a file, and there are {len(found)} photos: give a folder as -o")
        for photo, name in found:
            target = Path(out) / name
            yield _Job(photo, target if target.suffix.lower() in WRITABLE_SUFFIXES else target.with_suffix(".png"))


def _check_targets(jobs: Sequence[_Job], stages: Sequence[int], overwrite: bool) -> None:
    """Finds before the work what would only show after it: files in the way, formats that cannot be written."""
    seen: set[Path] = set()
    for job in jobs:
        if job.target is None and stages:
            raise OptionError("--stages writes several files: give a file or folder as -o")
        if job.target is not None:
            check_suffix(job.target)
        for path in job.outputs(stages):
            if path in seen:
                raise OptionError(
                    f"Two pictures would both become {path}: give their folder instead, it keeps its tree, or paint "
                    "them one by one"
                )
            seen.add(path)
    check_free([path for job in jobs for path in job.outputs(stages)], overwrite)


def _read_ahead(reader: ThreadPoolExecutor, jobs: Sequence[_Job]) -> Iterator[tuple[_Job, np.ndarray | ImageError]]:
    """Yields each job with its photo, decoded while others are painted, or with the reason why it cannot be read."""

    def read(job: _Job) -> np.ndarray | ImageError:
        try:
            return read_image(_standard_input() if job.photo == STREAM else job.photo)
        except ImageError as error:
            return error

    waiting = [reader.submit(read, job) for job in jobs[:AHEAD]]
    for index, job in enumerate(jobs):
        waiting += [reader.submit(read, later) for later in jobs[index + AHEAD : index + AHEAD + 1]]
        yield job, waiting.pop(0).result()


def _standard_input() -> io.BytesIO:
    content = io.BytesIO(sys.stdin.buffer.read())
    content.name = "standard input"  # what messages call it
    return content


def _paint(painter: Painter, photo: np.ndarray, stages: Sequence[int], options: PaintOptions) -> list[np.ndarray]:
    """Returns the pictures of stages; a bar shows the tiles of a large photo."""
    with tqdm(unit="tile", leave=False, delay=1) as bar:

        def on_tile(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        return painter.stages(photo, stages, **asdict(options), on_tile=on_tile)


def _write(paths: Sequence[Path], pictures: Sequence[np.ndarray], overwrite: bool) -> None:
    """Writes pictures, without paths the only one to standard output."""
    for path, picture in zip(paths, pictures):
        write_image(path, picture, overwrite)
    if not paths:
        try:
            sys.stdout.buffer.write(encode_image(pictures[0], ".png"))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(
                f"standard output cannot be written ({error.strerror}): free space, or give a file as -o"
            ) from error


def _evaluator(model: Model) -> Evaluator | None:
    """Returns what measures the losses on sheets; None without the training extra, and for models without a style."""
    try:
        from ..evaluation.evaluator import Evaluator

        return Evaluator(model)
    except UserError as error:
        log.debug("sheets show no losses: %s", error)
        return None


def _labels(evaluator: Evaluator | None, photo: np.ndarray, pictures: Sequence[np.ndarray]) -> list[str]:
    """Returns each stage's number and, where they can be measured, its losses at the size of the pictures."""
    losses: list[dict[str, float]] = []
    if evaluator:
        try:
            losses = evaluator.losses(resize(photo, *pictures[0].shape[:2]), pictures)
        except UserError as error:
            log.debug("the sheet shows no losses: %s", error)
    labels = [f"stage {stage}" for stage in range(len(pictures))]
    words = "\ntotal {total:.2f}: style {style:.2f}, content {content:.2f}"
    return [label + words.format(**loss) for label, loss in zip(labels, losses)] or labels
