"""A finished training becomes a model: validation, record, contact sheet."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..engines.mxnet import mx
from ..images.arrays import from_vgg_space
from ..images.io import encode_image
from ..images.resize import resize_long_edge
from ..images.sheet import sheet
from ..losses.options import LossOptions
from ..losses.perceptual import PerceptualLoss
from ..models.folder import STYLE_FILE, THUMBNAIL, Model
from ..models.kinds import KINDS
from ..models.publish import publish
from .trainer import Training

__all__ = ["SHEET_EDGE", "THUMBNAIL_EDGE", "publish_training"]

SHEET_EDGE, THUMBNAIL_EDGE = 184, 160  # these pictures travel with the model, which has to stay small


def publish_training(
    training: Training,
    folder: Path,
    *,
    command: str = "",
    validation: Sequence[Path] = (),
    samples: Mapping[str, np.ndarray] = {},
    started_from: Model | None = None,
    overwrite: bool = False,
) -> Model:
    """Writes the chain of a training as a model with its record, its painting's style target and a contact sheet.

    command: what trained it, for the record.  validation: the photos to validate on.  samples: what the sheet shows
    the first of, by name, as `Task.samples` returns them.  started_from: the model that the training began with, whose
    record becomes part of the new one.  Raises ModelError where the folder cannot be written.
    """
    stages = range(len(training.chain.generators))
    # Whatever weights were trained with, records have the default ones, so that they compare.
    loss = LossOptions(content_weight=LossOptions().content_weight * (training.options.loss.content_weight > 0))
    target = training.task.target(loss)
    results: Sequence[Mapping[str, float]] = ()
    if validation or training.task.keeps_best:
        results = training.task.validate(validation, stages, PerceptualLoss(loss, target, training.contexts))
    record = {"command": command, **_record(training)}
    record["validation_photos"] = len(validation)
    record["validation"] = [{"stage": stage, **result} for stage, result in zip(stages, results)]
    if started_from:
        record["started_from"] = started_from.record
    extras = {STYLE_FILE: target.save()}
    for name, sample in [*samples.items()][:1]:
        extras.update(_pictures(training, folder.name, name, sample))
    return publish(training.chain, folder, record, extras, overwrite)


def _record(training: Training) -> dict[str, Any]:
    """Returns how a training went, and of what."""
    options, state = training.options, training.state
    engines = {"mxnet": mx.__version__, "numpy": np.__version__}
    return {
        "styles": [
            {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in map(Path, options.styles)
        ],
        "photos": state.photo_count,
        "skipped": len(state.skipped),
        "seconds": round(state.seconds),
        "engine": state.engine,
        "versions": {"e2e_art": __version__, "python": platform.python_version(), **engines},
        "options": options.describe(),
        **training.task.record(),
    }


def _pictures(training: Training, title: str, name: str, sample: np.ndarray) -> dict[str, bytes]:
    """Returns the contact sheet and the thumbnail: what was given, or the painting, and what each stage makes of it."""
    options, count = training.options, len(training.chain.generators)
    pictures = [from_vgg_space(picture.asnumpy()) for picture in training.task.paint(sample, count)]
    of_photo = KINDS[options.kind].paints_photos
    first = from_vgg_space(sample if of_photo else training.task.styles[0].asnumpy())
    labels = [name if of_photo else "", *(f"stage {stage}" for stage in range(count))]
    title = f"{title}, after {', '.join(Path(style).name for style in options.styles)}"
    return {
        "sheet.jpg": encode_image(sheet([first, *pictures], labels, title, SHEET_EDGE), ".jpg"),
        THUMBNAIL: encode_image(resize_long_edge(pictures[-1], THUMBNAIL_EDGE), ".jpg"),
    }
