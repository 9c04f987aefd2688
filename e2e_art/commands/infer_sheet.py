"""`e2e-art infer --model all`: one photo in every shipped style, on one contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import list_models, load
from ..files import pretrained_folder
from ..images.io import Picture
from ..images.resize import resize, resize_long_edge
from ..images.sheet import sheet
from ..models.kinds import PHOTO
from .infer_batch import Made, paint_batch
from .infer_targets import Output, find_targets

__all__ = ["ALL", "paint_sheets"]

ALL = "all"  # in the place of a model's name
EDGE = 512  # long edge to paint at by default
LARGEST = 1024  # long edge to show at most, of what --size paints larger
COLUMNS = 4


def paint_sheets(photos: Sequence[str], look: Mapping[str, Any], output: Output, device: Sequence[Any]) -> None:
    """Makes a sheet of each photo: the photo, and its paintings by the shipped models, which are loaded one by one.

    photos: files, folders, patterns or "-".  look: options of `Painter.stages`.  output: its OUT is a file, a folder,
    or "-".  device: engine, threads and GPU, as for `e2e_art.load`.
    """
    targets, notes = find_targets(photos, output)
    models = list_models(pretrained_folder() / PHOTO.subfolder)
    labels = [f"{model.title}\n--model {model.name}" for model in models]

    def make(name: str, picture: Picture) -> Made:
        photo = picture.pixels
        size = min(max(photo.shape[:2]), EDGE) if look["size"] is None else look["size"]
        paintings = []
        for model in tqdm(models, unit="style", leave=False, delay=1):
            painting = load(model, *device)(photo, output.stage, **{**look, "size": size, "as_painted": True})
            large = max(painting.shape[:2]) > LARGEST
            paintings.append(resize_long_edge(painting, LARGEST) if large else painting)
        pictures = [resize(photo, *paintings[0].shape[:2]), *paintings]
        return Made([], [sheet(pictures, [Path(name).name, *labels], f"{len(models)} styles", LARGEST, COLUMNS)])

    paint_batch(targets, make, ALL, output, notes)
