"""Stages and methods side by side: on sheets, and measured by the baseline, in evaluations of L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .images import resize_long_edge
from .reports import chart

__all__ = ["baseline_curve", "evaluations_worth", "plot_worth", "sheet", "worth_in_words"]

MARGIN = 12
INK, PAPER, FAINT = (30, 30, 30), (250, 248, 243), (110, 110, 110)


def sheet(
    pictures: Sequence[np.ndarray], labels: Sequence[str], title: str, edge: int = 640, columns: int | None = None
) -> np.ndarray:
    """Returns one picture that shows several, each with its label below it and a title above all.

    pictures: uint8 (H, W, 3) each, shown at long edge `edge` at most.  labels: as many, of one line or two.
    columns: how many in a row; as square as possible by default.  Returns uint8 (H, W, 3).
    """
    small = [resize_long_edge(picture, edge) if max(picture.shape) > edge else picture for picture in pictures]
    columns = columns or min(len(small), 3)
    width = max(max(picture.shape[1] for picture in small), 160)
    height = max(picture.shape[0] for picture in small)
    text = ImageFont.load_default(size=max(12, width // 36))
    large = ImageFont.load_default(size=max(16, width // 22))
    line = int(text.size * 1.4)
    caption = line * max(label.count("\n") + 1 for label in labels) + MARGIN
    head = int(large.size * 1.6) + MARGIN
    rows = -(-len(small) // columns)
    size = (columns * (width + MARGIN) + MARGIN, head + rows * (height + caption + MARGIN))
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), title, INK, large)
    for place, (picture, label) in enumerate(zip(small, labels)):
        left = MARGIN + place % columns * (width + MARGIN)
        top = head + place // columns * (height + caption + MARGIN)
        canvas.paste(Image.fromarray(picture), (left, top))
        for number, words in enumerate(label.split("\n")):
            draw.text((left, top + picture.shape[0] + 4 + number * line), words, FAINT if number else INK, text)
    return np.asarray(canvas)


def baseline_curve(
    photo: np.ndarray, targets: Sequence[np.ndarray], evaluations: int, until: float = 0.0
) -> tuple[list[float], list[float], np.ndarray]:
    """Returns how far L-BFGS, from the photo, brings the default loss down.

    photo: uint8 (H, W, 3).  targets: the painting's Gram matrices.  evaluations: how many at most, after that of the
    photo itself.  until: the total at which it may stop.
    Returns the lowest total after 0, 1, 2 ... evaluations, the seconds spent until then, and the picture reached.
    """
    from .descent import Settled
    from .optimize import optimize
    from .options import DescentOptions

    curve: list[float] = []
    seconds: list[float] = []

    def on_evaluation(evaluation, picture) -> None:
        curve.append(evaluation.best)
        seconds.append(evaluation.seconds)
        if evaluation.best <= until:
            raise Settled("reached")

    options = DescentOptions(steps=evaluations + 1, tolerance=0)
    result = optimize(photo, [], photo, options, targets=targets, on_evaluation=on_evaluation)
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    return curve, seconds, result.picture


def evaluations_worth(curve: Sequence[float], total: float) -> float:
    """Returns how many evaluations the baseline needs to come down to a total, between two by linear interpolation.

    curve: the lowest total after 0, 1, 2 ... evaluations.  Infinity where it does not come down so far.

    >>> evaluations_worth([13.0, 9.0, 5.0], 7.0)
    1.5
    """
    for count, (before, after) in enumerate(zip(curve, curve[1:])):
        if after <= total:
            return count + (max(0.0, before - total) / (before - after) if before > after else 0.0)
    return math.inf if not curve or curve[0] > total else 0.0


def worth_in_words(curve: Sequence[float], total: float) -> str:
    """Returns `evaluations_worth` for people, who read no infinity.

    >>> worth_in_words([13.0, 9.0, 5.0], 7.0), worth_in_words([13.0, 9.0, 5.0], 4.0)
    ('1.5', 'more than 2')
    """
    worth = evaluations_worth(curve, total)
    return f"more than {len(curve) - 1}" if math.isinf(worth) else f"{worth:.1f}"


def plot_worth(curve: Sequence[float], stages: Sequence[float], path: Path, title: str) -> None:
    """Draws the baseline's curve, and where on it each stage stands, as PNG."""
    with chart(path, 7, 4.5) as axes:
        axes.plot(range(len(curve)), curve, color="black", label="L-BFGS from the photo")
        for stage, total in enumerate(stages):
            place = min(evaluations_worth(curve, total), len(curve) - 1)
            axes.plot([0, place], [total, total], ":", color="gray", linewidth=1)
            axes.plot(place, total, "o", label=f"stage {stage}: worth {worth_in_words(curve, total)} evaluations")
        axes.set(xlabel="evaluations of the loss", ylabel="total loss", title=title)
