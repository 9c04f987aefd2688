"""What becomes of broken files, and of commands that are killed: counts what was read, what was refused, and faults.

python benchmarks/robustness.py                             # 20,000 pictures, 1,000 of each other kind, 100 kills
python benchmarks/robustness.py --kinds pictures=500 clips=100 --seed 7
python benchmarks/robustness.py --kinds pictures --only 1234               # one case again, with all that it said
python benchmarks/robustness.py --kinds kills=20 --jobs paint train

Case number n of a kind and a seed is the same on every machine with the same libraries.  A broken file is to be read,
or refused in one sentence that names it.  A fault is anything else: another exception, a crash, more than 10 seconds,
more than 1 GB of memory for a file below 1 MB, and whatever readers print by themselves.  Faults are kept in a folder,
and the exit code is 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import logging
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
from broken_files import CASES
from kills import JOBS, apart, kill_at_random
from whole_files import make_whole_files, training_options

from e2e_art.commands.main import main as command_line
from e2e_art.data.listing import list_photos
from e2e_art.engines.choice import chosen
from e2e_art.errors import ImageError, UserError, unknown
from e2e_art.images.io import WRITABLE_SUFFIXES, encode_image, read_image, read_picture
from e2e_art.images.regions import style_regions
from e2e_art.training.trainer import Training

__all__ = ["READERS", "Result", "fuzz"]

SECONDS = 10  # that a case may take
GIGABYTE, SMALL = 2**30, 10**6  # bytes of memory that a file below so many bytes may take
MOST_MEMORY = 3 * GIGABYTE  # above which a process is killed: it is to be seen, not to harm the machine
COUNTS = {**dict.fromkeys(CASES, 1_000), "pictures": 20_000, "kills": 100}  # by default


# How the library reads a kind: the broken file and a folder with the whole ones; raises UserError to refuse it.


def _read_picture(path: Path, whole: Path) -> None:
    """Reads a picture as trainings do, and as photos are painted: then its metadata go into the painting."""
    read_image(path, at_least=8)
    picture = read_picture(path)
    if picture.pixels.dtype != np.uint8 or picture.pixels.ndim != 3 or 0 in picture.pixels.shape:
        raise AssertionError(f"read as {picture.pixels.dtype} {picture.pixels.shape}")
    suffix = WRITABLE_SUFFIXES[path.stat().st_size % len(WRITABLE_SUFFIXES)]
    try:
        content = encode_image(picture.pixels, suffix, picture.metadata)
    except ImageError:
        return  # it is too large for that format: the command names the file that it would write
    again = read_image(io.BytesIO(content))
    if again.shape != picture.pixels.shape:
        raise AssertionError(f"{picture.pixels.shape} was written as {again.shape}")


def _read_mask(path: Path, whole: Path) -> None:
    style_regions(np.zeros((36, 48, 3), np.uint8), read_image(path), str(path))


def _read_list(path: Path, whole: Path) -> None:
    list_photos(whole / "lists" / "photos", path)


def _read_checkpoint(path: Path, whole: Path) -> None:
    Training(training_options(whole / "checkpoints"), path, resume=True, bfloat16=False)


def _paint_clip(path: Path, whole: Path) -> None:
    suffix = ".webp" if path.suffix in (".gif", ".png", ".webp") else ".mp4"  # those may have become still pictures
    _infer(path, "--model", whole / "models" / "chain", "-o", path.with_name(f"painted{suffix}"))


def _paint_external(path: Path, whole: Path) -> None:
    _infer(whole / "photo.png", "--model", path, "-o", path.with_name("painted.png"))


def _paint_model(path: Path, whole: Path) -> None:
    """Describes a model, paints with it (by ONNX and Gluon, photos, textures and doodles), exports or upgrades it."""
    _run("infer", "--info", "--model", path)
    out = ("-o", path.with_name("painted.png"), "--overwrite")
    for engine in ("onnx", chosen()):
        if path.name == "texture":
            _infer("--texture", path, "--size", "32x32", "--engine", engine, *out)
        else:
            _infer(whole / "photo.png", "--model", path, "--engine", engine, *out)
    if path.name == "chain":
        _infer(whole / "photo.png", "--model", path, "--tile", 64, *out)
        _infer(whole / "photo.png", "--model", path, "--stages", *out)  # judges them by style.npz
        _run("export", "--onnx", path.with_name("one.onnx"), "--model", path)
    if path.name == "old":
        _run("models", "--upgrade", path)


READERS: dict[str, Callable[[Path, Path], None]] = {
    **{"pictures": _read_picture, "masks": _read_mask, "clips": _paint_clip, "models": _paint_model},
    **{"onnx": _paint_external, "checkpoints": _read_checkpoint, "lists": _read_list},
}


def _infer(*words: object) -> None:
    _run("infer", *words, "--threads", 1)


def _run(*words: object) -> None:
    """Runs a command in this process; raises UserError with the sentence that it ends with."""
    said, streams = io.StringIO(), (sys.stdout, sys.stderr)
    sys.stdout = sys.stderr = said
    try:
        code = command_line(list(map(str, words)))
    finally:
        sys.stdout, sys.stderr = streams
    lines = said.getvalue().splitlines()
    sentences = [line for line in lines if line.startswith("e2e-art: ")]
    if code == 2 and len(sentences) == 1 and lines[-1] == sentences[0]:
        raise UserError(sentences[0])
    if code or sentences or "Traceback" in said.getvalue():
        raise AssertionError(f"exit code {code} after saying {said.getvalue()!r}")


# Cases, each in a process that it may take down with it


@dataclass(frozen=True)
class Result:
    """What became of a case: read, refused or a fault, and the sentence or what went wrong."""

    number: int
    outcome: str
    text: str = ""


def fuzz(
    kind: str, numbers: Sequence[int], seed: int, whole: Path, faults: Path, processes: int = 1
) -> Iterator[Result]:
    """Yields the results of cases, as they come; a process that dies is begun anew after the case that it died of.

    whole: the folder of whole files.  faults: where what made a fault is kept, in a folder of its number.
    """
    context = multiprocessing.get_context("fork")
    running: dict[Any, tuple[Any, deque[int], Path]] = {}

    def start(left: deque[int]) -> None:
        ours, theirs = context.Pipe(duplex=False)
        folder = Path(tempfile.mkdtemp(prefix="robustness-"))
        process = context.Process(target=_work, args=(kind, list(left), seed, whole, faults, folder, theirs))
        process.start()
        theirs.close()
        running[ours] = process, left, folder

    for first in range(min(processes, len(numbers))):
        start(deque(numbers[first::processes]))
    while running:
        for ours in wait(list(running), timeout=0.1):
            process, left, folder = running[ours]
            try:
                yield ours.recv()
                left.popleft()
            except EOFError:
                process.join()
                del running[ours]
                if left:
                    yield _death(kind, left.popleft(), process.exitcode, folder, faults)
                    start(left)
                shutil.rmtree(folder)
        for process, _, _ in running.values():
            if _memory("VmRSS", process.pid) > MOST_MEMORY:
                process.kill()


def _death(kind: str, number: int, code: int, folder: Path, faults: Path) -> Result:
    said = (folder / "said").read_text(errors="backslashreplace").strip()  # with the place, by faulthandler
    reason = f"the process died of {signal.Signals(-code).name if code < 0 else f'an error, exit code {code}'}"
    if code == -signal.SIGKILL:  # ours, or the system's
        reason = f"it took more than {MOST_MEMORY // GIGABYTE} GB of memory"
    if said.startswith("Timeout"):
        reason = f"it took more than {SECONDS} seconds"
    return _keep(kind, Result(number, "fault", f"{reason}\n{said}"), folder, faults)


def _keep(kind: str, result: Result, folder: Path, faults: Path) -> Result:
    """Copies what made a fault, and says there what happened."""
    kept = Path(shutil.copytree(folder / "case", faults / f"{kind}-{result.number}", dirs_exist_ok=True))
    (kept / "fault.txt").write_text(result.text, errors="backslashreplace")
    return result


def _work(
    kind: str, numbers: Sequence[int], seed: int, whole: Path, faults: Path, folder: Path, results: Connection
) -> None:
    """Goes through cases, in a process of its own, whose output goes into a file."""
    said = os.open(folder / "said", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    faulthandler.enable()
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(True)
    for number in numbers:
        result = _case(kind, number, seed, whole, folder)
        results.send(result if result.outcome != "fault" else _keep(kind, result, folder, faults))


def _case(kind: str, number: int, seed: int, whole: Path, folder: Path) -> Result:
    """Breaks a file, reads it, and judges what happened."""
    case, said = folder / "case", folder / "said"
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir()
    path = CASES[kind](whole / kind, np.random.default_rng((seed, zlib.crc32(kind.encode()), number)), case)
    size = sum(file.stat().st_size for file in case.rglob("*") if file.is_file())
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of memory so far
    before = _memory("VmRSS")
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        READERS[kind](path, whole)
        result = Result(number, "read")
    except UserError as error:
        result = Result(number, "refused", str(error))
        if "\n" in str(error) or path.name not in str(error):
            result = Result(number, "fault", f"a sentence that is not one line with the file's name: {error}")
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        summary = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"
        result = Result(number, "fault", f"{summary}\n{traceback.format_exc()}")
    faulthandler.cancel_dump_traceback_later()
    taken = _memory("VmHWM") - before
    if taken > GIGABYTE and size < SMALL and result.outcome != "fault":
        result = Result(number, "fault", f"it took more than 1 GB: {taken / 1e9:.1f} GB, {result.outcome}")
    if said.stat().st_size:
        words = said.read_text(errors="backslashreplace").strip()
        os.truncate(said, 0)
        if result.outcome != "fault":
            result = Result(number, "fault", f"its reader printed: {words}")
    return result


def _memory(entry: str, process: int | str = "self") -> int:
    """Returns what the system knows of a process's memory, in bytes; 0 where it has just ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(entry + ":")), 0)


def _kills(jobs: Sequence[str], count: int, seed: int, whole: Path) -> Iterator[Result]:
    for number, (job, wrong) in enumerate(kill_at_random(jobs, count, seed, whole)):
        yield Result(number, "fault", f"{job}: {wrong}") if wrong else Result(number, "whole")


# The command


def main(words: Sequence[str] | None = None) -> int:
    """Runs the cases that are asked for; returns 1 where there are faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    counts = ", ".join(f"{kind}={count}" for kind, count in COUNTS.items())
    parser.add_argument("--kinds", nargs="+", type=_count, default=list(COUNTS.items()), metavar="KIND=N", help=counts)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="these cases alone")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS), metavar="JOB", help=", ".join(JOBS))
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    parser.add_argument("--faults", type=Path, default=Path("robustness-faults"), help="folder; default: %(default)s")
    flags = parser.parse_args(words)
    found = False
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name)
        apart(make_whole_files, whole, [kind for kind, _ in flags.kinds if kind in CASES])
        for kind, count in flags.kinds:
            started = time.perf_counter()
            if kind == "kills":
                results = _kills(flags.jobs, count, flags.seed, whole)
            else:
                numbers = flags.only or range(count)
                results = fuzz(kind, numbers, flags.seed, whole, flags.faults, flags.processes)
            outcomes, faults = Counter[str](), dict[str, list[Result]]()
            for result in results:
                outcomes[result.outcome] += 1
                if result.outcome == "fault":
                    faults.setdefault(_alike(result.text), []).append(result)
            seconds = time.perf_counter() - started
            counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), reverse=True))
            print(f"{kind}: {outcomes.total()} in {seconds:.0f} s: {counts}", flush=True)
            for alike in sorted(faults.values(), key=len, reverse=True):
                first = alike[0]
                print(f"  FAULT, {len(alike)} times: {first.text if flags.only else first.text.splitlines()[0][:300]}")
                if kind in CASES:
                    print(f"    again: --kinds {kind} --seed {flags.seed} --only {first.number}", flush=True)
            found |= bool(faults)
    return int(found)


def _count(text: str) -> tuple[str, int]:
    """Returns a kind, and how many of its cases: as many as are named after it, or by default."""
    kind, _, count = text.partition("=")
    if kind not in COUNTS:
        raise argparse.ArgumentTypeError(unknown("kind", kind, COUNTS))
    return kind, int(count or COUNTS[kind])


def _alike(text: str) -> str:
    """Returns what faults of one cause share: how their first line begins, without numbers and names of files."""
    return re.sub(r"\S*[/\d]\S*", "", text.partition("\n")[0])[:40]


if __name__ == "__main__":
    sys.exit(main())
