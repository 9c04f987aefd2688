"""Johnson's image transform network, as a generator.

J. Johnson, A. Alahi, L. Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, arXiv 1603.08155.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engines.gluon import HybridBlock
from .generator import PIXEL_SCALE, Generator
from .layers import PaddedConv, ReLU, Sequential, UpsampledConv, WideConv, layer, norm_layer

__all__ = ["Johnson", "Residual"]


class Residual(HybridBlock):
    """Two 3x3 convolutions whose result is added to their input."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        first, second = (PaddedConv(channels, channels, bias=False) for _ in range(2))
        self.body = Sequential(layer(first, norm, ReLU), second, norm_layer(norm, channels))

    def hybrid_forward(self, F, x):
        return x + self.body(x)


class Johnson(Generator):
    """The transform network: down to a quarter of the size, residual blocks there, and up again.

    widths: channels at full size, at a half and at a quarter.  blocks: number of residual blocks.
    About 133 thousand multiply-adds a pixel, receptive field 107 to 111 pixels, by the pixel.

    Differs from the paper: every convolution has reflect padding, where the photo was padded by 40 pixels once and
    residual blocks cropped; nearest upsampling stands for strided deconvolutions, as the authors' later code has it;
    instance normalization, of Ulyanov, for batch normalization; and no bias where a normalization would undo it.
    """

    kind = "johnson"
    arguments = ("widths", "blocks")
    multiple = 8  # 4 would do; but tiles have sides that divide by 8, and paint what the whole does

    def __init__(self, widths: Sequence[int] = (32, 64, 128), blocks: int = 5, **options):
        super().__init__(**options)
        full, half, quarter = self.widths = list(widths)
        self.blocks = blocks
        down = (
            PaddedConv(3, full, 9, bias=False),
            *(
                PaddedConv(inputs, channels, stride=2, bias=False)
                for inputs, channels in ((full, half), (half, quarter))
            ),
        )
        up = UpsampledConv(quarter, half), UpsampledConv(half, full)
        self.body = Sequential(
            *(layer(each, self.norm, ReLU) for each in down),
            *(Residual(quarter, self.norm) for _ in range(blocks)),
            *(layer(each, self.norm, ReLU) for each in up),
            WideConv(full, 3, 9),
        )

    def paint_layers(self, F, x):
        return self.body(x * PIXEL_SCALE)  # (N, 3, H, W)
