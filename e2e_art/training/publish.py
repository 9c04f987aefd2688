"""A finished training becomes a model: validation, record, contact sheet."""

from __future__ import annotations

import argparse
import hashlib
import platform
import shlex
from pathlib import Path

from .. import __version__
from ..commands.train_progress import TrainingProgress
from ..losses.options import LossOptions
from ..models.folder import STYLE_FILE, THUMBNAIL
from ..models.kinds import KINDS

__all__ = ["SHEET_EDGE", "THUMBNAIL_EDGE", "publish_training"]

SHEET_EDGE, THUMBNAIL_EDGE = 184, 160  # these pictures travel with the model, which has to stay small


def publish_training(training, flags: argparse.Namespace, diary: TrainingProgress, beginning) -> None:
    """Writes the model with its record, its painting's statistics, and a sheet of the first preview photo.

    beginning: the model that the training started from, or None: its record becomes part of the new one.
    """
    import numpy

    from ..engines.mxnet import mx
    from ..images.arrays import from_vgg_space
    from ..images.io import encode_image
    from ..images.resize import resize_long_edge
    from ..images.sheet import sheet
    from ..losses.perceptual import PerceptualLoss
    from ..models.publish import publish

    options = training.options
    kind = KINDS[options.kind]
    stages = list(range(len(training.chain.generators)))
    # Whatever the recipe weighed, records are in the house's convention, so that they compare.
    convention = LossOptions(content_weight=LossOptions().content_weight * (options.loss.content_weight > 0))
    target = training.task.target(convention)
    validation = []
    if diary.validation or training.task.keeps_best:
        validation = training.task.validate(
            diary.validation, stages, PerceptualLoss(convention, target, training.contexts)
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
    record.update(training.task.record())
    if beginning:
        record["started_from"] = beginning.record
    extras = {STYLE_FILE: target.save()}
    if diary.previews:
        path, given = diary.previews[0]
        pictures = [from_vgg_space(picture.asnumpy()) for picture in training.task.paint(given, len(stages))]
        first = given if kind.paints_photos else training.task.styles[0].asnumpy()
        labels = [path.name if kind.paints_photos else "", *(f"stage {stage}" for stage in stages)]
        title = f"{flags.out.name}, after {', '.join(Path(style).name for style in options.styles)}"
        picture = sheet([from_vgg_space(first), *pictures], labels, title, SHEET_EDGE)
        extras["sheet.jpg"] = encode_image(picture, ".jpg")
        extras[THUMBNAIL] = encode_image(resize_long_edge(pictures[-1], THUMBNAIL_EDGE), ".jpg")
    model = publish(training.chain, flags.out, record, extras, flags.overwrite)
    if training.skipped:
        count = len(training.skipped)
        words = "1 photo could not be read and was" if count == 1 else f"{count} photos could not be read and were"
        print(f"{words} skipped: {', '.join(training.skipped)}")
    print(f"{model.folder} is trained: e2e-art infer {kind.usage} {model.folder} -o OUT")
