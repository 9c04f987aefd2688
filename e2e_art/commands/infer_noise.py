"""`e2e-art infer` with models that are given noise: textures, and painted doodles, one for each seed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import OptionError, naming
from ..images.io import check_sides, check_suffix, encode_image, read_image, write_image
from ..images.resize import resize
from ..images.sheet import sheet
from ..painting.noise import DoodlePainter, TexturePainter, seam
from .console import read_bytes, write_bytes
from .flags import check_free, find_double, parse_size
from .infer_targets import STREAM, Output, check_kept
from .report import report

__all__ = ["make_textures", "paint_doodle"]

EDGE = "512"  # pixels of a texture by default
TEXTURE_USAGE = "e2e-art infer --texture MODEL -o OUT.png"
DOODLE_USAGE = "e2e-art infer DOODLE.png --model MODEL -o OUT.png"


def make_textures(
    painter: TexturePainter, size: str | None, seeds: Sequence[int], output: Output, tile_check: bool = False
) -> None:
    """Makes a texture for each seed, and of several a sheet; tile_check: print how well each continues at its edges."""
    paths = _files(output, seeds, TEXTURE_USAGE, "_sheet.jpg")
    height, width = parse_size(EDGE if size is None else size, "--size", shape=(1, 1))
    check_sides(paths[0], height, width)
    name = painter.model.name
    textures = _make(lambda seed: painter(height, width, seed, output.stage), seeds, paths, output, name)
    if tile_check:
        console = sys.stderr if output.json or output.out == STREAM else sys.stdout
        for path, texture in zip(paths, textures):
            print(f"{_name(path)}: {_seam_text(texture)}", file=console)
    for path in paths[len(seeds) :]:
        labels = [f"seed {seed}" for seed in seeds]
        write_image(path, sheet(textures, labels, painter.model.title), output.overwrite)


def paint_doodle(
    doodles: Sequence[str], painter: DoodlePainter, size: str | None, seeds: Sequence[int], output: Output
) -> None:
    """Paints a doodle once for each seed."""
    if len(doodles) != 1:
        raise OptionError(f"One doodle at a time: {DOODLE_USAGE}")
    paths = _files(output, seeds, DOODLE_USAGE)
    check_kept(doodles, paths)
    name = "standard input" if doodles[0] == STREAM else doodles[0]
    doodle = read_image(read_bytes() if doodles[0] == STREAM else name)
    height, width = doodle.shape[:2] if size in (None, "0") else parse_size(size, "--size", doodle.shape)
    check_sides(paths[0], height, width)
    with naming(name):
        painter.check_memory(height, width)
    doodle = resize(doodle, height, width)
    _make(lambda seed: painter(doodle, seed, output.stage, name), seeds, paths, output, painter.model.name, doodles[0])


def _make(
    make: Callable[[int], np.ndarray],
    seeds: Sequence[int],
    paths: Sequence[Path],
    output: Output,
    model: str,
    source: str | None = None,
) -> list[np.ndarray]:
    """Makes a picture of each seed, writes it, and says so; returns all."""
    pictures = []
    for seed, path in zip(seeds, paths):
        started = time.perf_counter()
        pictures.append(picture := make(seed))
        seconds = time.perf_counter() - started
        if output.out == STREAM:
            write_bytes(encode_image(picture, ".png"))
        else:
            write_image(path, picture, output.overwrite)
        if output.json:
            report(source, path, model, picture.shape, seconds, seed=seed)
        height, width = picture.shape[:2]
        print(f"{_name(path)}: {width}x{height} painted in {seconds:.2f} s", file=sys.stderr)
    return pictures


def _name(path: Path) -> str:
    return "standard output" if str(path) == STREAM else str(path)


def _files(output: Output, seeds: Sequence[int], usage: str, *more: str) -> list[Path]:
    """Returns the file for each seed, OUT itself for a single one, and for several also those that end in `more`."""
    if not output.out:
        raise OptionError(f"Say where to: {usage}")
    if (double := find_double(seeds)) is not None:
        raise OptionError(f"--seed {double} was given twice: each seed makes one picture")
    paths = [out := Path(output.out)]
    if output.out == STREAM:
        if len(seeds) > 1:
            raise OptionError(f"--seed makes {len(seeds)} pictures, too many for one stream: give a file as -o")
        return paths
    if out.is_dir():
        raise OptionError(f"{out} is a folder: give -o a file's name, such as {out / 'out.png'}")
    check_suffix(out)
    if len(seeds) > 1:
        ends = [*(f"_seed-{seed}{out.suffix}" for seed in seeds), *more]
        paths = [out.with_name(out.stem + end) for end in ends]
    check_free(paths, output.overwrite)
    return paths


def _seam_text(texture: np.ndarray) -> str:
    height, width = texture.shape[:2]
    if min(height, width) < 2:
        return "too small to have a seam"
    across, within, most = seam(texture)
    text = f"neighbors differ by {across:.1f} gray levels across its edges, by {within:.1f} within (at most {most:.1f})"
    return text if height % 32 == width % 32 == 0 else f"{text}; to tile, its sides must be multiples of 32"
