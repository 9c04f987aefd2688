"""What people see of a training: a progress bar, lines of text and curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tqdm import tqdm

from .interrupt import Interrupt

if TYPE_CHECKING:
    from ..training.run_log import RunLog
    from ..training.trainer import Step, Training

__all__ = ["TrainingProgress"]


class TrainingProgress:
    """What people see of a training: a progress bar, lines of text, and curves.png beside the log."""

    def __init__(self, training: Training, log: RunLog):
        self.log, self.interrupt = log, Interrupt()
        self.bar = tqdm(
            total=training.total_steps, initial=training.total_step, unit="step", smoothing=0.05, dynamic_ncols=True
        )

    def step(self, step: Step) -> None:
        """Shows and logs a step; raises KeyboardInterrupt where Ctrl-C was pressed."""
        self.log.step(step)
        losses = step.losses[-1]
        if step.step == 1:
            self.bar.write(f"Stage {step.phase}, first step: {_text(losses)} (weighted)")
        terms = f"style {losses['style']:.3f} content {losses['content']:.3f} tv {losses['tv']:.4f}"
        self.bar.set_postfix_str(f"stage {step.phase} {terms}", False)
        self.bar.update()
        self.interrupt.check()  # here, so that the checkpoint is of whole steps

    def checkpoint(self, training: Training) -> None:
        """Validates, paints the previews and draws the curves."""
        from ..evaluation.charts import plot_curves

        photos, result = len(self.log.validation), self.log.checkpoint()
        if result:
            samples = f"on {photos} photos" if photos else "on validation noise"
            self.bar.write(f"Stage {training.last_stage}, step {training.total_step}, {samples}: {_text(result)}")
        plot_curves(self.log.entries(), self.log.folder / "curves.png")


def _text(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
