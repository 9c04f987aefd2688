"""Charts of losses: the curves of a run log, and the stages of a model beside the baseline."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..files import write_atomically
from .baseline import equivalent_evaluations, equivalent_evaluations_text

__all__ = ["chart", "plot_curves", "plot_worth"]

TERMS = (
    "style",
    "content",
    "tv",
    "patch",
    "pixel",
    "feature",
    "grid",
    "gan",
    "critic",
)  # of losses


def plot_worth(curve: Sequence[float], stages: Sequence[float], path: Path, title: str) -> None:
    """Draws the curve of the baseline, and the place of each stage on it, as PNG."""
    with chart(path, 7, 4.5) as axes:
        axes.plot(range(len(curve)), curve, color="black", label="L-BFGS from the photo")
        for stage, total in enumerate(stages):
            place = min(equivalent_evaluations(curve, total), len(curve) - 1)
            axes.plot([0, place], [total, total], ":", color="gray", linewidth=1)
            worth = equivalent_evaluations_text(curve, total)
            axes.plot(place, total, "o", label=f"stage {stage}: worth {worth} evaluations")
        axes.set(xlabel="evaluations of the loss", ylabel="total loss", title=title)


@contextmanager
def chart(path: Path, width: float = 9, height: float = 5) -> Iterator:
    """Gives axes to draw on, with a logarithmic scale of losses, and writes them as PNG, whole or not at all."""
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

    entries: of the run log; those with a phase are steps, of which those count that look at the last stage of their
    phase, those with "validation" validations.
    smoothing: how many steps are averaged in each point.
    """
    steps = [entry for entry in entries if "phase" in entry]
    last = {step["phase"]: step.get("stage", 0) for step in sorted(steps, key=lambda step: step.get("stage", 0))}
    steps = [step for step in steps if step.get("stage", 0) == last[step["phase"]]]
    places = [entry["total_step"] for entry in steps]
    with chart(path) as axes:
        for name in [term for term in TERMS if steps and term in steps[0]]:
            width = min(smoothing, len(steps))
            mean = np.convolve([entry[name] for entry in steps], np.ones(width) / width, "valid")
            label = f"{name}, mean of {width} steps" if width > 1 else name
            axes.plot(places[width - 1 :], mean, label=label)
        checks = [entry for entry in entries if "validation" in entry]
        if checks:
            points = np.array([(entry["total_step"], entry["validation"]["total"]) for entry in checks])
            axes.plot(*points.T, "o-", color="black", label="total on the validation photos")
        for before, after in zip(steps, steps[1:]):
            if after["phase"] != before["phase"]:
                axes.axvline(after["total_step"], color="gray", linewidth=0.5)
        axes.set(xlabel="step", ylabel="weighted loss")
