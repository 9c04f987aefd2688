"""`e2e-art infer` with photos: read ahead, painted one by one, written with their stages and a sheet where wanted."""

from __future__ import annotations

import glob
import io
import logging
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from ..errors import ImageError, OptionError, UserError
from ..images.io import WRITABLE_SUFFIXES, check_suffix, encode_image, is_animated, list_images, read_image, write_image
from ..images.resize import resize
from ..images.sheet import sheet
from ..models.folder import Model
from ..painting.photo import Painter
from .flags import check_free, find_double

if TYPE_CHECKING:
    from ..evaluation.evaluator import Evaluator

__all__ = ["Output", "paint_photos"]

log = logging.getLogger(__name__)

STREAM = "-"  # stdin as a photo, stdout as a painting
AHEAD = 3  # photos decoded before their turn


@dataclass(frozen=True)
class Output:
    """What to write: OUT as given, of which stage (the last one by default), and whether files may be replaced."""

    out: str | None = None
    stage: int | None = None
    overwrite: bool = False


def paint_photos(
    photos: Sequence[str], painter: Painter, look: Mapping[str, Any], output: Output, every_stage: bool = False
) -> None:
    """Paints photos; photos that cannot be read are skipped where there are others.

    photos: files, folders, patterns or "-".  look: options of `Painter.stages`.  output: its OUT is a file, a folder,
    or "-".  every_stage: also write each stage, and a sheet of them all.
    """
    if not photos or not output.out:
        raise OptionError("Say what to paint and where to: e2e-art infer PHOTO... -o OUT (--help lists all flags)")
    targets = _targets(photos, output.out)
    last = len(painter.model.stages) - 1 if output.stage is None else output.stage
    stages = [*range(last), last] if every_stage else []
    outputs = [_outputs(target, stages) for _, target in targets]
    paths = [path for files in outputs for path in files]
    if double := find_double(paths):
        raise OptionError(f"Two pictures would become {double}: give their folder, which keeps its tree, or rename one")
    check_free(paths, output.overwrite)
    evaluator = _evaluator(painter.model) if every_stage else None
    names = [name for name, _ in targets]
    done, seconds, several = 0, 0.0, len(names) > 1
    with ThreadPoolExecutor(1) as reader:
        queue = zip(names, outputs, _read_ahead(reader, names))
        for name, files, decoded in tqdm(queue, total=len(names), unit="photo", disable=not several):
            try:
                photo = decoded.result()
            except ImageError as error:
                if not several:
                    raise
                tqdm.write(f"skipped: {error}", file=sys.stderr)
                continue
            started = time.perf_counter()
            pictures = _paint(painter, photo, stages or [last], look)
            seconds += time.perf_counter() - started
            written = [pictures[-1]]
            if stages:
                labels = [Path(name).name, *_labels(evaluator, photo, pictures)]
                written += [*pictures, sheet([photo, *pictures], labels, painter.model.title)]
            for path, picture in zip(files, written):
                write_image(path, picture, output.overwrite)
                if stages or log.isEnabledFor(logging.DEBUG):
                    print(path)
            if not files:
                sys.stdout.buffer.write(encode_image(pictures[-1], ".png"))
                sys.stdout.buffer.flush()
            done += 1
    skipped = len(names) - done
    note = f", {skipped} could not be read and {'was' if skipped == 1 else 'were'} skipped" if skipped else ""
    print(f"{done} painted in {seconds:.2f} s{note}", file=sys.stderr)
    if not done:
        raise UserError(f"None of the {len(names)} photos could be read: the lines above say why")


def _targets(photos: Sequence[str], out: str) -> list[tuple[str, Path | None]]:
    """Returns each photo, and the file for its painting (None is stdout); folders keep their tree below OUT."""
    found: list[tuple[str, str]] = []  # each photo, and its name below OUT
    for photo in photos:
        if photo != STREAM and Path(photo).is_dir():
            inside = list_images(photo)
            if not inside:
                raise ImageError(f"The folder {photo} holds no pictures: check the path")
            found += [(str(path), str(path.relative_to(photo))) for path in inside]
        elif Path(photo).exists() or not glob.has_magic(photo):
            found.append((photo, "stdin.png" if photo == STREAM else Path(photo).name))
        else:
            matches = [path for path in sorted(glob.glob(photo, recursive=True)) if Path(path).is_file()]
            if not matches:
                raise ImageError(f"No file matches '{photo}': check the pattern")
            found += [(path, Path(path).name) for path in matches]
    single = found[0][0] if len(found) == 1 and not Path(photos[0]).is_dir() else None
    if out == STREAM:
        if single is None:
            raise OptionError(f"{len(found)} paintings do not fit into one stream: give a folder as -o")
        return [(single, None)]
    if single and (Path(out).suffix or single == STREAM) and not Path(out).is_dir():
        return [(single, Path(out))]
    if Path(out).is_file() or (Path(out).suffix.lower() in WRITABLE_SUFFIXES and not Path(out).is_dir()):
        raise OptionError(f"{out} is a file's name, and there are {len(found)} photos: give a folder as -o")
    files = [Path(out, name) for _, name in found]
    files = [file if file.suffix.lower() in WRITABLE_SUFFIXES else file.with_suffix(".png") for file in files]
    return [(photo, file) for (photo, _), file in zip(found, files)]


def _outputs(target: Path | None, stages: Sequence[int]) -> list[Path]:
    """Returns the files of one photo: its painting, and of several stages each one and a sheet; none for stdout."""
    if target is None:
        if stages:
            raise OptionError("--stages writes several files: give a file or folder as -o")
        return []
    check_suffix(target)
    ends = [*(f"_stage-{stage}{target.suffix}" for stage in stages), "_sheet.jpg"] if stages else []
    return [target, *(target.with_name(target.stem + end) for end in ends)]


def _read_ahead(reader: ThreadPoolExecutor, photos: Iterable[str]) -> Iterator[Future[np.ndarray]]:
    """Yields photos, decoded while others are painted; those that cannot be read have an ImageError as their result."""
    waiting: deque[Future[np.ndarray]] = deque()
    for photo in photos:
        waiting.append(reader.submit(_read, photo))
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    yield from waiting


def _read(photo: str) -> np.ndarray:
    if photo != STREAM:
        if (frames := is_animated(photo)) > 1:
            log.info("the first of %d frames of %s", frames, photo)
        return read_image(photo)
    content = io.BytesIO(sys.stdin.buffer.read())
    content.name = "standard input"  # what messages call it
    return read_image(content)


def _paint(painter: Painter, photo: np.ndarray, stages: Sequence[int], look: Mapping[str, Any]) -> list[np.ndarray]:
    """Returns the pictures of stages; a bar shows the tiles of a large photo."""
    with tqdm(unit="tile", leave=False, delay=1) as bar:

        def on_tile(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        return painter.stages(photo, stages, **look, on_tile=on_tile)


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
    labels = [f"stage {stage}" for stage in range(len(pictures))]
    try:
        losses = evaluator.losses(resize(photo, *pictures[0].shape[:2]), pictures) if evaluator else []
    except UserError as error:
        log.debug("the sheet shows no losses: %s", error)
        losses = []
    words = "\ntotal {total:.2f}: style {style:.2f}, content {content:.2f}"
    return [label + words.format(**loss) for label, loss in zip(labels, losses)] or labels
