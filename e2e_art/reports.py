"""What a training or a descent leaves for people to look at: a log, loss curves, previews."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .files import write_atomically

__all__ = ["append_line", "chart", "plot_curves", "read_lines"]


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


@contextmanager
def chart(path: Path, width: float = 9, height: float = 5) -> Iterator:
    """Gives axes to draw on, losses upward on a logarithmic scale, and then writes them as PNG, whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    yield axes
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    write_atomically(path, file.getvalue())


def plot_curves(entries: Sequence[dict], path: Path, smoothing: int = 50) -> None:
    """Draws the weighted losses of a training over its steps, stage after stage, and the validation totals, as PNG.

    entries: the log's lines; those with "style" are steps, those with "validation" are validations.  smoothing: how
    many steps each point of a curve is the mean of.
    """
    steps = [entry for entry in entries if "style" in entry]
    places = np.array([entry["total_step"] for entry in steps])
    with chart(path) as axes:
        for name in ("style", "content", "tv", *(["patch"] if steps and "patch" in steps[0] else [])):
            values = np.array([entry[name] for entry in steps])
            if len(values):
                width = min(smoothing, len(values))
                mean = np.convolve(values, np.ones(width) / width, "valid")
                label = f"{name}, mean of {width} steps" if width > 1 else name
                axes.plot(places[len(places) - len(mean) :], mean, label=label)
        checks = [entry for entry in entries if "validation" in entry]
        if checks:
            totals = [entry["validation"]["total"] for entry in checks]
            label = "total on the validation photos"
            axes.plot([entry["total_step"] for entry in checks], totals, "o-", color="black", label=label)
        for before, after in zip(steps, steps[1:]):
            if after["phase"] != before["phase"]:
                axes.axvline(after["total_step"], color="gray", linewidth=0.5)
        axes.set(xlabel="step", ylabel="weighted loss")
