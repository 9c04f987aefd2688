"""The networks that enlarge a picture: they work at its own size, and unpack channels to pixels at the end.

Reflect padding and its crop happen once around them (`chain.py`); inside, convolutions pad with zeros.
"""

from __future__ import annotations

from ..errors import OptionError
from .generator import PIXEL_SCALE, Generator
from .inputs import FACTORS
from .layers import Convolution, LeakyReLU, Sequential

__all__ = ["Compact", "Upscaler"]


class Upscaler(Generator):
    """A small picture in, (N, 3, H, W) in VGG space, and one `factor` times as large out.

    It adds what `paint_layers` returns, times the residual weight, to the picture enlarged by nearest neighbors.
    """

    arguments: tuple[str, ...] = ("factor",)

    def __init__(self, factor: int = 4, residual_weight: float = 1.0, norm: str = "instance"):
        super().__init__(residual_weight, norm)
        if factor not in FACTORS:
            raise OptionError(f"Pictures are enlarged by a factor of {', '.join(map(str, FACTORS))}, not {factor}")
        self.factor = factor

    def hybrid_forward(self, F, x, means):  # type: ignore[override]  # it has no strength of its own
        detail = self.paint_layers(F, x * PIXEL_SCALE) * (self.residual_weight / PIXEL_SCALE)  # (N, 3 f^2, H, W)
        # Pixels unpack from channels square by square: as many copies of a pixel are the enlarged one.
        copies = F.concat(*[x] * self.factor**2, dim=1)
        return F.depth_to_space(copies + detail, block_size=self.factor)  # (N, 3, f H, f W)


class Compact(Upscaler):
    """A plain chain of 3x3 convolutions, as runtimes compute fastest.

    channels, depth: width and number of the convolutions in the middle.  At a factor of 4 89 thousand parameters, and
    5.5 thousand multiply-adds a pixel of the large picture; receptive field 21 pixels of the small one.
    After SRVGGNetCompact of X. Wang and others: Real-ESRGAN, arXiv 2107.10833; differs from it in its width, and in
    leaky ReLUs of one slope.
    """

    kind = "compact"
    arguments = ("factor", "channels", "depth")

    def __init__(self, factor: int = 4, channels: int = 32, depth: int = 8, **options):
        super().__init__(factor, **options)
        self.channels, self.depth = channels, depth
        widths = [3, *[channels] * (depth + 1)]
        layers = [each for pair in zip(widths, widths[1:]) for each in (Convolution(*pair), LeakyReLU())]
        self.body = Sequential(*layers, Convolution(channels, 3 * factor**2, init="zeros"))

    def paint_layers(self, F, x):
        return self.body(x)
