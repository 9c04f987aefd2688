"""Masks carried through VGG: what each layer sees of the regions of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..engines.mxnet import mx
from ..errors import OptionError
from ..networks.vgg import convolutions_of
from .options import LossOptions

__all__ = ["carry", "region_weights"]


def carry(regions: np.ndarray, layers: Sequence[str], blocks: Sequence[int] = (2, 2, 4, 4, 4)) -> dict[str, np.ndarray]:
    """Returns what each VGG layer sees of the regions: float32 (R, H / 2**(b - 1), W / 2**(b - 1)) in block b.

    A convolution becomes a mean over 3x3 pixels, of those only that lie inside the picture; a pooling a mean over 2x2.
    So the regions add up to 1 at every layer, up to its borders.
    regions: float32 (R, H, W).  layers: such as "relu4_2".  blocks: how many convolutions each block of the network
    has; untold, those of VGG-19.
    Raises OptionError for a layer that there is not, and for pictures of which it would leave nothing.
    """
    names = [f"relu{block}_{index}" for block, count in enumerate(blocks, 1) for index in range(1, count + 1)]
    for layer in layers:
        if layer not in names:
            raise OptionError(f"The loss network has no layer '{layer}': choose from {', '.join(names)}")
    seen = {}
    for name in names[: max(map(names.index, layers), default=-1) + 1]:
        if name.endswith("_1") and name != "relu1_1":
            regions = _pool(regions)
            if not regions.size:
                raise OptionError(f"The regions are too small for layer '{name}': choose a larger size")
        regions = _mean(regions)
        seen[name] = regions
    return {layer: seen[layer] for layer in layers}


def _pool(regions: np.ndarray) -> np.ndarray:
    """Halves (R, H, W) by averaging 2x2 pixels; an odd last row or column is dropped, as VGG's poolings do."""
    count, height, width = (len(regions), *(side // 2 for side in regions.shape[1:]))
    return regions[:, : 2 * height, : 2 * width].reshape(count, height, 2, width, 2).mean(axis=(2, 4))


def _mean(regions: np.ndarray) -> np.ndarray:
    """Averages (R, H, W) over each pixel's 3x3 neighborhood, of which at a border only 2x3, in a corner 2x2 exist."""
    three = np.ones(3)
    weights, *sums = (
        cv2.sepFilter2D(region, -1, three, three, borderType=cv2.BORDER_CONSTANT)  # nothing lies outside
        for region in (np.ones_like(regions[0]), *regions)
    )
    return np.stack(sums) / weights


def region_weights(regions: np.ndarray, loss: LossOptions) -> list:
    """Returns what each style layer sees of the regions (R, H, W) of a picture, as `gram_matrix` takes it."""
    carried = carry(regions, loss.style_layers, convolutions_of(loss.loss_network))
    return [normalize_weights(carried[layer]) for layer in loss.style_layers]


def normalize_weights(regions: np.ndarray):
    """Returns a layer's regions (R, H, W) as (R, 1, H * W), the squares of each adding up to 1."""
    rows = regions.reshape(len(regions), 1, -1)
    return mx.nd.array(rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1e-6))  # a region may be missing
