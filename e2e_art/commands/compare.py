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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..engines.choice import choose
from ..errors import ImageError, OptionError, naming, plural
from ..evaluation.baseline import baseline_curve, equivalent_evaluations_text
from ..evaluation.charts import plot_worth
from ..files import write_atomically
from ..images.io import list_images, read_image, write_image
from ..images.resize import resize, with_short_edge
from ..images.sheet import sheet
from ..losses.options import LossOptions
from ..machine import LOSSES, OPTIMIZE, Need, check_memory
from ..models.folder import read_model
from ..models.kinds import PHOTO
from ..painting.photo import Painter
from .flags import add_engine, add_overwrite, find_double, parse_size, whole

if TYPE_CHECKING:
    from ..evaluation.evaluator import Evaluator

__all__ = ["add_arguments", "run"]


@dataclass
class _Figures:
    """The measurements of one model, photo by photo, as they are written."""

    photos: list[str]
    losses: list[list[dict[str, float]]] = field(default_factory=list)  # of the photo itself, then of each stage
    seconds: list[list[float]] = field(default_factory=list)  # of each stage
    baseline: list[list[float]] = field(default_factory=list)  # lowest totals after 0, 1, 2 ... evaluations
    baseline_seconds_per_evaluation: list[float] = field(default_factory=list)


def add_arguments(parser) -> None:
    """Adds the flags of `compare`."""
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files or folders")
    names = "shipped names, or models' folders"
    parser.add_argument("--model", nargs="+", default=["starry_night"], metavar="NAME", help=names)
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="also write curves, sheets and all numbers")
    add_overwrite(parser)
    measuring = parser.add_argument_group("measuring")
    measuring.add_argument(
        "--evaluations", type=whole(), default=30, metavar="N", help="of the baseline; 0 leaves it out"
    )
    measuring.add_argument("--short-edge", type=whole(), default=320, metavar="N", help="of the photos; 0: as they are")
    add_engine(measuring)
    measuring.add_argument("--crop", metavar="WxH", help="instead: crop the middle, and resize it, such as 640x480")


def run(flags: argparse.Namespace) -> None:
    """Prints one table: a row for the photos themselves and for each stage of each model."""
    choose(flags.engine)
    from .. import load
    from ..evaluation.evaluator import Evaluator
    from ..losses.perceptual import SMALLEST

    if flags.crop is not None and "--short-edge" in flags.given:
        raise OptionError("--crop takes the place of --short-edge: leave one out")
    paths: list[Path] = []
    for photo in flags.photos:
        paths += list_images(photo) if Path(photo).is_dir() else [Path(photo)]
    if not paths:
        raise ImageError(f"There are no pictures in {', '.join(flags.photos)}: check the path")
    if flags.out and (flags.out.is_file() or (flags.out.exists() and not flags.overwrite)):
        raise OptionError(f"{flags.out} exists: choose another folder as -o, or add --overwrite to write into it")
    if flags.out and (double := find_double(path.stem for path in paths)):
        raise OptionError(f"Two photos are called {double}, and so would their sheets: rename one, or leave -o out")
    crop = parse_size(flags.crop, "--crop") if flags.crop is not None else None
    models = [read_model(name, PHOTO) for name in flags.model]
    if flags.out and (double := find_double(model.name for model in models)):
        raise OptionError(f"Two models are called {double}, and so would their files: rename one, or leave -o out")
    need = OPTIMIZE["lbfgs"] if flags.evaluations else LOSSES
    photos = [_resized(path, flags.short_edge, crop, need) for path in paths]
    for path, (height, width, _) in zip(paths, (photo.shape for photo in photos)):
        if min(height, width) < SMALLEST:
            raise OptionError(f"{path} at {width}x{height} pixels is too small: its sides need {SMALLEST} or more")
    print(f"Mean of {plural(len(photos), 'photo')}\n")
    print("| picture | total | style term | content | tv | seconds | worth |\n|---|---|---|---|---|---|---|")
    for model in models:
        painter, evaluator = load(model), Evaluator(model)
        painter(photos[0])  # the first call sets things up, and is not timed
        figures = _Figures([path.name for path in paths])
        for path, photo in zip(paths, tqdm(photos, unit="photo", leave=False)):
            pictures, labels = _measure(figures, painter, evaluator, photo, flags.evaluations)
            if flags.out:
                picture = sheet([photo, *pictures], [path.name, *labels], model.title)
                write_image(flags.out / f"{model.name}_{path.stem}.jpg", picture, overwrite=True)
        _report(figures, model.name, flags.out)


def _measure(
    figures: _Figures, painter: Painter, evaluator: Evaluator, photo: np.ndarray, evaluations: int
) -> tuple[list[np.ndarray], list[str]]:
    """Measures the stages on one photo, and the baseline; returns the pictures that they made, with labels."""
    pictures, seconds = [], []
    for stage in range(len(painter.model.stages)):
        started = time.perf_counter()
        pictures.append(painter(photo, stage=stage))
        seconds.append(time.perf_counter() - started)
    losses = evaluator.losses(photo, [photo, *pictures])
    figures.losses.append(losses)
    figures.seconds.append(seconds)
    labels = [f"stage {stage}: {loss['total']:.2f}" for stage, loss in enumerate(losses[1:])]
    if evaluations:
        curve, spent, reached = baseline_curve(photo, evaluator.target, evaluations)
        figures.baseline.append(curve)
        figures.baseline_seconds_per_evaluation.append(spent[-1] / len(spent))
        pictures.append(reached)
        labels.append(f"L-BFGS, {len(curve) - 1} evaluations: {curve[-1]:.2f}")
    return pictures, labels


def _report(figures: _Figures, name: str, out: Path | None) -> None:
    """Prints the rows of one model; into OUT writes its figures, and a chart of its stages on the baseline's curve."""
    means = [{term: np.mean([each[term] for each in row]) for term in row[0]} for row in zip(*figures.losses)]
    length = min(map(len, figures.baseline), default=0)  # as far as the curves of all photos go
    curve = np.mean([each[:length] for each in figures.baseline], axis=0).tolist() if length else []
    labels = ["the photo itself", *(f"stage {stage}" for stage in range(len(means) - 1))]
    seconds = ["", *(f"{mean:.2f}" for mean in np.mean(figures.seconds, axis=0))]
    for label, loss, spent in zip(labels, means, seconds):
        worth = equivalent_evaluations_text(curve, loss["total"]) if curve else ""
        print(
            f"| {name}, {label} | {loss['total']:.3f} | {loss['style'] / LossOptions().style_weight:.4f} "
            f"| {loss['content']:.3f} | {loss['tv']:.4f} | {spent} | {worth} |"
        )
    for count in (5, 10, 15, 20, 30, 60, 100):
        if count < len(curve):
            spent = f"{count * np.mean(figures.baseline_seconds_per_evaluation):.1f}"
            print(f"| {name}, L-BFGS, {count} evaluations | {curve[count]:.3f} | | | | {spent} | {count} |")
    if out:
        write_atomically(out / f"{name}.json", json.dumps(asdict(figures), indent=1).encode())
        if curve:
            title = f"{name}, mean of {plural(len(figures.photos), 'photo')}"
            plot_worth(curve, [loss["total"] for loss in means[1:]], out / f"{name}_worth.png", title)


def _resized(path: Path, short_edge: int, crop: tuple[int, int] | None, need: Need) -> np.ndarray:
    """Returns a photo in the size to compare at; crop: height and width.  Raises UserError where memory is short."""
    photo = read_image(path)
    height, width = crop or (with_short_edge(photo.shape, short_edge) if short_edge else photo.shape[:2])
    with naming(path):
        check_memory(need, height, width, "--crop {width}x{height}" if crop else "--short-edge {short}")
    if crop is None:
        return resize(photo, height, width)
    scale = max(edge / side for edge, side in zip(crop, photo.shape))
    rows, columns = (max(1, round(edge / scale)) for edge in crop)
    top, left = (photo.shape[0] - rows) // 2, (photo.shape[1] - columns) // 2
    return resize(photo[top : top + rows, left : left + columns], *crop)
