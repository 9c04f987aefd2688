"""What one engine computes, written as numbers for test_parity.py: python tests/engine_values.py OUT.npz."""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
from helpers import value_and_gradient
from skimage import data

from e2e_art.engines.gluon import array, to_numpy
from e2e_art.images.arrays import to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.losses.perceptual import PerceptualLoss
from e2e_art.losses.regions import patch_regions, region_weights
from e2e_art.losses.style_target import StyleTarget
from e2e_art.networks.vgg import layers_of, load_vgg
from e2e_art.optimize.multiscale import optimize
from e2e_art.optimize.options import OptimizeOptions

PICTURES = [image[40:88, 60:124] for image in (data.chelsea(), data.coffee(), data.astronaut())]  # 48x64
PHOTO, PAINTING, OTHER = map(to_vgg_space, PICTURES)
REGIONS = np.stack([np.arange(64) < 24, np.arange(64) >= 24]).repeat(48, axis=0).reshape(2, 48, 64).astype(np.float32)
LOSSES = {
    **{name: LossOptions(convention=name) for name in ("relative", "gatys", "bing-xu", "mean")},
    "covariance": LossOptions(covariance=True),
    "max pooling": LossOptions(pooling="max"),
    "normalized gradients": LossOptions(normalize_gradients=True),
    "layers with weights": LossOptions(
        style_layers=("relu1_2", "relu3_4"), style_layer_weights=(1.0, 3.0), content_layers=("relu2_2", "relu4_1")
    ),
    "patches": LossOptions(patch_weight=2.0),
    "regions": LossOptions(),
    "regions, covariance, patches": LossOptions(covariance=True, patch_weight=2.0),
}


def features(values: dict) -> None:
    """Adds the features of every layer, and the gradient of the last one of each block, for both ways to pool."""
    layers = layers_of("vgg19")
    for pooling in ("average", "max"):
        network = load_vgg(layers, pooling=pooling, bfloat16=False)
        values.update(zip((f"relu: {pooling} {layer}" for layer in layers), map(to_numpy, network(array(OTHER)))))
        for layer in ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4"):
            part = network.of_layers([layer])
            _, gradient = value_and_gradient(lambda x, part=part: part(x)[0], OTHER)
            values[f"relu, gradient: {pooling} {layer}"] = gradient


def losses(values: dict) -> None:
    """Adds each term of the loss, and its gradient, for every option; of a batch where the option allows it."""
    for name, options in LOSSES.items():
        regions, more = None, []
        if name.startswith("regions"):
            regions, mirrored = REGIONS, REGIONS[:, :, ::-1]
            more = [list(map(array, region_weights(mirrored, options)))]
            if options.patch_weight:
                more.append([array(part[None]) for part in patch_regions(mirrored, options)])
        loss = PerceptualLoss(options, StyleTarget.of(options, [PAINTING], regions=regions), bfloat16=False)
        count = 1 if more or options.patch_weight else 2
        pictures = np.concatenate([OTHER, PHOTO])[:count]
        content = loss.content_features(array(np.concatenate([PHOTO, PAINTING])[:count]))
        for term in loss(array(pictures), content, *more):
            found = value_and_gradient(partial(term_of, loss, term, content, *more), pictures)
            values.update(zip((f"term: {name}, {term}", f"term, gradient: {name}, {term}"), found))


def term_of(loss, term: str, content: list, *more):
    """Returns one term of the loss, for pictures that stand last."""
    *regions, pictures = more
    return loss(pictures, content, *regions)[term]


def optimization(values: dict) -> None:
    """Adds the totals of the first ten evaluations of L-BFGS from a photo, and those of Adam."""
    for solver in ("lbfgs", "adam"):
        options = replace(OptimizeOptions(solver, steps=10, style_size=64, tolerance=0), loss=LossOptions())
        result = optimize(PICTURES[0], [PICTURES[1]], PICTURES[0], options, bfloat16=False)
        values[f"totals: {solver}"] = np.array([evaluation.total for evaluation in result.evaluations])


if __name__ == "__main__":
    values: dict[str, np.ndarray] = {}
    for compute in (features, losses, optimization):
        compute(values)
    np.savez(sys.argv[1], **values)
