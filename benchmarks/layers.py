"""Where the loss that a chain leaves lies, layer by layer, beside L-BFGS on the same photos at short edge 320.

python benchmarks/layers.py kodak_00{04,10,16,22}.jpg --models starry_night udnie
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from interleaved import command_line, table

from e2e_art import load
from e2e_art.engines.gluon import array, to_numpy
from e2e_art.evaluation.baseline import baseline_curve
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.images.arrays import to_vgg_space
from e2e_art.images.io import read_image
from e2e_art.images.resize import resize_short_edge
from e2e_art.losses.options import LossOptions
from e2e_art.losses.perceptual import PerceptualLoss
from e2e_art.models.folder import Model, read_model

EDGE = 320
DEFAULT = LossOptions()


def losses_of_layers(evaluator: Evaluator) -> list[PerceptualLoss]:
    """Returns the loss of each style layer alone, with its share of the style weight."""
    share = DEFAULT.style_weight / len(DEFAULT.style_layers)
    return [
        PerceptualLoss(replace(DEFAULT, style_weight=share, content_weight=0, style_layers=(layer,)), evaluator.target)
        for layer in DEFAULT.style_layers
    ]


def rows_of(model: Model, photos: list[np.ndarray], evaluations: int) -> list[list[str]]:
    evaluator, painter = Evaluator(model), load(model.folder)
    layers = losses_of_layers(evaluator)

    def figures(photo: np.ndarray, picture: np.ndarray) -> list[float]:
        x = array(to_vgg_space(picture))
        styles = [float(to_numpy(layer(x, [])["style"])[0]) for layer in layers]
        (losses,) = evaluator.losses(photo, [picture])
        return [*styles, losses["content"], losses["total"]]

    pictures = {
        model.name: painter,
        f"L-BFGS, {evaluations} evaluations": lambda photo: baseline_curve(photo, evaluator.target, evaluations)[2],
    }
    means = {
        name: np.mean([figures(photo, paint(photo)) for photo in photos], axis=0) for name, paint in pictures.items()
    }
    return [[name, *(f"{value:.2f}" for value in values)] for name, values in means.items()]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    parser.add_argument("--models", nargs="+", default=["starry_night"], metavar="MODEL", help="names or folders")
    parser.add_argument("--evaluations", type=int, default=16, help="of L-BFGS (default: %(default)s)")
    options = parser.parse_args()
    photos = [resize_short_edge(read_image(path), EDGE) for path in options.photos]
    rows = [row for name in options.models for row in rows_of(read_model(name), photos, options.evaluations)]
    print(table(["", *DEFAULT.style_layers, "content", "total"], rows))


if __name__ == "__main__":
    main()
