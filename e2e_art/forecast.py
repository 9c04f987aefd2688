"""How long a training will take, measured before it begins: people plan an evening by it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["forecast", "in_words"]

STEPS = 4  # measured of each phase, after a first one that prepares what the others use


def forecast(training, validation: Sequence[Path] = (), checkpoint_every: int = 250) -> float:
    """Returns about how many seconds the rest of a `Training` takes, validations included.

    It takes a few steps of each phase to come and judges one photo, which leaves no trace in the training.
    """
    seconds, checks = 0.0, 0
    for phase in range(training.phase, len(training.phases)):
        steps = training.steps_of(phase) - (training.step if phase == training.phase else 0)
        if steps:
            seconds += steps * statistics.median(training.rehearse(phase, STEPS + 1)[1:])
            checks += -(-steps // checkpoint_every)
    if validation:
        stages = range(len(training.chain.generators))
        training.lesson.validate(validation[:1], stages[-1:])
        started = time.perf_counter()
        training.lesson.validate(validation[:1], stages[-1:])
        seconds += (checks + len(stages)) * len(validation) * (time.perf_counter() - started)
    return seconds


def in_words(seconds: float) -> str:
    """Returns a duration as people say it: "40 seconds", "25 minutes", "1 h 05 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
