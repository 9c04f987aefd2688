"""The patch term: each patch of a picture is to be like the nearest patch of the painting.

Gram matrices compare whole pictures, this term compares places.  A patch is 3x3 features of a layer; the nearest has
the highest normalized correlation, found by one convolution with all patches of the painting as kernels.

C. Li, M. Wand: Combining Markov Random Fields and Convolutional Neural Networks for Image Synthesis, arXiv 1601.04589.
A. Champandard: Semantic Style Transfer and Turning Two-Bit Doodles into Fine Artworks, arXiv 1603.01768.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..engines.gluon import autograd

__all__ = ["MAX_PATCHES", "PATCH_SIZE", "Patches", "extract_patches", "matched_features"]

PATCH_SIZE = 3  # features, the side of a patch
MAX_PATCHES = 2048  # of a painting: of more, every second, third ... is taken
SAME_REGION = 1e6  # added to the correlation of patches of the same region, which is far smaller


class Patches(NamedTuple):
    """The patches of a painting in one layer, and how much each belongs to each region."""

    features: np.ndarray  # (P, C, 3, 3)
    regions: np.ndarray  # (P, R, 1, 1)


def extract_patches(features: np.ndarray, regions: np.ndarray | None = None) -> Patches:
    """Returns the patches of a painting's features (1, C, H, W); regions: (R, H, W), to match within, or None."""
    windows = np.lib.stride_tricks.sliding_window_view(features[0], (PATCH_SIZE, PATCH_SIZE), (1, 2))  # type: ignore[call-overload]
    step = -(-windows.shape[1] * windows.shape[2] // MAX_PATCHES)
    patches = windows.transpose(1, 2, 0, 3, 4).reshape(-1, len(windows), PATCH_SIZE, PATCH_SIZE)[::step]
    if regions is None:
        regions = np.ones((1, *features.shape[2:]), np.float32)
    middles = regions[:, 1:-1, 1:-1].reshape(len(regions), -1).T[::step]  # (P, R)
    return Patches(np.ascontiguousarray(patches), np.ascontiguousarray(middles[:, :, None, None]))


def matched_features(F, features, patches: Sequence, regions=None):
    """Returns features (1, C, H, W) assembled from the nearest patches, averaged where they overlap.

    features: (1, C, H, W), at least 3x3.  patches: the arrays of `Patches`.  regions: (1, R, H, W), where each place is
    to match within its own region.  No gradient flows into the result.
    """
    patches, patch_regions = patches
    count, kernel = len(patches), (PATCH_SIZE, PATCH_SIZE)
    with autograd.pause():
        norm = F.sqrt(F.sum(F.square(patches), axis=(1, 2, 3), keepdims=True)) + 1e-8
        kernels = F.broadcast_div(patches, norm)
        correlation = F.Convolution(features, kernels, kernel=kernel, num_filter=count, no_bias=True)
        if regions is not None:  # (1, P, H - 2, W - 2) both
            middles = F.slice(regions, begin=(None, None, 1, 1), end=(None, None, -1, -1))
            same = F.Convolution(middles, patch_regions, kernel=(1, 1), num_filter=count, no_bias=True)
            correlation = correlation + SAME_REGION * same
        nearest = F.reshape(F.argmax(correlation, axis=1), shape=(-1,))  # (H - 2) * (W - 2) places
        columns = F.expand_dims(F.transpose(F.take(F.reshape(patches, shape=(count, -1)), nearest)), axis=0)
        size = {"output_size": features.shape[2:], "kernel": kernel}  # of columns (1, C * 9, places)
        return F.col2im(columns, **size) / F.col2im(F.ones_like(columns), **size)
