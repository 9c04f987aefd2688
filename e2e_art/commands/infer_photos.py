"""`e2e-art infer` with photos: their paintings, with every stage and a sheet of them where wanted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from ..images.io import Picture
from ..images.resize import resize, resize_long_edge
from ..images.sheet import sheet
from ..models.folder import Model
from ..painting.photo import Painter
from .infer_batch import Made, paint_batch
from .infer_targets import SHEET, Output, find_targets
from .progress import tile_bar

if TYPE_CHECKING:
    from ..evaluation.evaluator import Evaluator

__all__ = ["paint_photos"]

log = logging.getLogger(__name__)

EVALUATED = 640  # long edge, in pixels, of the pictures that losses are measured on: what the sheet shows at most


def paint_photos(
    photos: Sequence[str], painter: Painter, look: Mapping[str, Any], output: Output, every_stage: bool = False
) -> None:
    """Paints photos; photos that cannot be read are skipped where there are others.

    photos: files, folders, patterns or "-".  look: options of `Painter.stages`.  output: its OUT is a file, a folder,
    or "-".  every_stage: also write each stage, and a sheet of them all.
    """
    last = len(painter.model.stages) - 1 if output.stage is None else output.stage
    stages = [*range(last), last] if every_stage else []
    endings = [*(f"_stage-{stage}" for stage in stages), SHEET] if stages else []
    targets, notes = find_targets(photos, output, endings)
    evaluator = cache(lambda: _evaluator(painter.model))  # one for all photos, made while the seconds are counted

    def make(name: str, picture: Picture) -> Made:
        photo = picture.pixels
        pictures = _paint(painter, photo, stages or [last], look)
        if not stages:
            return Made(pictures)
        labels = [Path(name).name, *_labels(evaluator(), photo, pictures)]
        return Made([pictures[-1], *pictures], [sheet([photo, *pictures], labels, painter.model.title)])

    size = partial(painter.output_size, size=look["size"], as_painted=look["as_painted"])
    paint_batch(targets, make, painter.model.name, output, notes, size=size)


def _paint(painter: Painter, photo: np.ndarray, stages: Sequence[int], look: Mapping[str, Any]) -> list[np.ndarray]:
    """Returns the pictures of stages; a bar shows the tiles of a large photo."""
    with tile_bar() as on_tile:
        return painter.stages(photo, stages, **look, on_tile=on_tile)


def _evaluator(model: Model) -> Evaluator | None:
    """Returns what measures the losses on sheets; None without the training extra, and for models without a style."""
    try:
        from ..evaluation.evaluator import Evaluator

        return Evaluator(model)
    except UserError as error:
        log.debug("sheets show no losses: %s", error)
        return None


def _labels(evaluator: Evaluator | None, photo: np.ndarray, pictures: Sequence[np.ndarray]) -> list[str]:
    """Returns each stage's number and, where they can be measured, its losses: at the size of the pictures, or less."""
    labels = [f"stage {stage}" for stage in range(len(pictures))]
    if max(pictures[0].shape) > EVALUATED:
        pictures = [resize_long_edge(picture, EVALUATED) for picture in pictures]
    try:
        losses = evaluator.losses(resize(photo, *pictures[0].shape[:2]), pictures) if evaluator else []
    except UserError as error:
        log.debug("the sheet shows no losses: %s", error)
        losses = []
    words = "\ntotal {total:.2f}: style {style:.2f}, content {content:.2f}"
    return [label + words.format(**loss) for label, loss in zip(labels, losses)] or labels
