"""The competing style term: every patch of the picture is to be like the patch of the painting that it resembles most.

Gram matrices ask that the picture as a whole has the painting's statistics; this asks that each place looks like
some place of it.  A patch is 3x3 features of a layer; the most alike is found by normalized correlation, which is one
convolution with all of the painting's patches as kernels.

C. Li, M. Wand: Combining Markov Random Fields and Convolutional Neural Networks for Image Synthesis, arXiv 1601.04589.
A. Champandard: Semantic Style Transfer and Turning Two-Bit Doodles into Fine Artworks, arXiv 1603.01768.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engines.mxnet import mx

__all__ = ["Patches", "matched_features", "patches_of"]

EDGE = 3  # features, the side of a patch
MOST = 2048  # patches that a painting is looked at by: of more, every second, third ... one
OTHER_REGION = 1e6  # by how much a patch of another region falls behind: no correlation makes up for it


@dataclass(frozen=True)
class Patches:
    """The patches of a painting in one layer: features (P, C, 3, 3), and their share in each region (P, R, 1, 1)."""

    features: mx.nd.NDArray
    shares: mx.nd.NDArray


def patches_of(maps, regions: np.ndarray | None = None) -> Patches:
    """Returns the patches of a painting's features (1, C, H, W), in its regions (R, H, W) where there are such."""
    values = maps.asnumpy()[0]
    windows = np.lib.stride_tricks.sliding_window_view(values, (EDGE, EDGE), axis=(1, 2))  # (C, H - 2, W - 2, 3, 3)
    chosen = slice(None, None, -(-windows.shape[1] * windows.shape[2] // MOST))
    patches = windows.transpose(1, 2, 0, 3, 4).reshape(-1, len(values), EDGE, EDGE)[chosen]
    middles = np.ones((1, *values.shape[1:]), np.float32) if regions is None else regions
    shares = middles[:, 1:-1, 1:-1].reshape(len(middles), -1).T[chosen]  # (P, R)
    arrays = (np.ascontiguousarray(array) for array in (patches, shares[:, :, None, None]))
    return Patches(*(mx.nd.array(array, ctx=maps.context) for array in arrays))


def matched_features(features, patches: Patches, regions=None):
    """Returns features (1, C, H, W) put together from the patches that match best, each place the mean of those there.

    features: (1, C, H, W), at least 3x3.  regions: (1, R, H, W), which lets each place match within its own region.
    No gradient flows into the result.
    """
    count = len(patches.features)
    with mx.autograd.pause():
        length = mx.nd.sqrt(mx.nd.sum(mx.nd.square(patches.features), axis=(1, 2, 3), keepdims=True)) + 1e-8
        kernels = mx.nd.broadcast_div(patches.features, length)
        alike = mx.nd.Convolution(features, kernels, kernel=(EDGE, EDGE), num_filter=count, no_bias=True)
        if regions is not None:  # (1, P, H - 2, W - 2) both
            inner = mx.nd.array(regions.asnumpy()[:, :, 1:-1, 1:-1], ctx=features.context)
            together = mx.nd.Convolution(inner, patches.shares, kernel=(1, 1), num_filter=count, no_bias=True)
            alike = alike + OTHER_REGION * together
        best = mx.nd.argmax(alike, axis=1).reshape((-1,))  # (H - 2) * (W - 2) places
        columns = mx.nd.take(patches.features.reshape((count, -1)), best).T.expand_dims(0)  # (1, C * 9, places)
        size = {"output_size": features.shape[2:], "kernel": (EDGE, EDGE)}
        return mx.nd.col2im(columns, **size) / mx.nd.col2im(mx.nd.ones_like(columns), **size)
