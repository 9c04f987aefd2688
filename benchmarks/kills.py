"""What robustness.py kills: commands and writers in processes of their own, at random moments, again and again."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from whole_files import small_photo, write_clip

from e2e_art.commands.main import main
from e2e_art.errors import UserError
from e2e_art.files import read_lines, write_atomically, write_folder
from e2e_art.images.io import read_image
from e2e_art.models.folder import read_model
from e2e_art.models.publish import load_chain, publish
from e2e_art.training.checkpoint import load_checkpoint

__all__ = ["JOBS", "apart", "kill_at_random"]

PHOTOS, FRAMES, VERSIONS, PACKS = 24, 120, 20, 500
MOST_KILLS = 3  # of one run, before it is left to go on to its end
TOLERANCE = 1e-5  # of weights: threads add numbers up in any order


@dataclass(frozen=True)
class Job:
    """A job to kill.

    run: does it, or goes on with it; takes the folder of whole files and the one to write into, returns an exit code.
    wrong: takes the folder, that of an uninterrupted run, and whether this one has ended; yields what should not be.
    """

    run: Callable[[Path, Path], int]
    wrong: Callable[[Path, Path, bool], Iterator[str]]


def _command(*words: object) -> int:
    return main([str(word) for word in words])


def _paint(whole: Path, folder: Path) -> int:
    model = whole / "models" / "chain"
    return _command("infer", whole / "photos", "--model", model, "-o", folder / "painted", "--skip-existing")


def _paint_stages(whole: Path, folder: Path) -> int:
    photos = [whole / "photos" / f"{number}.png" for number in range(3)]  # each is judged by the loss, which takes long
    words = ("--model", whole / "models" / "chain", "--stages", "--skip-existing", "-o", folder / "painted")
    return _command("infer", *photos, *words)


def _paint_clip(whole: Path, folder: Path) -> int:
    words = ("infer", whole / "clip.mp4", "--model", whole / "models" / "chain", "--resume")
    return _command(*words, "-o", folder / "painted.mp4")


def _train(whole: Path, folder: Path) -> int:
    words = ("train", "--style", whole / "photo.png", "--photos", whole / "photos", "--out", folder / "model")
    words += ("--stages", "pyramid,pyramid", "--steps", 6, "--size", 32, "--style-size", 64, "--no-bfloat16")
    words += ("--style-layers", "relu1_1", "relu2_1", "--content-layer", "relu2_1", "--checkpoint-every", 2)
    words += ("--preview", whole / "photo.png")
    return _command(*words, *(["--resume"] if (folder / "model.training").exists() else []))


def _optimize(whole: Path, folder: Path) -> int:
    words = ("optimize", whole / "photo.png", "--style", whole / "photos" / "3.png", "--steps", 10, "--size", 64)
    return _command(*words, "-o", folder / "optimized.png", "--overwrite")


def _export(whole: Path, folder: Path) -> int:
    model = whole / "models" / "chain"
    return max(_command("export", "--onnx", folder / f"{n}.onnx", "--model", model, "--overwrite") for n in range(9))


def _publish(whole: Path, folder: Path) -> int:
    """Writes a model again and again, each time in place of the one before."""
    chain = load_chain(read_model(whole / "models" / "chain"))
    for version in range(VERSIONS):
        publish(chain, folder / "model", {"command": f"version {version}"}, overwrite=True)
    return 0


def _pack(whole: Path, folder: Path) -> int:
    """Writes a folder again and again, and a file: all that lies in one is of one version."""
    for version in range(PACKS):
        write_folder(folder / "pack", {f"{n}/{n}.bin": _version(version) for n in range(2)})
        if version % 20 == 19:  # rarely, since it waits for the disk
            write_atomically(folder / "pack.bin", _version(version))
    return 0


def _version(number: int) -> bytes:
    return number.to_bytes(2, "big") * 1_000


# What is wrong with what a job wrote


def _visible(folder: Path) -> dict[str, Path]:
    """Returns the files that have their final names, by path below the folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path for name, path in names.items() if not any(part.startswith(".") for part in name.split("/"))}


def _wrong_files(folder: Path, uninterrupted: Path, ended: bool) -> Iterator[str]:
    """Each file is that of the uninterrupted run; in the end none is missing."""
    found, expected = _visible(folder), _visible(uninterrupted)
    for name, path in found.items():
        if name not in expected:
            yield f"{name} should not be there"
        elif not _same(path, expected[name]):
            yield f"{name} is not that of the uninterrupted run"
    if ended and (missing := expected.keys() - found.keys()):
        yield f"{', '.join(sorted(missing))} should be there"


def _same(path: Path, other: Path) -> bool:
    if path.suffix == ".mp4":
        (times, frames), (others, expected) = _frames(path), _frames(other)
        return times == others and np.abs(frames - expected).mean() < 2  # a segment begins with a frame of its own
    if path.suffix == ".png":
        return int(np.abs(read_image(path).astype(int) - read_image(other)).max()) <= 2
    return path.read_bytes() == other.read_bytes()


def _frames(path: Path) -> tuple[list[float], np.ndarray]:
    with av.open(str(path)) as file:
        frames = [(round(frame.time, 3), frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
    return [time for time, _ in frames], np.array([frame for _, frame in frames], np.float32)


def _wrong_training(folder: Path, uninterrupted: Path, ended: bool) -> Iterator[str]:
    """The checkpoint can be gone on from, the log has no gap, pictures and model are whole; in the end all is equal."""
    working, reference = folder / "model.training", uninterrupted / "model.training"
    checkpoint, log = working / "checkpoint.npz", [entry["total_step"] for entry in read_lines(working / "log.jsonl")]
    if log != list(range(1, len(log) + 1)):
        yield f"the log has the steps {log}"
    for picture in (path for name, path in _visible(folder).items() if name.endswith((".png", ".jpg"))):
        with suppress(UserError):
            read_image(picture)
            continue
        yield f"{picture.name} is not whole"
    try:
        weights = load_checkpoint(checkpoint).weights if checkpoint.exists() else []
        model = read_model(folder / "model") if (folder / "model").exists() else None
    except UserError as error:
        yield str(error)
        return
    if ended:
        expected = load_checkpoint(reference / "checkpoint.npz").weights
        pairs = [(stage[name], each[name]) for stage, each in zip(weights, expected) for name in each]
        if len(weights) != len(expected) or max(np.abs(a - b).max() for a, b in pairs) > TOLERANCE:
            yield "the weights are not those of the uninterrupted run"
        if model is None or _visible(folder).keys() != _visible(uninterrupted).keys():
            yield f"the files are {sorted(_visible(folder))}"
        if log != [entry["total_step"] for entry in read_lines(reference / "log.jsonl")]:
            yield f"the log has the steps {log}, others than the uninterrupted run's"


def _wrong_model(folder: Path, uninterrupted: Path, ended: bool) -> Iterator[str]:
    try:
        version = read_model(folder / "model").record["command"] if (folder / "model").exists() else ""
    except UserError as error:
        yield str(error)
        return
    if ended and version != f"version {VERSIONS - 1}":
        yield f"the model is {version!r}"
    if not version and list(folder.glob(".model.*.old")):
        yield "the old model went before the new one came"


def _wrong_pack(folder: Path, uninterrupted: Path, ended: bool) -> Iterator[str]:
    packed = [path.read_bytes() for path in (folder / "pack").rglob("*.bin")]
    files = [path.read_bytes() for path in folder.glob("pack.bin")]
    if len(packed) not in (0, 2) or len(set(packed)) > 1:
        yield "the folder holds files of several versions"
    if not packed and list(folder.glob(".pack.*.old")):
        yield "the old folder went before the new one came"
    for content in packed + files:
        if content not in map(_version, [PACKS - 1] if ended else range(PACKS)):
            yield "a file is not whole"


JOBS = {
    "paint": Job(_paint, _wrong_files),
    "stages": Job(_paint_stages, _wrong_files),
    "clip": Job(_paint_clip, _wrong_files),
    "train": Job(_train, _wrong_training),
    "optimize": Job(_optimize, _wrong_files),
    "export": Job(_export, _wrong_files),
    "publish": Job(_publish, _wrong_model),
    "pack": Job(_pack, _wrong_pack),
}


# Killing


def apart(function: Callable, *arguments, kill_after: float | None = None, said: Path | None = None) -> int:
    """Calls a function in a process of its own, whose start costs nothing; returns its exit code.

    kill_after: seconds until it and all that it has started are killed.  said: a file for what it prints.
    """
    process = multiprocessing.get_context("fork").Process(target=_call, args=(function, arguments, said))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()
    return process.exitcode or 0


def _call(function: Callable, arguments: Sequence, said: Path | None) -> None:
    os.setsid()
    if said:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
    sys.exit(function(*arguments))


def _make_inputs(whole: Path) -> None:
    (whole / "photos").mkdir()
    for number in range(PHOTOS):
        small_photo().resize((40 + number, 36)).rotate(90 * number).save(whole / "photos" / f"{number}.png")
    write_clip(whole / "clip.mp4", FRAMES)


def kill_at_random(jobs: Sequence[str], count: int, seed: int, whole: Path) -> Iterator[tuple[str, str]]:
    """Kills jobs `count` times in all; yields for each kill the job and what was wrong, nothing where all was right.

    whole: the folder of whole files, the models among them.
    """
    apart(_make_inputs, whole)
    random = np.random.default_rng(seed)
    for place, name in enumerate(jobs):
        kills = count // len(jobs) + (place < count % len(jobs))
        if kills:
            yield from ((name, wrong) for wrong in _kill_job(name, kills, random, whole))


def _kill_job(name: str, count: int, random: np.random.Generator, whole: Path) -> Iterator[str]:
    job, said, uninterrupted = JOBS[name], whole / f"{name}.txt", whole / f"{name} uninterrupted"
    uninterrupted.mkdir()
    started = time.perf_counter()
    if code := apart(job.run, whole, uninterrupted, said=said):
        yield f"uninterrupted, it ends with exit code {code}: {said.read_text()[-400:]}"
        return
    seconds = time.perf_counter() - started
    left = count
    while left:
        folder = whole / f"{name} {left}"
        folder.mkdir()
        wrong: list[str] = []
        killed = 0
        for _ in range(min(left, int(random.integers(1, MOST_KILLS + 1)))):
            moment = random.uniform(0, seconds)
            if apart(job.run, whole, folder, kill_after=moment, said=said) != -signal.SIGKILL:
                break  # it had ended before
            killed += 1
            wrong += [f"killed after {moment:.2f} s: {each}" for each in job.wrong(folder, uninterrupted, False)]
        code = apart(job.run, whole, folder, said=said)
        wrong += [f"gone on with, exit code {code}: {each}" for each in job.wrong(folder, uninterrupted, True)]
        if wrong and code:
            wrong[-1] += f"; it said {said.read_text()[-400:]!r}"
        left -= killed
        yield from ["; ".join(wrong)] * bool(killed)
        yield from [""] * (killed - 1)
        shutil.rmtree(folder)
