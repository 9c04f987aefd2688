"""What people see of a training: a progress bar, a log, curves and previews; at its end the model and its record."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from .interrupt import Interrupt

__all__ = ["TrainingProgress"]


class TrainingProgress:
    """What people see of a training: a progress bar, log.jsonl, curves.png and previews."""

    def __init__(self, training, folder: Path, validation, previews, fresh: bool):
        from ..evaluation.charts import plot_curves
        from ..files import append_line, read_lines

        self._append, self._plot, self._read = append_line, plot_curves, read_lines
        self.training, self.folder, self.validation, self.previews = training, folder, validation, previews
        if training.task.keeps_best:  # what is made of noise is judged and shown by its seeds
            self.previews = [(Path("seed-0"), training.task.noise(0))]
        self.log = folder / "log.jsonl"
        self.interrupt = Interrupt()
        total = sum(training.steps_of(phase) for phase in range(len(training.phases)))
        self.total_step = sum(training.steps_of(phase) for phase in range(training.phase)) + training.step
        self.bar = tqdm(total=total, initial=self.total_step, unit="step", smoothing=0.05, dynamic_ncols=True)
        if self.log.exists():  # steps after the last checkpoint will be done again
            entries = [entry for entry in self._read(self.log) if not fresh and entry["total_step"] <= self.total_step]
            self.log.unlink()
            for entry in entries:
                self._append(self.log, entry)

    def step(self, step) -> None:
        losses = step.losses[-1]
        self.total_step = step.total_step
        if step.step == 1:
            words = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
            self.bar.write(f"Stage {step.phase}, first step: {words} (weighted)")
        self.bar.set_postfix_str(
            f"stage {step.phase} style {losses['style']:.3f} content {losses['content']:.3f} tv {losses['tv']:.4f}",
            False,
        )
        self.bar.update()
        entry = {key: value for key, value in asdict(step).items() if key != "losses"}
        self._append(self.log, {**entry, **losses})
        self.interrupt.check()  # here, so that the checkpoint is of whole steps

    def checkpoint(self, training) -> None:
        """Validates, paints the previews and draws the curves."""
        from ..images.arrays import from_vgg_space
        from ..images.io import write_image

        stages = training.phases[training.phase - (training.step == 0)]  # at step 0 a phase has just ended
        if self.validation or training.task.keeps_best:
            last = training.task.validate(self.validation, stages[-1:])[0]
            self._append(self.log, {"total_step": self.total_step, "stage": stages[-1], "validation": last})
            words = ", ".join(f"{name} {value:.4g}" for name, value in last.items())
            judged = f"on {len(self.validation)} photos" if self.validation else "on seeds of its own"
            self.bar.write(f"Stage {stages[-1]}, step {self.total_step}, {judged}: {words}")
        for path, given in self.previews:
            pictures = training.task.paint(given, stages[-1] + 1)
            target = self.folder / f"{path.stem}_step-{self.total_step:06d}_stage-{stages[-1]}.png"
            write_image(target, from_vgg_space(pictures[-1].asnumpy()), overwrite=True)
        self._plot(self._read(self.log), self.folder / "curves.png")

    def close(self) -> None:
        self.bar.close()
