"""Region weights: how much each pixel of a VGG layer counts in each region of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..errors import OptionError, unknown
from ..networks.vgg import layers_of
from .options import LossOptions

__all__ = ["normalize_regions", "patch_regions", "propagate_regions", "region_weights"]


def propagate_regions(regions: np.ndarray, layers: Sequence[str], network: str = "vgg19") -> dict[str, np.ndarray]:
    """Returns the regions of a picture at VGG layers: float32 (R, H / 2**(b - 1), W / 2**(b - 1)) in block b.

    A convolution becomes a mean over those of 3x3 pixels that lie inside the picture, a pooling a mean over 2x2.  So
    the regions add up to 1 at every layer, up to its borders.
    regions: float32 (R, H, W).  layers: such as "relu4_2".  network: as for `load_vgg`.
    Raises OptionError for an unknown layer, and for pictures too small for a layer.
    """
    names = layers_of(network)
    for layer in layers:
        if layer not in names:
            raise OptionError(unknown("loss network layer", layer, names))
    found = {}
    for name in names[: max(map(names.index, layers), default=-1) + 1]:
        if name.endswith("_1") and name != "relu1_1":
            height, width = (side // 2 for side in regions.shape[1:])
            if not (height and width):
                raise OptionError(f"The regions are too small for layer '{name}': choose a larger size")
            blocks = regions[:, : 2 * height, : 2 * width].reshape(-1, height, 2, width, 2)  # an odd last row goes
            regions = blocks.mean(axis=(2, 4))
        regions = _mean(regions)
        found[name] = regions
    return {layer: found[layer] for layer in layers}


def _mean(regions: np.ndarray) -> np.ndarray:
    """Averages (R, H, W) over each pixel's 3x3 neighborhood, which is 2x3 at a border and 2x2 in a corner."""
    three, zero = np.ones(3), cv2.BORDER_CONSTANT  # outside
    planes = (np.ones_like(regions[0]), *regions)
    counts, *sums = (cv2.sepFilter2D(plane, -1, three, three, borderType=zero) for plane in planes)
    return np.stack(sums) / counts


def region_weights(regions: np.ndarray, options: LossOptions) -> list[np.ndarray]:
    """Returns the weights of a picture's regions (R, H, W) in each style layer, as `gram_matrix` takes them."""
    propagated = propagate_regions(regions, options.style_layers, options.loss_network)
    return [normalize_regions(propagated[layer]) for layer in options.style_layers]


def normalize_regions(regions: np.ndarray) -> np.ndarray:
    """Returns a layer's regions (R, H, W) as weights (R, 1, H * W) whose squares add up to 1 in each, or 0 if empty."""
    rows = regions.reshape(len(regions), 1, -1)
    return rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1e-6)


def patch_regions(regions: np.ndarray, options: LossOptions) -> list[np.ndarray]:
    """Returns to which region each pixel of a patch layer belongs: 1 in that one, 0 in the others, (R, H, W) each.

    With values in between, the pixels deepest within a region would win every match.
    """
    propagated = propagate_regions(regions, options.patch_layers, options.loss_network)
    parts = (propagated[layer] for layer in options.patch_layers)
    return [(part == part.max(axis=0)).astype(np.float32) for part in parts]
