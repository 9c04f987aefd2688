"""What a training leaves in its working folder beside the checkpoint: log.jsonl and previews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..engines.gluon import to_numpy
from ..files import append_line, read_lines, write_lines
from ..images.arrays import from_vgg_space
from ..images.io import write_image
from .trainer import Step, Training

__all__ = ["RunLog"]


class RunLog:
    """The log of a training: its steps, validations and previews.

    folder: its working folder.  validation: the photos to validate on.  samples: what previews are painted of, as
    `Task.samples` returns them.  fresh: drop what an earlier training logged there; else only what was logged after
    the checkpoint, since those steps will be done again.
    """

    def __init__(
        self,
        folder: Path,
        training: Training,
        validation: Sequence[Path],
        samples: Mapping[str, np.ndarray],
        fresh: bool,
    ):
        self.folder, self.training, self.validation, self.samples = folder, training, validation, samples
        self.path = folder / "log.jsonl"
        kept = [entry for entry in self.entries() if not fresh and entry["total_step"] <= training.total_step]
        if kept:
            write_lines(self.path, kept)
        else:
            self.path.unlink(missing_ok=True)

    def entries(self) -> list[dict]:
        """Returns what was logged: steps, and validations."""
        return read_lines(self.path)

    def step(self, step: Step) -> None:
        """Logs a step, with the losses of the last stage that learns."""
        entry = {**asdict(step), **step.losses[-1]}
        del entry["losses"]
        append_line(self.path, entry)

    def checkpoint(self) -> dict[str, float]:
        """Validates the stage that learns, or has just learned, and paints the previews; returns the mean terms.

        They are empty where there is nothing to validate on.
        """
        training = self.training
        stage, total_step, result = training.last_stage, training.total_step, training.validation
        if self.validation or training.task.keeps_best:
            result = result or training.task.validate(self.validation, [stage])[0]
            append_line(self.path, {"total_step": total_step, "stage": stage, "validation": result})
        for name, sample in self.samples.items():
            target = self.folder / f"{Path(name).stem}_step-{total_step:06d}_stage-{stage}.png"
            write_image(target, from_vgg_space(to_numpy(training.task.paint(sample, stage + 1)[-1])), overwrite=True)
        return result
