"""The objective of an optimization: the total loss of a picture, and its gradient."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import numpy as np

from ..engines.gluon import array, autograd, cpu, nd, to_numpy
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
    bfloat16: None takes it where the device is fast at it.
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
        device=None,
        bfloat16: bool | None = None,
    ):
        self._device = device or cpu()
        weights, parts = _inside(size, options.style_layers) if tileable else [], []
        if regions is not None:
            weights = region_weights(regions, options)
            parts = [part[np.newaxis] for part in patch_regions(regions, options)] if options.patch_weight else []
        self._regions = [[array(each, self._device) for each in arrays] for arrays in (weights, parts)]
        wrapped = [np.arange(-PADDING, side + PADDING) for side in size] if tileable else []
        self._padded = [array(places, self._device) for places in wrapped]  # the rows and columns of a padded picture
        gc.collect()  # the blocks of a loss before this one refer to each other, and would keep its memory
        self._loss = PerceptualLoss(options, target, [self._device], bfloat16)
        self._content = []
        if photo is not None:
            self._content = self._loss.content_features(array(to_vgg_space(photo), self._device))

    def __call__(self, x: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        """Returns the weighted terms of a picture (1, 3, H, W) in VGG space, and the gradient of their sum."""
        picture = padded = autograd.watch(array(x, self._device))
        with autograd.record():
            for axis, places in zip((2, 3), self._padded):  # by pixels of the other side
                padded = nd.take(padded, places, axis=axis, mode="wrap")
            terms = self._loss(padded, self._content, *self._regions)
            total = sum(terms.values())
        autograd.backward([total], [picture])
        values = to_numpy(nd.concat(*terms.values(), dim=0))  # fetched at once
        return dict(zip(terms, map(float, values))), to_numpy(autograd.gradient(picture))


def _inside(size: tuple[int, int], layers: Sequence[str]) -> list[np.ndarray]:
    """Returns region weights by which each pixel of a picture of that size counts once, and its padding does not."""
    weights = []
    for layer in layers:
        scale = 2 ** (int(layer.removeprefix("relu")[0]) - 1)
        inside, width = np.ones((1, size[0] // scale, size[1] // scale), np.float32), PADDING // scale
        weights.append(normalize_regions(np.pad(inside, ((0, 0), (width, width), (width, width)))))
    return weights
