"""Published settings of others for trainings; those of the optimization of one picture are in optimize/presets.py.

Weights are in the conventions of their authors (docs/losses.md); those of the style term are sums over the layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..losses.options import LossOptions

__all__ = ["PUBLISHED", "Preset"]


@dataclass(frozen=True)
class Preset:
    """Options by name, as `TrainingOptions` takes them; loss_network: what the authors measure with."""

    source: str
    options: Mapping[str, Any]
    loss_network: str


PUBLISHED = {
    # Gram matrices over C H W, means of squares: 5 on each style layer, 1 on content.  The total variation is half the
    # sum of squares over a batch of 4 crops, whose other terms are means: 1e-6 / 2 * 4 * 3 * 256^2.  No clipping.
    # Ours: the learning rate rises over 20 steps and falls along a cosine; photos are flipped at random.
    "johnson": Preset(
        "Johnson, Alahi, Fei-Fei: Perceptual Losses, arXiv 1603.08155, and jcjohnson/fast-neural-style, train.lua",
        dict(
            stages="johnson",
            steps=(40000,),
            sizes=(256,),
            batch=4,
            style_size=256,
            optimizer="adam",
            learning_rates=(1e-3,),
            gradient_clip=1e30,
            loss=LossOptions(
                style_weight=20.0,
                content_weight=1.0,
                tv_weight=0.393216,
                style_layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
                content_layers=("relu3_3",),
                convention="mean",
                pooling="max",
            ),
        ),
        loss_network="VGG-16",
    ),
}
