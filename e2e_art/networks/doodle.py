"""The doodle generator: regions and noise at five scales, joined from coarse to fine, become a painting.

After D. Ulyanov: Feed-forward neural doodle, 2016.
"""

from __future__ import annotations

from ..engines.gluon import HybridBlock
from .generator import PIXEL_SCALE, Generator
from .inputs import strided_noise
from .layers import LEAK, Convolution, InstanceNorm, JoinedConv, PaddedConv

__all__ = ["NOISE", "Doodle"]

WIDTHS = (16, 32, 64, 128, 128)  # channels at full size, at a half ... a sixteenth
SEEN = 4  # channels that describe the regions to a scale
NOISE = 8  # channels of noise at each scale


class _RegionNorm(HybridBlock):
    """Instance normalization, after which each region has its own scale and shift for every channel.

    Normalized alone, a doodle of one flat region would be the same picture whichever region it is.
    T. Park, M. Liu, T. Wang, J. Zhu: Spatially-Adaptive Normalization, arXiv 1903.07291.
    """

    def __init__(self, channels: int, regions: int):
        super().__init__()
        self.norm = InstanceNorm(channels)
        self.gain = Convolution(regions, channels, 1, bias=False, init="ones")
        self.shift = Convolution(regions, channels, 1, bias=False, init="zeros")

    def hybrid_forward(self, F, x, regions):
        return self.norm(x) * self.gain(regions) + self.shift(regions)


class _Step(HybridBlock):
    """A convolution, the normalization of regions, and a leaky ReLU."""

    def __init__(self, convolution, channels: int, regions: int):
        super().__init__()
        self.convolution, self.norm = convolution, _RegionNorm(channels, regions)

    def hybrid_forward(self, F, regions, *maps):
        return F.LeakyReLU(self.norm(self.convolution(*maps), regions), slope=LEAK)


class Doodle(Generator):
    """Regions and noise in, a painting out: a skip network.

    regions: how many there are.  sees_picture: whether it also sees the picture before it, as a later stage should.

    The conditioning input is a plane for each region, 1 where it is and 0 elsewhere, and then 16 planes of noise
    (`strided_noise`).  Unlike Ulyanov's it normalizes each picture by itself, with a scale and shift for each region,
    has reflect padding, sees 8 channels of noise at a scale instead of 16, and ends in a tanh.
    """

    kind = "doodle"
    arguments = ("regions", "sees_picture")
    multiple = 2 ** (len(WIDTHS) - 1)

    def __init__(self, regions: int, sees_picture: bool = False, **options):
        super().__init__(**{"residual_weight": 1.0, **options})
        self.regions, self.sees_picture = regions, sees_picture
        self.inputs = 3 + regions + 2 * NOISE
        seen = regions + 3 * sees_picture
        for scale, channels in enumerate(WIDTHS):
            if scale:
                setattr(self, f"down_{scale}", Convolution(seen, SEEN, 2, 2, pad=0))
                seen = SEEN
            setattr(self, f"see_{scale}", Convolution(seen, SEEN, 1))
            coarser, own = WIDTHS[scale + 1 :], SEEN + NOISE
            look = JoinedConv(coarser[0], own, channels) if coarser else PaddedConv(own, channels)
            setattr(self, f"look_{scale}", _Step(look, channels, regions))
            setattr(self, f"mix_{scale}", _Step(Convolution(channels, channels, 1), channels, regions))
        self.finish = Convolution(WIDTHS[0], 3, 1)

    def paint_layers(self, F, x):
        regions = F.slice_axis(x, axis=1, begin=3, end=3 + self.regions)
        seen, parts = regions, []
        if self.sees_picture:
            seen = F.concat(F.slice_axis(x, axis=1, begin=0, end=3) * PIXEL_SCALE, regions, dim=1)
        for scale in range(len(WIDTHS)):
            if scale:
                seen = F.LeakyReLU(getattr(self, f"down_{scale}")(seen), slope=LEAK)
                regions = F.Pooling(regions, kernel=(2, 2), stride=(2, 2), pool_type="avg")
            noise = strided_noise(F, x, 3 + self.regions, NOISE, scale)
            parts.append((F.concat(getattr(self, f"see_{scale}")(seen), noise, dim=1), regions))
        y = None
        for scale in reversed(range(len(WIDTHS))):
            own, regions = parts[scale]  # (N, 12, H / 2^scale, W / 2^scale), and (N, R, ...)
            y = getattr(self, f"look_{scale}")(regions, *([own] if y is None else [y, own]))
            y = getattr(self, f"mix_{scale}")(regions, y)
        return self.finish(y)  # (N, 3, H, W)
