"""What all generators share: x becomes ``w * paint(x) + (1 - w) * x``, w being the residual weight.

Each is a stage of a chain, and so are the upscalers (`upscaler.py`).
"""

from __future__ import annotations

import numpy as np

from ..engines.gluon import HybridBlock
from ..errors import OptionError
from ..images.arrays import CHANNEL_MEANS

__all__ = ["PIXEL_SCALE", "Generator", "Stage", "as_colors"]

PIXEL_SCALE = 1 / 64  # brings VGG space, about -128..128, to the unit variance that initializers expect


def as_colors(F, x, means):
    """Returns a picture in VGG space of what a network makes without bounds, (N, 3, H, W); means: of the channels.

    128 * tanh + 128 covers all colors, 0..256; far out, tanh keeps a stray value from running away.
    """
    return F.broadcast_sub(128 * F.tanh(x) + 128, means)


class Stage(HybridBlock):
    """A network that stands in a chain.

    residual_weight: how much of what it makes shows, 0..1.
    norm: "instance", or "batch" (whose running means then paint other than it trained: see docs/recipe.md).
    """

    kind = ""
    arguments: tuple[str, ...] = ()  # of its own, by name
    multiple = 1  # what H and W must divide by
    inputs = 3  # channels that it takes

    def __init__(self, residual_weight: float = 0.4, norm: str = "instance"):
        super().__init__()
        if not 0 <= residual_weight <= 1:
            raise OptionError(f"A residual weight lies in 0..1, not at {residual_weight}")
        self.residual_weight, self.norm = residual_weight, norm

    @property
    def conditioned(self) -> bool:
        """Whether it sees more than the picture."""
        return self.inputs > 3

    def describe(self) -> dict:
        """Returns the arguments that make this stage again."""
        return {name: getattr(self, name) for name in ("kind", "residual_weight", "norm", *self.arguments)}


class Generator(Stage):
    """A picture in, the same picture repainted out.

    Inputs: x (N, 3, H, W) with H and W multiples of `multiple`, followed by the conditioning input (for photos:
    the original photo, and noise) where it has one; strength (1,), a factor on the residual weight.
    Output: (N, 3, H, W).  Subclasses write `paint_layers`.
    """

    def __init__(self, residual_weight: float = 0.4, norm: str = "instance"):
        super().__init__(residual_weight, norm)
        self.means = self.constant("means", np.reshape(CHANNEL_MEANS, (1, 3, 1, 1)))

    def paint_layers(self, F, x):
        """Returns three channels for the tanh, (N, 3, H, W), of all its inputs."""
        raise NotImplementedError

    def hybrid_forward(self, F, x, strength, means):
        painting = as_colors(F, self.paint_layers(F, x), means)
        x = F.slice_axis(x, axis=1, begin=0, end=3) if self.conditioned else x
        return x + F.broadcast_mul(painting - x, F.reshape(strength * self.residual_weight, shape=(1, 1, 1, 1)))
