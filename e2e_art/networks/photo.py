"""The generators that repaint photos.

Reflect padding and its crop happen once for the whole chain (`chain.py`); inside, convolutions pad with zeros.

Bing Xu: End to End Neural Art with Generative Models, DMLC blog, 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engines.gluon import HybridBlock
from .generator import PIXEL_SCALE, Generator
from .layers import Convolution, Deconvolution, LeakyReLU, Sequential, layer, norm_layer

__all__ = ["Conv", "Deconv", "Pyramid"]


class Conv(Generator):
    """Bing Xu's pure convolution generator: feature maps as large as the picture from first to last.

    widths and kernels: the layers before the last one, which goes to three channels.
    About 189 thousand multiply-adds a pixel, receptive field 25 pixels.
    """

    kind = "conv"
    arguments = ("widths",)

    def __init__(self, widths: Sequence[int] = (48, 32, 64, 32, 48, 32), **options):
        super().__init__(**options)
        self.widths = list(widths)
        inputs = [3, *self.widths]
        sizes = zip(inputs, self.widths, (5, 5, 3, 5, 5, 5))
        self.body = Sequential(
            *(layer(Convolution(*size), self.norm) for size in sizes),
            Convolution(inputs[-1], 3),
            norm_layer(self.norm, 3),
        )

    def paint_layers(self, F, x):
        return self.body(x * PIXEL_SCALE)


class Deconv(Generator):
    """Bing Xu's second generator: strided convolutions down, deconvolutions up, additions across.

    widths: channels at a half, a quarter and an eighth of the size; the others follow from them in his proportions.
    About 121 thousand multiply-adds a pixel, receptive field 105 pixels.
    """

    kind = "deconv"
    arguments = ("widths",)
    multiple = 8

    def __init__(self, widths: Sequence[int] = (64, 128, 256), **options):
        super().__init__(**options)
        half, quarter, eighth = self.widths = list(widths)
        self.down_1 = layer(Convolution(3, half, 5, 2), self.norm)
        self.mix_1 = layer(Convolution(half, half * 3 // 4), self.norm)
        self.down_2 = layer(Convolution(half * 3 // 4, quarter, 5, 2), self.norm)
        self.mix_2 = layer(Convolution(quarter, quarter * 3 // 4), self.norm)
        self.down_3 = layer(Convolution(quarter * 3 // 4, eighth, 5, 2), self.norm)
        self.mix_3 = layer(Convolution(eighth, eighth * 3 // 4), self.norm)
        self.up_3 = layer(Deconvolution(eighth * 3 // 4, quarter, 7), self.norm)
        self.mix_4 = layer(Convolution(quarter, quarter * 5 // 4), self.norm)
        self.up_2 = layer(Deconvolution(quarter * 5 // 4, half, 7), self.norm)
        self.mix_5 = layer(Convolution(half, half * 3 // 2), self.norm)
        self.up_1 = Deconvolution(half * 3 // 2, 3, 8)

    def paint_layers(self, F, x):
        half = self.down_1(x * PIXEL_SCALE)  # (N, 64, H / 2, W / 2)
        quarter = self.down_2(self.mix_1(half))  # (N, 128, H / 4, W / 4)
        y = self.mix_3(self.down_3(self.mix_2(quarter)))  # (N, 192, H / 8, W / 8)
        y = self.mix_4(self.up_3(y) + quarter)  # (N, 160, H / 4, W / 4)
        y = self.mix_5(self.up_2(y) + half)  # (N, 96, H / 2, W / 2)
        return self.up_1(y)  # (N, 3, H, W)


class _Residual(HybridBlock):
    """Two 3x3 convolutions whose result is added to their input."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.first = layer(Convolution(channels, channels, bias=False), norm)
        self.second = Convolution(channels, channels, bias=False)
        self.norm = norm_layer(norm, channels)

    def hybrid_forward(self, F, x):
        return x + self.norm(self.second(self.first(x)))


class Pyramid(Generator):
    """The fast generator: pure convolution over packed pixels of two sizes, finished at full size.

    Squares of 8 x 8 pixels, packed into channels (space to depth), see far, and find where strokes and stars go;
    upsampled, they are added to squares of 4 x 4, which keep the drawing; upsampled, to what one convolution sees at
    full size.  All upsampling is bilinear and fixed: unpacking (depth to space) would leave a grid.  Noise gives
    strokes a place to begin; the original photo lets a stage bring back what the one before has painted over.

    channels and blocks: width and number of residual blocks, on squares of 8 x 8 and then of 4 x 4 pixels; details:
    channels at full size.  About 23 thousand multiply-adds a pixel.
    """

    kind = "pyramid"
    arguments = ("channels", "blocks", "details")
    inputs = 7  # the picture, the photo, and noise
    multiple = 8

    def __init__(
        self, channels: Sequence[int] = (128, 48), blocks: Sequence[int] = (3, 2), details: int = 16, **options
    ):
        super().__init__(**options)
        self.channels, self.blocks, self.details = list(channels), list(blocks), details
        (coarse, fine), norm = self.channels, self.norm
        self.coarse = Sequential(
            layer(Convolution(64 * self.inputs, coarse, 1, bias=False), norm),
            *(_Residual(coarse, norm) for _ in range(self.blocks[0])),
            Convolution(coarse, fine, 1, bias=False),
            norm_layer(norm, fine),
        )
        self.look_fine = Sequential(Convolution(16 * self.inputs, fine, 1, bias=False), norm_layer(norm, fine))
        self.fine = Sequential(
            LeakyReLU(),
            *(_Residual(fine, norm) for _ in range(self.blocks[1])),
            layer(Convolution(fine, 2 * details, bias=False), norm),
            Convolution(2 * details, details, 1),
        )
        self.look = Convolution(self.inputs, details)
        self.finish = Sequential(LeakyReLU(), Convolution(details, 3))

    def paint_layers(self, F, x):
        (_, fine), x = self.channels, x * PIXEL_SCALE  # (N, 7, H, W)
        y = self.coarse(F.space_to_depth(x, block_size=8))  # (N, fine, H / 8, W / 8)
        look = self.look_fine(F.space_to_depth(x, block_size=4))  # (N, fine, H / 4, W / 4)
        y = self.fine(look + F.upsample_bilinear(y, look, channels=fine, factor=2))  # (N, details, H / 4, W / 4)
        look = self.look(x)  # (N, details, H, W)
        return self.finish(look + F.upsample_bilinear(y, look, channels=self.details, factor=4))  # (N, 3, H, W)
