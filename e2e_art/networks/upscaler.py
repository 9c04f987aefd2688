"""The networks that enlarge a picture: they work at its own size, and unpack channels to pixels at the end.

Reflect padding and its crop happen once around them (`chain.py`); inside, convolutions pad with zeros.
"""

from __future__ import annotations

from math import log2

import numpy as np

from ..errors import OptionError
from ..images.arrays import CHANNEL_MEANS
from .generator import PIXEL_SCALE, Stage, as_colors
from .inputs import FACTORS
from .johnson import Residual
from .layers import Convolution, LeakyReLU, PaddedConv, ReLU, Sequential, UpsampledConv, WideConv, layer
from .reach import TAPS, reach_of

__all__ = ["Compact", "JohnsonUpscaler", "Upscaler"]

WINDOW = {"kernel": (TAPS, TAPS), "pad": (TAPS // 2, TAPS // 2), "no_bias": True}


def bicubic_kernels(factor: int) -> np.ndarray:
    """Returns the convolution that enlarges pictures bicubically, (3 factor^2, 3, 5, 5), pixels packed into channels.

    R. Keys: Cubic Convolution Interpolation for Digital Image Processing, 1981, with a = -0.5.
    """
    places = (np.arange(factor) + 0.5) / factor - 0.5  # of large pixels, from the middle of their small one
    x = np.abs(np.arange(TAPS) - TAPS // 2 - places[:, np.newaxis])  # (factor, 5)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    rows = np.where(x <= 1, near, np.where(x < 2, far, 0))
    kernels = np.einsum("iy,jx,cd->ijcdyx", rows, rows, np.eye(3))
    return kernels.reshape(3 * factor**2, 3, TAPS, TAPS)


def difference_kernels() -> np.ndarray:
    """Returns the convolution that subtracts the mean of the 5x5 around each pixel, (3, 3, 5, 5)."""
    kernel = np.full((TAPS, TAPS), -1 / TAPS**2)
    kernel[TAPS // 2, TAPS // 2] += 1
    return np.einsum("yx,cd->cdyx", kernel, np.eye(3))


class Upscaler(Stage):
    """A small picture in, (N, 3, H, W) in VGG space, and one `factor` times as large out.

    The residual weight is that of what it adds to the picture enlarged by a fixed rule.
    """

    arguments: tuple[str, ...] = ("factor",)

    def __init__(self, factor: int = 4, residual_weight: float = 1.0, norm: str = "instance"):
        super().__init__(residual_weight, norm)
        if factor not in FACTORS:
            raise OptionError(f"Pictures are enlarged by a factor of {', '.join(map(str, FACTORS))}, not {factor}")
        self.factor = factor

    @property
    def reach(self) -> int:
        """How many pixels of the small picture it sees on each side of one."""
        return reach_of(**self.describe())


class Compact(Upscaler):
    """A plain chain of 3x3 convolutions, as runtimes compute fastest, beside bicubic enlargement.

    channels, depth: width and number of the convolutions in the middle.  At a factor of 4 89 thousand parameters, and
    5.8 thousand multiply-adds a pixel of the large picture; receptive field 25 pixels of the small one.
    It sees how pixels differ from the mean of the 5x5 around them, not how bright they are: so flat colors stay what
    they are from the first step on, and an edge is an edge in the dark and in the light.
    After SRVGGNetCompact of X. Wang and others: Real-ESRGAN, arXiv 2107.10833; differs from it in that, in its width,
    and in leaky ReLUs where that has PReLUs.
    """

    kind = "compact"
    arguments = ("factor", "channels", "depth")

    def __init__(self, factor: int = 4, channels: int = 32, depth: int = 8, norm: str = "instance", **options):
        super().__init__(factor, norm=norm, **options)
        if norm != "instance":  # what stages have by default
            raise OptionError(f"Stages of kind '{self.kind}' have no normalization: leave --norm {norm} out")
        self.channels, self.depth = channels, depth
        widths = [3, *[channels] * (depth + 1)]
        layers = [each for pair in zip(widths, widths[1:]) for each in (Convolution(*pair), LeakyReLU())]
        self.body = Sequential(*layers, Convolution(channels, 3 * factor**2, init="zeros"))
        self.bicubic = self.constant("bicubic", bicubic_kernels(factor))
        self.difference = self.constant("difference", difference_kernels())

    def hybrid_forward(self, F, x, bicubic, difference):
        differences = F.Convolution(x, difference, None, num_filter=3, **WINDOW) * PIXEL_SCALE
        detail = self.body(differences) * (self.residual_weight / PIXEL_SCALE)  # (N, 3 f^2, H, W)
        enlarged = F.Convolution(x, bicubic, None, num_filter=3 * self.factor**2, **WINDOW)
        return F.depth_to_space(enlarged + detail, block_size=self.factor)  # (N, 3, f H, f W)


class JohnsonUpscaler(Upscaler):
    """Johnson's network for super-resolution: residual blocks at the small size, then up, twice as large at a time.

    channels, blocks: width, and number of residual blocks.  At a factor of 4 400 thousand parameters.
    norm: "batch" alone: the statistics of a tile are not those of its picture.
    J. Johnson, A. Alahi, L. Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution,
    arXiv 1603.08155.  Differs from the paper as `Johnson` does, but for its batch normalization.
    """

    kind = "johnson-upscaler"
    arguments = ("factor", "channels", "blocks")

    def __init__(self, factor: int = 4, channels: int = 64, blocks: int = 4, norm: str = "batch", **options):
        super().__init__(factor, norm=norm, **options)
        if norm != "batch":
            raise OptionError(
                f"Stages of kind '{self.kind}' learn with --norm batch: by any other, tiles would not join to a picture"
            )
        self.channels, self.blocks = channels, blocks
        self.body = Sequential(
            layer(PaddedConv(3, channels, 9, bias=False), self.norm, ReLU),
            *(Residual(channels, self.norm) for _ in range(blocks)),
            *(layer(UpsampledConv(channels, channels), self.norm, ReLU) for _ in range(int(log2(factor)))),
            WideConv(channels, 3, 9),
        )
        self.means = self.constant("means", np.reshape(CHANNEL_MEANS, (1, 3, 1, 1)))

    def hybrid_forward(self, F, x, means):
        painting = as_colors(F, self.body(x * PIXEL_SCALE), means)  # (N, 3, f H, f W)
        enlarged = F.UpSampling(x, scale=self.factor, sample_type="nearest")
        return enlarged + (painting - enlarged) * self.residual_weight
