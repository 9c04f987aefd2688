"""What a training or a descent leaves for people to look at: a log, loss curves, previews."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .files import write_atomically

__all__ = ["append_line", "plot_curves", "read_lines"]


def append_line(path: Path, entry: dict) -> None:
    """Adds one line of JSON to a log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def read_lines(path: Path) -> list[dict]:
    """Returns the entries of a log; a last line that a killed training left unfinished is passed over."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def plot_curves(entries: Sequence[dict], path: Path, smoothing: int = 50) -> None:
    """Draws the weighted losses of a training over its steps, stage after stage, and the validation totals, as PNG.

    entries: the log's lines; those with "style" are steps, those with "validation" are validations.  smoothing: how
    many steps each point of a curve is the mean of.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [entry for entry in entries if "style" in entry]
    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = np.array([entry["total_step"] for entry in steps])
    for name in ("style", "content", "tv", *(["patch"] if steps and "patch" in steps[0] else [])):
        values = np.array([entry[name] for entry in steps])
        if len(values):
            width = min(smoothing, len(values))
            mean = np.convolve(values, np.ones(width) / width, "valid")
            axes.plot(
                places[len(places) - len(mean) :], mean, label=f"{name}, mean of {width} steps" if width > 1 else name
            )
    checks = [entry for entry in entries if "validation" in entry]
    if checks:
        totals = [entry["validation"]["total"] for entry in checks]
        places = [entry["total_step"] for entry in checks]
        axes.plot(places, totals, "o-", color="black", label="total on the validation photos")
    for before, after in zip(steps, steps[1:]):
        if after["phase"] != before["phase"]:
            axes.axvline(after["total_step"], color="gray", linewidth=0.5)
    axes.set(xlabel="step", ylabel="weighted loss", yscale="log")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    write_atomically(path, file.getvalue())
