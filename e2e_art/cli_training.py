"""What people see of a training: a progress bar, a log, curves and previews; at its end the model and its record."""

from __future__ import annotations

import argparse
import hashlib
import platform
import shlex
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from . import __version__
from .interrupt import Interrupt
from .models import THUMBNAIL
from .options import LossOptions

__all__ = ["SHEET_EDGE", "THUMBNAIL_EDGE", "TrainingDiary", "publish_training"]

SHEET_EDGE, THUMBNAIL_EDGE = 184, 160  # these pictures travel with the model, which has to stay small


class TrainingDiary:
    """What people see of a training: a progress bar, log.jsonl, curves.png and previews."""

    def __init__(self, training, folder: Path, validation, previews, fresh: bool):
        from .reports import append_line, plot_curves, read_lines

        self._append, self._plot, self._read = append_line, plot_curves, read_lines
        self.training, self.folder, self.validation, self.previews = training, folder, validation, previews
        if training.lesson.keeps_best:  # what is made of noise is judged and shown by its seeds
            self.previews = [(Path("seed-0"), training.lesson.noise(0))]
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
        from .images import from_vgg_space, write_image

        stages = training.phases[training.phase - (training.step == 0)]  # at step 0 a phase has just ended
        if self.validation or training.lesson.keeps_best:
            last = training.lesson.validate(self.validation, stages[-1:])[0]
            self._append(self.log, {"total_step": self.total_step, "stage": stages[-1], "validation": last})
            words = ", ".join(f"{name} {value:.4g}" for name, value in last.items())
            judged = f"on {len(self.validation)} photos" if self.validation else "on seeds of its own"
            self.bar.write(f"Stage {stages[-1]}, step {self.total_step}, {judged}: {words}")
        for path, given in self.previews:
            pictures = training.lesson.paint(given, stages[-1] + 1)
            target = self.folder / f"{path.stem}_step-{self.total_step:06d}_stage-{stages[-1]}.png"
            write_image(target, from_vgg_space(pictures[-1].asnumpy()), overwrite=True)
        self._plot(self._read(self.log), self.folder / "curves.png")

    def close(self) -> None:
        self.bar.close()


def publish_training(training, flags: argparse.Namespace, diary: TrainingDiary, beginning) -> None:
    """Writes the model with its record, its painting's statistics, and a sheet of the first preview photo.

    beginning: the model that the training started from, or None: its record becomes part of the new one.
    """
    import numpy

    from .backend import mx
    from .compare import sheet
    from .images import encode_image, from_vgg_space, resize_long_edge
    from .judge import STYLE_FILE, pack_targets
    from .losses import PerceptualLoss
    from .publish import publish
    from .regions import color_name

    options = training.options
    stages = list(range(len(training.chain.generators)))
    # Whatever the recipe weighed, records are in the house's convention, so that they compare.
    convention = LossOptions(content_weight=LossOptions().content_weight * (options.loss.content_weight > 0))
    targets = training.lesson.targets(convention)
    validation = []
    if diary.validation or training.lesson.keeps_best:
        validation = training.lesson.validate(
            diary.validation, stages, PerceptualLoss(convention, targets, training.contexts)
        )
    record = {
        "command": shlex.join(["e2e-art", *(word for word in flags.command_line if word != "--resume")]),
        "styles": [
            {"file": Path(path).name, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
            for path in options.styles
        ],
        "photos": training.photo_count,
        "skipped": len(training.skipped),
        "seconds": round(training.seconds),
        "engine": training.engine,
        "validation_photos": len(diary.validation),
        "validation": [{"stage": stage, **result} for stage, result in zip(stages, validation)],
        "versions": {
            "e2e_art": __version__,
            "python": platform.python_version(),
            "mxnet": mx.__version__,
            "numpy": numpy.__version__,
        },
        "options": options.describe(),
    }
    if options.kind == "doodle":
        palette = training.lesson.palette
        record["palette"] = [{"color": "#" + bytes(color).hex(), "name": color_name(color)} for color in palette]
    if beginning:
        record["started_from"] = beginning.record
    extras = {STYLE_FILE: pack_targets(targets)}
    if diary.previews:
        path, given = diary.previews[0]
        pictures = [from_vgg_space(picture.asnumpy()) for picture in training.lesson.paint(given, len(stages))]
        first = given if options.kind == "chain" else training.lesson.styles[0].asnumpy()  # a texture has no photo
        labels = [path.name if options.kind == "chain" else "", *(f"stage {stage}" for stage in stages)]
        title = f"{flags.out.name}, after {', '.join(Path(style).name for style in options.styles)}"
        picture = sheet([from_vgg_space(first), *pictures], labels, title, SHEET_EDGE)
        extras["sheet.jpg"] = encode_image(picture, ".jpg")
        extras[THUMBNAIL] = encode_image(resize_long_edge(pictures[-1], THUMBNAIL_EDGE), ".jpg")
    model = publish(training.chain, flags.out, record, extras, flags.overwrite)
    if training.skipped:
        count = len(training.skipped)
        words = "1 photo could not be read and was" if count == 1 else f"{count} photos could not be read and were"
        print(f"{words} skipped: {', '.join(training.skipped)}")
    subject = {"chain": "PHOTO --model", "texture": "--texture", "doodle": "DOODLE --model"}[model.kind]
    print(f"{model.folder} is trained: e2e-art infer {subject} {model.folder} -o OUT")
