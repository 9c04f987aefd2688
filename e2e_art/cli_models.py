"""`e2e-art models` lists what is shipped; `e2e-art compare` tells what a model's stages are worth."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .cli_infer import describe_models
from .errors import OptionError
from .images import ImageError, list_images, read_image, resize_short_edge
from .options import LossOptions

__all__ = ["add_command"]


def add_command(commands) -> None:
    """Adds `models` and `compare` to the commands."""
    models = commands.add_parser("models", help="list the shipped models", description="List the shipped models.")
    models.set_defaults(run=lambda flags: describe_models(), verbose=False)
    compare = commands.add_parser(
        "compare",
        help="tell the losses of each stage on photos",
        description="Print the mean losses of each stage of a model, in the convention of docs/losses.md.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    compare.set_defaults(run=run)
    compare.add_argument("photos", nargs="+", metavar="PHOTO", help="files or folders")
    compare.add_argument("--model", nargs="+", default=["starry_night"], help="shipped names, or models' folders")
    compare.add_argument("--short-edge", type=int, default=320, help="size of the photos; 0 leaves them as they are")
    compare.add_argument("--crop", metavar="WxH", help="cut the middle to this shape and scale to it, such as 640x480")
    compare.add_argument("--verbose", action="store_true", help="say more")


def run(flags: argparse.Namespace) -> int:
    """Prints one table: a row for the photos themselves and for each stage of each model."""
    from .judge import Judge
    from .models import read_model
    from .stylize import load

    paths: list[Path] = []
    for photo in flags.photos:
        paths += list_images(photo) if Path(photo).is_dir() else [Path(photo)]
    if not paths:
        raise ImageError(f"There are no pictures in {', '.join(flags.photos)}: check the path")
    photos = [_prepared(read_image(path), flags) for path in paths]
    print(f"Mean of {len(photos)} photos\n")
    print("| picture | total | style term | content | tv | seconds |\n|---|---|---|---|---|---|")
    for number, name in enumerate(flags.model):
        painter, judge = load(name), Judge(read_model(name))
        count = len(painter.model.stages)
        losses, seconds = [], np.zeros(count)
        for photo in tqdm(photos, unit="photo", leave=False):
            pictures = []
            for stage in range(count):
                started = time.perf_counter()
                pictures.append(painter(photo, stage=stage))
                seconds[stage] += (time.perf_counter() - started) / len(photos)
            losses.append(judge.losses(photo, [photo, *pictures]))
        style_weight = LossOptions().style_weight
        for row in range(0 if number == 0 else 1, count + 1):
            mean = {key: np.mean([loss[row][key] for loss in losses]) for key in losses[0][row]}
            label = "the photo itself" if row == 0 else f"{painter.model.name}, stage {row - 1}"
            spent = f"{seconds[row - 1]:.2f}" if row else ""
            print(
                f"| {label} | {mean['total']:.3f} | {mean['style'] / style_weight:.4f} | {mean['content']:.3f} "
                f"| {mean['tv']:.4f} | {spent} |"
            )
    return 0


def _prepared(photo: np.ndarray, flags: argparse.Namespace) -> np.ndarray:
    """Returns the photo in the size to judge it at."""
    from .images import resize

    if flags.crop:
        try:
            width, height = (int(edge) for edge in flags.crop.lower().split("x"))
        except ValueError:
            raise OptionError(f"--crop takes a width and a height, such as 640x480, not '{flags.crop}'") from None
        scale = max(width / photo.shape[1], height / photo.shape[0])
        rows, columns = round(height / scale), round(width / scale)
        top, left = (photo.shape[0] - rows) // 2, (photo.shape[1] - columns) // 2
        return resize(photo[top : top + rows, left : left + columns], height, width)
    return resize_short_edge(photo, flags.short_edge) if flags.short_edge else photo
