"""How near the patches of a picture come to those of a painting: whether strokes look painted, wherever they lie."""

from __future__ import annotations

import numpy as np

from ..engines.gluon import array, nd, to_numpy
from ..losses.patches import PATCH_SIZE

__all__ = ["patch_distance"]

SMALLEST = 1e-8  # of a norm: features may be all 0 at a place


def patch_distance(features, patches: np.ndarray) -> float:
    """Returns the mean, over the 3x3 patches of a picture's features, of the cosine distance to the nearest patch.

    It is 0 where each place has its like in the painting, 1 where none has anything in common with it.  How often a
    patch of the painting is met does not count: a total loss, whose style term counts that, belongs beside it.

    features: (1, C, H, W), at least 3x3.  patches: those of the painting, (P, C, 3, 3), as `extract_patches` has them.
    C. Li, M. Wand: Combining Markov Random Fields and Convolutional Neural Networks, arXiv 1601.04589.
    """
    count, window = len(patches), {"kernel": (PATCH_SIZE, PATCH_SIZE), "no_bias": True}
    norms = np.linalg.norm(patches.reshape(count, -1), axis=1).reshape(-1, 1, 1, 1)
    products = nd.Convolution(features, array(patches / (norms + SMALLEST)), num_filter=count, **window)
    squares, ones = nd.sum(nd.square(features), axis=1, keepdims=True), np.ones((1, 1, PATCH_SIZE, PATCH_SIZE))
    lengths = np.sqrt(to_numpy(nd.Convolution(squares, array(ones), num_filter=1, **window)))  # (1, 1, H - 2, W - 2)
    cosines = to_numpy(products).max(axis=1, keepdims=True) / (lengths + SMALLEST)
    return float(1 - cosines.mean())
