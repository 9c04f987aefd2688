"""`e2e-art compare`: what the stages of a model are worth, beside the baseline."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

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

__all__ = ["add_command"]


@dataclass
class _Findings:
    """What was found of one model, photo by photo."""

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
    parser = commands.add_parser(
        "compare",
        help="tell what each stage is worth",
        description="Print the mean losses of each stage of a model, in the convention of docs/losses.md, and how many "
        "evaluations the baseline, L-BFGS on the pixels, needs for the same.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files or folders")
    parser.add_argument("--model", nargs="+", default=["starry_night"], help="shipped names, or models' folders")
    parser.add_argument("--short-edge", type=int, default=320, help="size of the photos; 0 leaves them as they are")
    parser.add_argument("--crop", metavar="WxH", help="cut the middle to this shape and scale to it, such as 640x480")
    parser.add_argument(
        "--evaluations", type=int, default=30, metavar="N", help="of the baseline on each photo; 0 leaves it out"
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="DIR", help="also write the curves, a sheet for each photo, and all figures"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--verbose", action="store_true", help="say more")


def run(flags: argparse.Namespace) -> int:
    """Prints one table: a row for the photos themselves and for each stage of each model."""
    from ..evaluation.evaluator import Evaluator
    from ..models.folder import read_model
    from ..painting.photo import load

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
    photos = [_prepared(read_image(path), flags) for path in paths]
    print(f"Mean of {len(photos)} photos\n")
    print("| picture | total | style term | content | tv | seconds | worth |\n|---|---|---|---|---|---|---|")
    for name in flags.model:
        painter, judge = load(name), Evaluator(read_model(name))
        findings = _Findings(painter.model.name)
        painter(photos[0])  # the first call sets things up, and is not timed
        for path, photo in zip(paths, tqdm(photos, unit="photo", leave=False)):
            _examine(findings, painter, judge, path, photo, flags)
        _print(findings)
        if flags.out:
            _write(findings, paths, flags.out)
    return 0


def _examine(findings: _Findings, painter, judge, path: Path, photo: np.ndarray, flags: argparse.Namespace) -> None:
    """Paints one photo stage by stage, descends on it, and notes what came of it."""
    pictures, seconds = [], []
    for stage in range(len(painter.model.stages)):
        started = time.perf_counter()
        pictures.append(painter(photo, stage=stage))
        seconds.append(time.perf_counter() - started)
    losses = judge.losses(photo, [photo, *pictures])
    findings.losses.append(losses)
    findings.seconds.append(seconds)
    labels = [path.name, *(f"stage {stage}: {loss['total']:.2f}" for stage, loss in enumerate(losses[1:]))]
    if flags.evaluations:
        curve, spent, reached = baseline_curve(photo, judge.target, flags.evaluations)
        findings.curves.append(curve)
        findings.baseline_seconds.append(spent[-1] / len(spent))
        pictures.append(reached)
        labels.append(f"L-BFGS, {len(curve) - 1} evaluations: {curve[-1]:.2f}")
    if flags.out:
        picture = sheet([photo, *pictures], labels, painter.model.title)
        write_image(flags.out / f"{findings.name}_{path.stem}.jpg", picture, overwrite=True)


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
            print(
                f"| {findings.name}, L-BFGS, {count} evaluations | {curve[count]:.3f} | | | | {seconds:.1f} | {count} |"
            )


def _write(findings: _Findings, paths: list[Path], out: Path) -> None:
    """Writes the figures of one model, and its place on the baseline's curve."""
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


def _prepared(photo: np.ndarray, flags: argparse.Namespace) -> np.ndarray:
    """Returns the photo in the size to judge it at."""
    if flags.crop:
        try:
            width, height = (int(edge) for edge in flags.crop.lower().split("x"))
            if min(width, height) < 1:
                raise ValueError
        except ValueError:
            raise OptionError(f"--crop takes a width and a height, such as 640x480, not '{flags.crop}'") from None
        scale = max(width / photo.shape[1], height / photo.shape[0])
        rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
        top, left = (photo.shape[0] - rows) // 2, (photo.shape[1] - columns) // 2
        return resize(photo[top : top + rows, left : left + columns], height, width)
    return resize_short_edge(photo, flags.short_edge) if flags.short_edge else photo
