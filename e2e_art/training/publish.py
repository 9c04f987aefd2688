"""A finished training becomes a model: validation, record, contact sheet."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import __version__
from ..engines.gluon import NAME, VERSION, to_numpy
from ..files import sha256_of
from ..images.arrays import from_vgg_space
from ..images.io import encode_image
from ..images.resize import resize_long_edge
from ..images.sheet import sheet
from ..models.folder import THUMBNAIL, Model, style_thumbnail
from ..models.kinds import MULTISTYLE
from ..models.publish import publish
from .trainer import Training

__all__ = ["SHEET_EDGE", "THUMBNAIL_EDGE", "publish_training"]

SHEET_EDGE, THUMBNAIL_EDGE, STYLE_EDGE = 184, 160, 96  # these pictures travel with the model, which has to stay small


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
    record becomes part of the new one.  Raises TrainingError where the training has diverged, ModelError where the
    folder cannot be written.
    """
    training.check_finite()
    options, state, task = training.options, training.state, training.task
    results, extras = task.evaluate(validation)
    paintings = [Path(style) for style in options.styles]
    versions = {"e2e_art": __version__, "python": platform.python_version(), "numpy": np.__version__}
    kept = started_from.record["styles"] if started_from and options.kept_styles else []
    if started_from:
        own = {style_thumbnail(index) for index in range(len(kept))} & started_from.files.keys()
        extras = {**extras, **{name: started_from.path(name).read_bytes() for name in own}}
    record = {
        "command": command,
        "styles": [*kept, *({"file": path.name, "sha256": sha256_of(path)} for path in paintings)],
        "photos": state.photo_count,
        "skipped": len(state.skipped),
        "seconds": round(state.seconds),
        "engine": " and ".join(state.times),
        "engine_seconds": {engine: round(seconds) for engine, seconds in state.times.items()},
        "versions": {**versions, NAME.lower(): VERSION},
        "options": options.describe(),
        **task.record(),
        "validation_photos": len(validation),
        "validation": [{"stage": stage, **result} for stage, result in enumerate(results)],
    }
    if started_from:
        record["started_from"] = started_from.record
    if samples:
        name, sample = next(iter(samples.items()))
        after = f", after {', '.join(path.name for path in paintings)}" if paintings else ""
        extras.update(_pictures(training, folder.name + after, name, sample))
    return publish(training.chain, folder, record, extras, overwrite)


def _pictures(training: Training, title: str, name: str, sample: np.ndarray) -> dict[str, bytes]:
    """Returns the contact sheet and thumbnails: what was given, or the painting, and what becomes of it."""
    sample = training.task.part(sample, SHEET_EDGE)
    labels, shown = training.task.shown(sample)
    pictures = [from_vgg_space(to_numpy(picture)) for picture in shown]
    label, first = training.task.begins_with(name, sample)
    thumbnails = {THUMBNAIL: resize_long_edge(pictures[-1], THUMBNAIL_EDGE)}
    if training.chain.kind == MULTISTYLE.name:
        styles = enumerate(pictures, training.options.kept_styles)
        thumbnails |= {style_thumbnail(style): resize_long_edge(picture, STYLE_EDGE) for style, picture in styles}
    return {
        "sheet.jpg": encode_image(
            sheet([from_vgg_space(first), *pictures], [label, *labels], title, SHEET_EDGE), ".jpg"
        ),
        **{name: encode_image(picture, ".jpg") for name, picture in thumbnails.items()},
    }
