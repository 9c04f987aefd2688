"""Photos one by one: read ahead, made into pictures, written, reported; some may fail, and Ctrl-C may come."""

from __future__ import annotations

import errno
import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ..errors import ModelError, OptionError, UserError, naming, plural
from ..images.io import Metadata, Picture, check_sides, encode_image, read_picture, write_image
from .console import read_bytes, write_bytes
from .infer_targets import STREAM, Output, Target
from .progress import Progress
from .report import report

__all__ = ["Made", "paint_batch"]

log = logging.getLogger(__name__)

AHEAD = 3  # photos decoded before their turn
PAINTED, EXISTED = "painted", "existed"  # ends of photos
# What is wrong with one name alone; other errors of writing, such as a full disk, would meet all photos.
_OF_ONE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR)


class Made(NamedTuple):
    """The pictures made of one photo, for its files in turn: paintings have its metadata, contact sheets have none.

    opacity: of the paintings, uint8 (H, W), where they have one.
    """

    paintings: Sequence[np.ndarray]
    sheets: Sequence[np.ndarray] = ()
    opacity: np.ndarray | None = None


Make = Callable[[str, Picture], Made]
Size = Callable[[int, int], tuple[int, int]]


@dataclass
class _Tally:
    """How many photos came to which end; what is done to them is called `verb`."""

    verb: str = PAINTED
    ends: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.perf_counter)

    def __str__(self) -> str:
        seconds = time.perf_counter() - self.started
        others = [(end, count) for end, count in self.ends.items() if end != PAINTED]
        skipped = [plural(count, f"{end} and was", f"{end} and were") for end, count in others]
        made = f"{self.ends[PAINTED]} {self.verb} in {seconds:.1f} s"
        return ", ".join([made, *(f"{each} skipped" for each in skipped)])


def paint_batch(
    targets: Sequence[Target],
    make: Make,
    model: str,
    output: Output,
    notes: Sequence[str] = (),
    verb: str = PAINTED,
    size: Size = lambda height, width: (0, 0),
) -> None:
    """Makes and writes the pictures of photos; photos that fail are skipped and counted where there are others.

    targets: the photos, and the files of each.  make: returns the pictures for the files of a photo, given its name and
    itself.  model: the name to report.  notes: what else to say at the end.  verb: what is done, for messages.
    size: returns height and width of the paintings of a photo of that size, as far as they are known before.

    Raises UserError where none could be painted, and for what would meet all photos alike: wrong options, a full disk.
    Ctrl-C is answered between two photos.
    """
    tally, several = _Tally(verb), len(targets) > 1
    todo = []
    for target in targets:
        if output.skip_existing and target.exists:
            tally.ends[EXISTED] += 1
            if output.json:
                report(target.photo, target.files[0], model, skipped="exists")
        else:
            todo.append(target)
    bar = Progress(total=len(todo), unit="photo") if len(todo) > 1 else None
    try:
        with bar or nullcontext(), closing(_read_ahead(todo)) as decoded:
            for target, picture in zip(todo, decoded):
                tally.ends[_paint(target, picture, make, model, output, several, size)] += 1
                if bar:
                    bar.step()
    except KeyboardInterrupt:
        if several:
            way = "" if output.overwrite else "; the same command with --skip-existing goes on"
            print(f"Interrupted: {tally}{way}", file=sys.stderr)
        raise
    except UserError:
        if tally.ends[PAINTED]:
            print(tally, file=sys.stderr)
        raise
    print(tally, *notes, sep="\n", file=sys.stderr)
    if not tally.ends[PAINTED] + tally.ends[EXISTED]:
        end = "read" if tally.ends["could not be read"] == len(targets) else verb
        raise UserError(f"None of the {len(targets)} photos could be {end}: the lines above say why")


def _paint(
    target: Target, decoded: Future[Picture], make: Make, model: str, output: Output, several: bool, size: Size
) -> str:
    """Makes and writes the pictures of one photo; returns what came of it."""
    started, step = time.perf_counter(), "read"
    try:
        photo = decoded.result()
        step = PAINTED
        for file in target.files[:1]:  # the others are of its kind, or contact sheets
            check_sides(file, *size(*photo.pixels.shape[:2]))
        with naming("standard input" if target.photo == STREAM else target.photo):
            made = make(target.photo, photo)
        step = "written"
        _write(target, made, None if output.strip else photo.metadata, output)
    except UserError as error:
        if output.json:
            report(target.photo, target.files[0], model, skipped=str(error))
        if not several or _concerns_all(error, step):
            raise
        tqdm.write(f"skipped: {error}", file=sys.stderr)
        return f"could not be {step}"
    if output.json:
        seconds, (first, *others) = time.perf_counter() - started, target.files
        shape = [*made.paintings, *made.sheets][0].shape
        report(target.photo, first, model, shape, seconds, beside=list(map(str, others)))
    return PAINTED


def _concerns_all(error: UserError, step: str) -> bool:
    """Says whether other photos would meet the same error: of options, of the model, of a full disk."""
    cause = error.__cause__
    full = step == "written" and isinstance(cause, OSError) and cause.errno not in _OF_ONE_NAME
    return full or isinstance(error, (OptionError, ModelError))


def _write(target: Target, made: Made, metadata: Metadata | None, output: Output) -> None:
    """Writes the pictures of one photo to its files, or the first one to stdout."""
    paintings = [(painting, metadata, made.opacity) for painting in made.paintings]
    pictures = [*paintings, *((sheet, None, None) for sheet in made.sheets)]
    if not target.files:
        picture, its_metadata, opacity = pictures[0]
        write_bytes(encode_image(picture, ".png", its_metadata, opacity))
    for path, (picture, its_metadata, opacity) in zip(target.files, pictures):
        write_image(path, picture, output.overwrite or output.skip_existing, its_metadata, opacity)
        if not output.json and (len(pictures) > 1 or log.isEnabledFor(logging.DEBUG)):
            print(path)


def _read_ahead(targets: Sequence[Target]) -> Generator[Future[Picture], None, None]:
    """Yields photos, decoded while others are painted; those that cannot be read have an ImageError as their result."""
    waiting: deque[Future[Picture]] = deque()
    reader = ThreadPoolExecutor(1)
    try:
        for target in targets:
            source = read_bytes() if target.photo == STREAM else target.photo
            waiting.append(reader.submit(read_picture, source))
            if len(waiting) > AHEAD:
                yield waiting.popleft()
        yield from waiting
    finally:
        reader.shutdown(wait=False, cancel_futures=True)
