"""The objective of an optimization: the total loss of a picture, and its gradient."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import numpy as np

from ..engines.mxnet import mx
from ..images.arrays import to_vgg_space
from ..losses.options import LossOptions
from ..losses.perceptual import PerceptualLoss
from ..losses.regions import normalize_regions, patch_regions, region_weights
from ..losses.style_target import StyleTarget

__all__ = ["Objective"]

PADDING = 64  # pixels of the other side that a tileable texture is continued by at each border


class Objective:
    """The perceptual loss of pictures of one size, as a function that solvers minimize.

    size: (H, W) of the pictures.  photo: whose content to keep, uint8 (H, W, 3), or None.
    regions: of the pictures, (R, H, W), for a target of regions.  tileable: measure the picture with circular padding.
    bfloat16: None takes it where the processor is fast at it.
    """

    def __init__(
        self,
        options: LossOptions,
        target: StyleTarget,
        size: tuple[int, int],
        photo: np.ndarray | None = None,
        *,
        regions: np.ndarray | None = None,
        tileable: bool = False,
        context=None,
        bfloat16: bool | None = None,
    ):
        self._tileable, self._context = tileable, context or mx.cpu()
        weights, parts = _inside(size, options.style_layers) if tileable else [], []
        if regions is not None:
            weights = region_weights(regions, options)
            parts = [part[np.newaxis] for part in patch_regions(regions, options)] if options.patch_weight else []
        self._regions = [[mx.nd.array(each, ctx=self._context) for each in arrays] for arrays in (weights, parts)]
        gc.collect()  # the blocks of a loss before this one refer to each other, and would keep its memory
        self._loss = PerceptualLoss(options, target, [self._context], bfloat16)
        self._content = []
        if photo is not None:
            self._content = self._loss.content_features(mx.nd.array(to_vgg_space(photo), ctx=self._context))

    def __call__(self, x: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        """Returns the weighted terms of a picture (1, 3, H, W) in VGG space, and the gradient of their sum."""
        picture = mx.nd.array(x, ctx=self._context)
        picture.attach_grad()
        with mx.autograd.record():
            padded = _circular_padding(picture) if self._tileable else picture
            terms = self._loss(padded, self._content, *self._regions)
            total = sum(term.sum() for term in terms.values())
        total.backward()
        return {name: float(term.asscalar()) for name, term in terms.items()}, picture.grad.asnumpy()


def _circular_padding(picture):
    """Returns a picture (1, 3, H, W) with PADDING pixels of its other side at each border."""
    for axis in (2, 3):
        places = mx.nd.arange(-PADDING, picture.shape[axis] + PADDING, ctx=picture.context)
        picture = mx.nd.take(picture, places, axis=axis, mode="wrap")
    return picture


def _inside(size: tuple[int, int], layers: Sequence[str]) -> list[np.ndarray]:
    """Returns region weights by which each pixel of a picture of that size counts once, and its padding does not."""
    weights = []
    for layer in layers:
        scale = 2 ** (int(layer.removeprefix("relu")[0]) - 1)
        inside, width = np.ones((1, size[0] // scale, size[1] // scale), np.float32), PADDING // scale
        weights.append(normalize_regions(np.pad(inside, ((0, 0), (width, width), (width, width)))))
    return weights
