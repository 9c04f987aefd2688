"""Print the mean losses of each stage of a model, in the convention of docs/losses.md, and how many
evaluations the baseline, L-BFGS on the pixels, needs to reach the same total.

usage: e2e-art compare PHOTO... [--model NAME...] [options]

examples:
  e2e-art compare photos/ --model starry_night
  e2e-art compare photo.jpg --model starry_night models/mine --crop 640x480 -o comparison/
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..errors import ImageError, OptionError
from ..evaluation.baseline import baseline_curve, equivalent_evaluations_text
from ..evaluation.charts import plot_worth
from ..files import write_atomically
from ..images.io import list_images, read_image, write_image
from ..images.resize import resize, resize_short_edge
from ..images.sheet import sheet
from ..losses.options import LossOptions
from .flags import add_overwrite, add_parser, parse_size

if TYPE_CHECKING:
    from ..evaluation.evaluator import Evaluator
    from ..painting.photo import Painter

__all__ = ["add_command"]


@dataclass
class _Findings:
    """The measurements of one model, photo by photo."""

    name: str
    losses: list[list[dict[str, float]]] = field(default_factory=list)  # of the photo itself, then of each stage
    curves: list[list[float]] = field(default_factory=list)  # of the baseline
    seconds: list[list[float]] = field(default_factory=list)  # of each stage
    baseline_seconds: list[float] = field(default_factory=list)  # of the baseline, an evaluation

    def mean(self, row: int, term: str) -> float:
        return float(np.mean([losses[row][term] for losses in self.losses]))

    def mean_curve(self) -> list[float]:
        """Returns the mean of the baseline's curves, as far as all of them go."""
        length = min(map(len, self.curves), default=0)
        return np.mean([curve[:length] for curve in self.curves], axis=0).tolist() if length else []


def add_command(commands) -> None:
    """Adds `compare` to the commands."""
    parser = add_parser(commands, "compare", run, "measure the stages of models beside L-BFGS", __doc__)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files or folders")
    parser.add_argument(
        "--model", nargs="+", default=["starry_night"], metavar="NAME", help="shipped names, or models' folders"
    )
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="also write curves, sheets and all numbers")
    add_overwrite(parser)
    measuring = parser.add_argument_group("measuring")
    measuring.add_argument("--evaluations", type=int, default=30, metavar="N", help="of the baseline; 0 leaves it out")
    measuring.add_argument("--short-edge", type=int, default=320, metavar="N", help="of the photos; 0: as they are")
    measuring.add_argument("--crop", metavar="WxH", help="instead: crop the middle, and resize it, such as 640x480")


def run(flags: argparse.Namespace) -> int:
    """Prints one table: a row for the photos themselves and for each stage of each model."""
    from .. import load
    from ..evaluation.evaluator import Evaluator
    from ..models.folder import read_model

    paths: list[Path] = []
    for photo in flags.photos:
        paths += list_images(photo) if Path(photo).is_dir() else [Path(photo)]
    if not paths:
        raise ImageError(f"There are no pictures in {', '.join(flags.photos)}: check the path")
    if flags.evaluations < 0:
        raise OptionError(f"--evaluations must be 0 or more, not {flags.evaluations}")
    if flags.out and (flags.out.is_file() or (flags.out.exists() and not flags.overwrite)):
        raise OptionError(f"{flags.out} exists: choose another folder as -o, or add --overwrite to write into it")
    stems = [path.stem for path in paths]
    if flags.out and len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise OptionError(f"Two photos are called {twice}, and so would their sheets: rename one, or leave -o out")
    crop = parse_size(flags.crop, "--crop") if flags.crop else None
    models = [read_model(name) for name in flags.model]
    photos = [_resized(read_image(path), flags.short_edge, crop) for path in paths]
    print(f"Mean of {len(photos)} photos\n")
    print("| picture | total | style term | content | tv | seconds | worth |\n|---|---|---|---|---|---|---|")
    for model in models:
        painter, evaluator = load(model), Evaluator(model)
        findings = _Findings(model.name)
        painter(photos[0])  # the first call sets things up, and is not timed
        for path, photo in zip(paths, tqdm(photos, unit="photo", leave=False)):
            pictures, labels = _examine(findings, painter, evaluator, photo, flags.evaluations)
            if flags.out:
                picture = sheet([photo, *pictures], [path.name, *labels], model.title)
                write_image(flags.out / f"{model.name}_{path.stem}.jpg", picture, overwrite=True)
        _print(findings)
        if flags.out:
            _write(findings, paths, flags.out)
    return 0


def _examine(
    findings: _Findings, painter: Painter, evaluator: Evaluator, photo: np.ndarray, evaluations: int
) -> tuple[list[np.ndarray], list[str]]:
    """Measures the stages on one photo, and the baseline; returns the pictures that they made, with labels."""
    pictures, seconds = [], []
    for stage in range(len(painter.model.stages)):
        started = time.perf_counter()
        pictures.append(painter(photo, stage=stage))
        seconds.append(time.perf_counter() - started)
    losses = evaluator.losses(photo, [photo, *pictures])
    findings.losses.append(losses)
    findings.seconds.append(seconds)
    labels = [f"stage {stage}: {loss['total']:.2f}" for stage, loss in enumerate(losses[1:])]
    if evaluations:
        curve, spent, reached = baseline_curve(photo, evaluator.target, evaluations)
        findings.curves.append(curve)
        findings.baseline_seconds.append(spent[-1] / len(spent))
        pictures.append(reached)
        labels.append(f"L-BFGS, {len(curve) - 1} evaluations: {curve[-1]:.2f}")
    return pictures, labels


def _print(findings: _Findings) -> None:
    """Prints the rows of one model."""
    style_weight, curve = LossOptions().style_weight, findings.mean_curve()
    for row in range(len(findings.losses[0])):
        label = f"{findings.name}, " + (f"stage {row - 1}" if row else "the photo itself")
        spent = f"{np.mean([seconds[row - 1] for seconds in findings.seconds]):.2f}" if row else ""
        worth = equivalent_evaluations_text(curve, findings.mean(row, "total")) if curve else ""
        print(
            f"| {label} | {findings.mean(row, 'total'):.3f} | {findings.mean(row, 'style') / style_weight:.4f} "
            f"| {findings.mean(row, 'content'):.3f} | {findings.mean(row, 'tv'):.4f} | {spent} | {worth} |"
        )
    for count in (5, 10, 15, 20, 30, 60, 100):
        if count < len(curve):
            seconds = count * np.mean(findings.baseline_seconds)
            label = f"{findings.name}, L-BFGS, {count} evaluations"
            print(f"| {label} | {curve[count]:.3f} | | | | {seconds:.1f} | {count} |")


def _write(findings: _Findings, paths: list[Path], out: Path) -> None:
    """Writes the measurements of one model, and a chart of its stages on the baseline's curve."""
    figures = {
        "photos": [path.name for path in paths],
        "losses": findings.losses,
        "seconds": findings.seconds,
        "baseline": findings.curves,
        "baseline_seconds_per_evaluation": findings.baseline_seconds,
    }
    write_atomically(out / f"{findings.name}.json", json.dumps(figures, indent=1).encode())
    if findings.curves:
        totals = [findings.mean(row, "total") for row in range(1, len(findings.losses[0]))]
        title = f"{findings.name}, mean of {len(paths)} photos"
        plot_worth(findings.mean_curve(), totals, out / f"{findings.name}_worth.png", title)


def _resized(photo: np.ndarray, short_edge: int, crop: tuple[int, int] | None) -> np.ndarray:
    """Returns the photo in the size to compare at; crop: height and width."""
    if crop is None:
        return resize_short_edge(photo, short_edge) if short_edge else photo
    scale = max(edge / side for edge, side in zip(crop, photo.shape))
    rows, columns = (max(1, round(edge / scale)) for edge in crop)
    top, left = (photo.shape[0] - rows) // 2, (photo.shape[1] - columns) // 2
    return resize(photo[top : top + rows, left : left + columns], *crop)
