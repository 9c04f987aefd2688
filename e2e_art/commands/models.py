"""List models: their size, how they were trained, their losses, and a small picture; or rewrite older ones.

usage: e2e-art models [--upgrade] [DIR ...]

examples:
  e2e-art models
  e2e-art models models/
  e2e-art models --upgrade models/
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, OptionError, UserError, plural
from ..files import pretrained_folder
from ..images.io import read_image
from ..images.resize import resize_long_edge
from ..models.folder import DESCRIPTION, FORMAT, THUMBNAIL, Model, list_models, model_folders, read_model
from .console import can_print

__all__ = ["add_arguments", "run", "describe_model", "describe_models"]

COLUMNS = 40  # of a terminal, that a small picture takes
PIXELS = "▀"  # a character of two, one above the other


def add_arguments(parser) -> None:
    """Adds the flags of `models`."""
    folders = "models, or folders of models; shipped ones by default"
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help=folders)
    upgrade = "rewrite models of an older format in today's, in place, with the same weights"
    parser.add_argument("--upgrade", action="store_true", help=upgrade)


def run(flags: argparse.Namespace) -> None:
    """Prints a paragraph for each model, damaged ones included; or upgrades each."""
    if flags.upgrade and not flags.folders:
        raise OptionError("--upgrade rewrites the models that it is given: name their folders, such as models/")
    folders = [each for folder in flags.folders or [None] for each in _models_in(folder)]
    if flags.upgrade:
        return _upgrade(folders)
    for folder in folders:
        try:
            print("\n  ".join(_paragraph(read_model(folder))))
        except UserError as error:
            print(f"{folder.name}\n  damaged: {error}")


def _models_in(folder: Path | None) -> list[Path]:
    """Returns the folder of a model, or of each that lies in it, None for shipped ones; raises UserError for none."""
    if folder and not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the one that train.py wrote models into")
    found = [folder] if folder and (folder / DESCRIPTION).is_file() else model_folders(folder)
    if not found:
        holder = folder or pretrained_folder()
        raise UserError(f"{holder} holds no models: give the folder that train.py wrote models into")
    return found


def _upgrade(folders: Sequence[Path]) -> None:
    """Rewrites models of an older format; those that are damaged are passed over, and counted, where there are others.

    Raises UserError where any could not be rewritten.
    """
    refused = 0
    for folder in folders:
        try:
            _upgrade_one(read_model(folder))
        except ModelError as error:
            if len(folders) == 1:
                raise
            print(f"skipped: {error}", file=sys.stderr)
            refused += 1
    if refused:
        raise UserError(f"{refused} of {len(folders)} models could not be upgraded: the lines above say why")


def _upgrade_one(model: Model) -> None:
    """Rewrites a model of an older format, and says how large it is then."""
    from ..models.upgrade import upgrade

    if model.format == FORMAT:
        print(f"{model.folder}: in format {FORMAT} already")
        return
    before = model.megabytes
    print(f"{model.folder}: format {FORMAT}, {upgrade(model).megabytes:.2f} MB, was {before:.2f} MB")


def _paragraph(model: Model) -> list[str]:
    """Returns the lines that describe a model."""
    lines = [f"{model.title}  ({model.folder})", f"{plural(len(model.stages), 'stage')}, {model.megabytes:.1f} MB"]
    lines += _about_upscaler(model) if model.factor > 1 else _about_painter(model)
    if THUMBNAIL in model.files:
        lines.append(str(model.path(THUMBNAIL)))
        if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and can_print(PIXELS):
            lines += _in_characters(read_image(model.path(THUMBNAIL)))
    return lines


def _about_painter(model: Model) -> list[str]:
    """Returns the lines that say what a model paints after, and how well."""
    record, lines = model.record, []
    photos = model.kind.paints_photos or record.get("photos")
    if model.styles:
        lines.append(f"{plural(len(model.styles), 'style')}: {', '.join(model.styles)}")
        lines.append(f"on {_count(record, 'photos', 'photo')} in {model.training_time}")
    elif styles := ", ".join(style["file"] for style in record.get("styles", [])):
        seen = f"on {_count(record, 'photos', 'photo')}" if photos else f"a {model.kind.name}"
        lines.append(f"after {styles}, {seen} in {model.training_time}")
    elif record.get("photos"):
        lines.append(f"after {_count(record, 'photos', 'photo')} in {model.training_time}")
    if totals := " ".join(f"{stage['total']:.2f}" for stage in record.get("validation", [])):
        samples = _count(record, "validation_photos", "other photo") if photos else "seeds of its own"
        lines.append(f"total loss on {samples}, stage by stage: {totals}")
    return lines


def _about_upscaler(model: Model) -> list[str]:
    """Returns the lines that say how many times a model enlarges, and how well."""
    record = model.record
    lines = [f"enlarges {model.factor} times, after {_count(record, 'photos', 'photo')} in {model.training_time}"]
    if decibels := " ".join(f"{stage['psnr']:.2f}" for stage in record.get("validation", []) if "psnr" in stage):
        lines.append(f"PSNR on {_count(record, 'validation_photos', 'other photo')}, stage by stage: {decibels} dB")
    return lines


def _count(record: dict, key: str, noun: str) -> str:
    return plural(record[key], noun) if key in record else f"some {noun}s"


def _in_characters(picture: np.ndarray) -> list[str]:
    """Returns a picture as lines for a color terminal: each character is two pixels, one above the other."""
    small = resize_long_edge(picture, COLUMNS)
    pairs = small[: len(small) // 2 * 2].reshape(-1, 2, small.shape[1], 3).swapaxes(1, 2)  # (rows, W, 2, 3)
    character = "\033[38;2;{};{};{};48;2;{};{};{}m" + PIXELS
    return ["".join(character.format(*pair.ravel()) for pair in row) + "\033[0m" for row in pairs]


def describe_models() -> None:
    """Prints the shipped models, one a line, each by its folder: that is what --model takes."""
    models = list_models()
    width = max((len(model.folder.name) for model in models), default=0)
    for model in models:
        stages = f"{plural(len(model.stages), 'stage'):8}"
        print(f"{model.folder.name:{width}}  {stages}  {model.megabytes:.1f} MB  {model.title}")


def describe_model(model: Model) -> None:
    """Prints how a model was trained."""
    print(f"{model.title}\nin {model.folder}, {plural(len(model.stages), 'stage')}")
    for index, stage in enumerate(model.stages):
        print(f"  stage {index}: " + ", ".join(f"{key} {value}" for key, value in stage.items() if key != "file"))
    for key in ("command", "photos", "seconds", "engine", "versions"):
        value = model.record.get(key, "not recorded")
        print(f"{key}: {'none' if value == '' else value}")
    earlier: Any = model.record
    while earlier := earlier.get("started_from"):
        engine = f", engine: {earlier['engine']}" if "engine" in earlier else ""
        print(f"started from: {earlier.get('command', 'not recorded')}, seconds: {earlier.get('seconds')}{engine}")
    for result in model.record.get("validation", []):
        print("validation: " + ", ".join(f"{key} {value:.4g}" for key, value in result.items()))
