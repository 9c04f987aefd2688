"""How far pictures are from the true ones, in pixels and in features of the loss network: the loss of upscalers.

J. Johnson, A. Alahi, L. Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, arXiv 1603.08155.
Differs from the paper in the relative form of the feature error, and in the mean absolute difference beside it, which
keeps colors.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engines.gluon import nd
from ..networks.vgg import VGGFeatures, load_vgg
from .options import LossOptions
from .perceptual import normalized, relative_error

__all__ = ["ReconstructionLoss", "pixel_error"]


def pixel_error(F, picture, truth):
    """Returns the mean absolute difference of pictures (N, 3, H, W), as a share of 0..255: (N,)."""
    return F.mean(F.abs(picture - truth), axis=0, exclude=True) / 255


class ReconstructionLoss:
    """The pixel error, and the mean relative error of features in the content layers of loss options.

    devices, bfloat16: as for `PerceptualLoss`.
    """

    def __init__(self, options: LossOptions, devices: Sequence | None = None, bfloat16: bool | None = None):
        self.options = options
        self.network: VGGFeatures = load_vgg(
            options.content_layers, options.loss_network, options.pooling, bfloat16, devices
        )

    def features(self, pictures) -> list:
        """Returns the features of each content layer, of pictures (N, 3, H, W)."""
        return self.network(pictures)

    def feature_error(self, features: Sequence, truths: Sequence):
        """Returns the mean over the layers of the relative errors of features, (N,)."""
        shares = normalized(self.options.content_layer_weights, len(features))
        return sum(share * relative_error(nd, *each) for share, each in zip(shares, zip(features, truths)))
