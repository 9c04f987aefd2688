"""What a critic brings to paintings: models of one painting, trained with `--gan-weight` and without, side by side.

python benchmarks/critic.py PHOTOS --style PAINTING --models MODEL MODEL [--evaluations 30] [--sheet FILE]

PHOTOS: a folder.  PAINTING: the file that the models learned from.  MODEL: a shipped name, or a model's folder.

Total, style and content are those of the default loss, means over the photos, by the painting as the first model saw
it; worth is how many evaluations L-BFGS on the pixels needs for the same total, from the photo, and its pictures after
these get a row of their own.  Patch distance: the mean cosine distance of each 3x3 patch of relu3_1 to the nearest of
the painting's patches, or of every second, third ... of them, so that they are 2048 at most; lower is nearer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from interleaved import table
from super_resolution import busiest_crop

import e2e_art
from e2e_art.engines.gluon import array, to_numpy
from e2e_art.errors import OptionError, UserError
from e2e_art.evaluation.baseline import baseline_curve, equivalent_evaluations_text
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.evaluation.patch_distance import patch_distance
from e2e_art.files import sha256_of
from e2e_art.images.arrays import to_vgg_space
from e2e_art.images.io import list_images, read_image, write_image
from e2e_art.images.resize import resize_short_edge
from e2e_art.images.sheet import sheet
from e2e_art.losses.options import LossOptions
from e2e_art.losses.patches import extract_patches
from e2e_art.losses.style_target import painting_at
from e2e_art.models.folder import Model, read_model
from e2e_art.models.kinds import PHOTO
from e2e_art.networks.vgg import load_vgg

LAYER = "relu3_1"
CROP, ZOOM = 144, 2  # pixels of a sheet's crops, each shown as ZOOM x ZOOM pixels
PHOTO_ITSELF, BASELINE = "the photo itself", "L-BFGS, {} evaluations"


def distance_to(painting: np.ndarray) -> Callable[[np.ndarray], float]:
    """Returns the function of a picture that is its patch distance to a painting, both uint8 (H, W, 3)."""
    vgg = load_vgg([LAYER], bfloat16=False)

    def features(image: np.ndarray):
        return vgg(array(to_vgg_space(image)))[0]

    patches = extract_patches(to_numpy(features(painting))).features
    return lambda picture: patch_distance(features(picture), patches)


def check_painting(model: Model, painting: Path) -> None:
    """Raises OptionError for a model that learned from another painting."""
    if sha256_of(painting) not in [style["sha256"] for style in model.record.get("styles", [])]:
        raise OptionError(f"{painting} is not what {model.folder} learned from: give its painting, or leave it out")


def measure(photo: np.ndarray, painters: dict, evaluator: Evaluator, distance: Callable, evaluations: int) -> dict:
    """Returns the pictures of a photo by name, their figures, and the curve of the baseline."""
    pictures = {PHOTO_ITSELF: photo, **{name: painter(photo) for name, painter in painters.items()}}
    curve = []
    if evaluations:
        curve, _, pictures[BASELINE.format(evaluations)] = baseline_curve(photo, evaluator.target, evaluations)
    losses = evaluator.losses(photo, list(pictures.values()))
    figures = {name: {**loss, "patch": distance(pictures[name])} for name, loss in zip(pictures, losses)}
    return {"pictures": pictures, "figures": figures, "curve": curve}


def rows_of(measured: list[dict], weights: dict[str, str]) -> Iterator[list[str]]:
    """Yields a row for each way to make a picture: its name, its critic's weight, and its means over the photos."""
    length = min(len(each["curve"]) for each in measured)  # as far as the curves of all photos go
    curve = np.mean([each["curve"][:length] for each in measured], axis=0).tolist()
    for name in measured[0]["figures"]:
        means = {
            term: np.mean([each["figures"][name][term] for each in measured])
            for term in ("total", "style", "content", "patch")
        }
        worth = [equivalent_evaluations_text(curve, means["total"]) if name in weights else ""] if curve else []
        style = means["style"] / LossOptions().style_weight
        figures = f"{means['total']:.3f}", f"{style:.4f}", f"{means['content']:.3f}", f"{means['patch']:.4f}"
        yield [name, weights.get(name, ""), *figures, *worth]


def write_sheet(path: Path, measured: list[dict], names: list[str]) -> None:
    """Writes the same crop of each picture of a photo in one row, photo below photo."""
    crops, labels = [], []
    for name, each in zip(names, measured):
        place = busiest_crop(each["pictures"][PHOTO_ITSELF], CROP)
        for way, picture in each["pictures"].items():
            crops.append(picture[place].repeat(ZOOM, axis=0).repeat(ZOOM, axis=1))
            figures = each["figures"][way]
            labels.append(f"{way}\ntotal {figures['total']:.2f}, patch distance {figures['patch']:.3f}\n{name}")
    write_image(path, sheet(crops, labels, path.stem, columns=len(measured[0]["pictures"])), overwrite=True)


def run(options: argparse.Namespace) -> None:
    painting, models = read_image(options.style), {name: read_model(name, PHOTO) for name in options.models}
    for model in models.values():
        check_painting(model, options.style)
    first, *_ = models.values()
    edge = first.record["options"]["style_size"]
    evaluator, distance = Evaluator(first), distance_to(painting_at(painting, edge, LossOptions()))
    painters = {name: e2e_art.load(model) for name, model in models.items()}
    weights = {name: f"{max(model.record['options'].get('gan_weights', [0])):g}" for name, model in models.items()}
    paths = list_images(options.photos)
    if not paths:
        raise OptionError(f"{options.photos} holds no pictures: give a folder of photos")
    photos = (resize_short_edge(read_image(path), options.short_edge) for path in paths)
    measured = [measure(photo, painters, evaluator, distance, options.evaluations) for photo in photos]
    print(f"Means of {len(paths)} photos at short edge {options.short_edge}, the painting at long edge {edge}:\n")
    head = ["", "weight of the critic", "total", "style term", "content", "patch distance"]
    print(table([*head, *(["worth"] if options.evaluations else [])], list(rows_of(measured, weights))))
    if options.sheet:
        write_sheet(options.sheet, measured, [path.name for path in paths])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder")
    parser.add_argument("--style", type=Path, required=True, metavar="PAINTING", help="what the models learned from")
    parser.add_argument("--models", nargs="+", required=True, metavar="MODEL", help="names or folders")
    parser.add_argument("--evaluations", type=int, default=0, metavar="N", help="of L-BFGS, for the worth (default: 0)")
    parser.add_argument("--short-edge", type=int, default=320, help="of the photos (default: %(default)s)")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write crops of all pictures, side by side")
    try:
        run(parser.parse_args())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
