"""How far pictures are from the true ones, in pixels and in features of the loss network: the loss of upscalers.

J. Johnson, A. Alahi, L. Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, arXiv 1603.08155.
Differs from the paper in the relative form of the feature error, and in the mean absolute difference beside it, which
keeps colors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..engines.gluon import nd
from ..networks.vgg import VGGFeatures, load_vgg
from .options import LossOptions
from .perceptual import mean_error, relative_error

__all__ = ["FeatureLoss", "grid_error", "pixel_error"]

WINDOW = 8  # small pixels of the sides of a window in which a grid is looked for


def pixel_error(F, picture, truth):
    """Returns the mean absolute difference of pictures (N, 3, H, W), as a share of 0..255: (N,)."""
    return F.mean(F.abs(picture - truth), axis=0, exclude=True) / 255


def grid_error(F, picture, truth, factor: int):
    """Returns how much the error of a pixel follows its place in the square that one small pixel became: (N,).

    picture, truth: (N, 3, H, W), sides multiples of the factor.  In each window the mean error at each of the factor^2
    places is taken; the result is their mean absolute difference from the mean over all places, as a share of 0..255.
    Without it the feature error rewards a grid, where the true picture has texture that the small one does not show.
    """
    places = F.space_to_depth(picture - truth, block_size=factor)  # (N, 3 f^2, H / f, W / f): colors change fastest
    means = F.Pooling(places, kernel=(WINDOW, WINDOW), stride=(WINDOW, WINDOW), pool_type="avg")
    means = F.reshape(means, shape=(0, factor**2, 3, -1))  # (N, f^2, 3, windows)
    apart = F.broadcast_sub(means, F.mean(means, axis=1, keepdims=True))
    return F.mean(F.abs(apart), axis=0, exclude=True) / 255


class FeatureLoss:
    """How far features of pictures are from those of the true ones, in the content layers of loss options.

    devices, bfloat16, seen: as for `PerceptualLoss`.
    """

    def __init__(
        self,
        options: LossOptions,
        devices: Sequence | None = None,
        bfloat16: bool | None = None,
        seen: Sequence[str] = (),
    ):
        self.options = options
        layers = list(dict.fromkeys((*options.content_layers, *seen)))
        self.network: VGGFeatures = load_vgg(layers, options.loss_network, options.pooling, bfloat16, devices)

    def features(self, pictures) -> dict[str, Any]:
        """Returns the features of pictures (N, 3, H, W) by layer, also of those that are `seen`."""
        return dict(zip(self.network.layers, self.network(pictures)))

    def error(self, features: Mapping[str, Any], truths: Mapping[str, Any]):
        """Returns the mean over the layers of the relative errors of features, (N,); truths: those of the true ones."""
        layers = self.options.content_layers
        errors = [relative_error(nd, features[layer], truths[layer]) for layer in layers]
        return mean_error(errors, self.options.content_layer_weights)
