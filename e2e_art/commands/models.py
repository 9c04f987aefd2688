"""List models: their size, how they were trained, their losses, and a small picture.

usage: e2e-art models [DIR]

examples:
  e2e-art models
  e2e-art models models/
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..images.io import read_image
from ..images.resize import resize_long_edge
from ..models.folder import THUMBNAIL, Model, list_models, model_folders, read_model
from .flags import add_parser

__all__ = ["add_command", "describe_model", "describe_models"]

COLUMNS = 40  # of a terminal, that a small picture takes


def add_command(commands) -> None:
    """Adds `models` to the commands."""
    parser = add_parser(commands, "models", run, "list trained models", __doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR", help="a folder of models, shipped ones by default"
    )


def run(flags: argparse.Namespace) -> int:
    """Prints a paragraph for each model, damaged ones included."""
    folders = model_folders(flags.folder)
    if not folders:
        raise UserError(f"{flags.folder} holds no models: give the folder that train.py wrote models into")
    for folder in folders:
        try:
            print("\n".join(_paragraph(read_model(folder))))
        except UserError as error:
            print(f"{folder.name}\n  damaged: {error}")
    return 0


def _paragraph(model: Model) -> list[str]:
    """Returns the lines that describe a model."""
    record = model.record
    stages = "1 stage" if len(model.stages) == 1 else f"{len(model.stages)} stages"
    lines = [f"{model.title}  ({model.folder})", f"  {stages}, {model.megabytes:.1f} MB"]
    styles = ", ".join(style["file"] for style in record.get("styles", []))
    if styles:
        seen = f"on {record.get('photos', 'some')} photos" if model.kind.paints_photos else f"a {model.kind.name}"
        lines.append(f"  after {styles}, {seen} in {model.training_time}")
    totals = " ".join(f"{stage['total']:.2f}" for stage in record.get("validation", []))
    if totals:
        validated = (
            f"{record.get('validation_photos', 'some')} other photos"
            if model.kind.paints_photos
            else "seeds of its own"
        )
        lines.append(f"  total loss on {validated}, stage by stage: {totals}")
    if THUMBNAIL in model.files:
        path = model.path(THUMBNAIL)
        lines.append(f"  {path}")
        if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
            lines += _in_characters(read_image(path))
    return lines


def _in_characters(picture: np.ndarray) -> list[str]:
    """Returns a picture as lines for a color terminal: each character is two pixels, one above the other."""
    small = resize_long_edge(picture, COLUMNS)
    small = small[: len(small) // 2 * 2].reshape(-1, 2, small.shape[1], 3)
    return ["  " + "".join(map(_character, above, below)) + "\033[0m" for above, below in small]


def _character(above: np.ndarray, below: np.ndarray) -> str:
    return "\033[38;2;{};{};{};48;2;{};{};{}m▀".format(*above, *below)


def describe_models() -> int:
    """Prints the shipped models, one a line."""
    models = list_models()
    width = max((len(model.name) for model in models), default=0)
    for model in models:
        print(f"{model.name:{width}}  {len(model.stages)} stages  {model.megabytes:.1f} MB  {model.title}")
    return 0


def describe_model(model: Model) -> int:
    """Prints how a model was trained."""
    record = model.record
    print(f"{model.title}\nin {model.folder}, {len(model.stages)} stages")
    for index, stage in enumerate(model.stages):
        print(f"  stage {index}: " + ", ".join(f"{key} {value}" for key, value in stage.items() if key != "file"))
    for key in ("command", "photos", "seconds", "engine", "versions"):
        print(f"{key}: {record.get(key, 'not recorded')}")
    while (earlier := record.get("started_from")) is not None:
        record = earlier
        engine = f", engine: {record['engine']}" if "engine" in record else ""
        print(f"started from: {record.get('command', 'not recorded')}, seconds: {record.get('seconds')}{engine}")
    for result in model.record.get("validation", []):
        print("validation: " + ", ".join(f"{key} {value:.4g}" for key, value in result.items()))
    return 0
