"""`e2e-art infer --model all`, or `--style all`: one photo in every style, on one contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import list_models, load
from ..files import pretrained_folder
from ..images.io import Picture
from ..images.resize import resize, resize_long_edge
from ..images.sheet import sheet
from ..models.kinds import PHOTO
from ..painting.photo import Painter
from .infer_batch import Made, paint_batch
from .infer_targets import Output, find_targets

__all__ = ["ALL", "paint_all_models", "paint_all_styles"]

ALL = "all"  # in the place of a model's name, or of a style's
EDGE = 512  # long edge to paint at by default
LARGEST = 1024  # long edge to show at most, of what --size paints larger
COLUMNS = 4

Makers = Mapping[str, Callable[[], Painter]]


def paint_all_models(photos: Sequence[str], look: Mapping[str, Any], output: Output, device: Sequence[Any]) -> None:
    """Makes a sheet of each photo: the photo, and its paintings by the shipped models, which are loaded one by one.

    photos: files, folders, patterns or "-".  look: options of `Painter.stages`.  output: its OUT is a file, a folder,
    or "-".  device: engine, threads and GPU, as for `e2e_art.load`.
    """
    models = list_models(pretrained_folder() / PHOTO.subfolder)
    makers = {f"{model.title}\n--model {model.name}": partial(load, model, *device) for model in models}
    _paint_sheets(photos, makers, look, output, ALL)


def paint_all_styles(
    photos: Sequence[str], painter: Painter, look: Mapping[str, Any], output: Output, every_stage: bool = False
) -> None:
    """Makes a sheet of each photo: the photo, and its paintings in every style of a network of several.

    every_stage: a row for each style instead, with the picture of each stage.  All else as for `paint_all_models`.
    """
    makers = {style: partial(painter.with_style, style) for style in painter.styles}
    _paint_sheets(photos, makers, look, output, painter.model.name, every_stage)


def _paint_sheets(
    photos: Sequence[str],
    makers: Makers,
    look: Mapping[str, Any],
    output: Output,
    model: str,
    every_stage: bool = False,
) -> None:
    """Makes a sheet of each photo, of its paintings by what the makers make; model: the name to report."""
    targets, notes = find_targets(photos, output)

    def make(name: str, picture: Picture) -> Made:
        photo = picture.pixels
        size = min(max(photo.shape[:2]), EDGE) if look["size"] is None else look["size"]
        paintings, labels, columns = [], [], COLUMNS
        for label, maker in tqdm(makers.items(), unit="style", leave=False, delay=1):
            painter = maker()
            stages = None if every_stage else painter.last(output.stage)
            painted = painter.stages(photo, stages, **{**look, "size": size, "as_painted": True})
            large = max(painted[0].shape[:2]) > LARGEST
            paintings += [resize_long_edge(painting, LARGEST) if large else painting for painting in painted]
            labels += [f"{label}, stage {stage}" for stage in range(len(painted))] if every_stage else [label]
            columns = len(painted) if every_stage else columns
        if not every_stage:
            paintings.insert(0, resize(photo, *paintings[0].shape[:2]))
            labels.insert(0, Path(name).name)
        return Made([], [sheet(paintings, labels, f"{len(makers)} styles", LARGEST, columns)])

    paint_batch(targets, make, model, output, notes)
