"""The texture generator: noise at six scales, joined from coarse to fine, becomes a texture that tiles.

Every convolution has circular padding, so a texture continues at its own other side, at any size that 32 divides.
D. Ulyanov, V. Lebedev, A. Vedaldi, V. Lempitsky: Texture Networks, arXiv 1603.03417.
"""

from __future__ import annotations

from .generator import PIXEL_SCALE, Generator
from .inputs import strided_noise
from .layers import Convolution, PaddedConv, Sequential, layer, norm_layer

__all__ = ["Texture"]

SCALES = 6  # the noise is seen at 1, 1/2, ... 1/32 of the size
DEPTH = 3  # channels of noise at each scale
STEP = 8  # channels that each scale adds


def _look(inputs: int, channels: int, norm: str):
    """Returns two convolutions of 3x3 and one of 1x1."""
    first, second = (PaddedConv(maps, channels, circular=True) for maps in (inputs, channels))
    return Sequential(*(layer(each, norm) for each in (first, second, Convolution(channels, channels, 1))))


class Texture(Generator):
    """Ulyanov's texture network: noise in, texture out.

    sees_picture: whether it also sees the picture before it, averaged down to each scale, as a later stage should.

    The conditioning input is six planes of noise (`strided_noise`).  116,915 parameters without the picture.  Unlike
    Ulyanov's it ends in a tanh, as all generators here do, and normalizes each picture by itself.
    """

    kind = "texture"
    arguments = ("sees_picture",)
    inputs = 3 + 2 * DEPTH
    multiple = 2 ** (SCALES - 1)

    def __init__(self, sees_picture: bool = False, **options):
        super().__init__(**{"residual_weight": 1.0, **options})
        self.sees_picture = sees_picture
        inputs = DEPTH + 3 * sees_picture
        for scale in range(SCALES):  # 0 is the finest
            channels = STEP * (SCALES - scale)
            setattr(self, f"look_{scale}", _look(inputs, STEP, self.norm))
            if scale < SCALES - 1:
                setattr(self, f"norm_coarse_{scale}", norm_layer(self.norm, channels - STEP))
                setattr(self, f"norm_own_{scale}", norm_layer(self.norm, STEP))
                setattr(self, f"join_{scale}", _look(channels, channels, self.norm))
        self.finish = Convolution(STEP * SCALES, 3, 1)

    def paint_layers(self, F, x):
        y = None
        for scale in reversed(range(SCALES)):
            own = getattr(self, f"look_{scale}")(self._seen(F, x, scale))  # (N, 8, H / 2^scale, W / 2^scale)
            if y is not None:
                y = getattr(self, f"norm_coarse_{scale}")(F.UpSampling(y, scale=2, sample_type="nearest"))
                own = F.concat(y, getattr(self, f"norm_own_{scale}")(own), dim=1)
                own = getattr(self, f"join_{scale}")(own)  # (N, 8 (6 - scale), H / 2^scale, W / 2^scale)
            y = own
        return self.finish(y)  # (N, 3, H, W)

    def _seen(self, F, x, scale: int):
        """Returns what a scale sees: three channels of noise, and before them the picture if it is to be seen."""
        noise, square = strided_noise(F, x, 3, DEPTH, scale), (2**scale, 2**scale)
        if not self.sees_picture:
            return noise
        picture = F.slice_axis(x, axis=1, begin=0, end=3) * PIXEL_SCALE
        if scale:
            picture = F.Pooling(picture, kernel=square, stride=square, pool_type="avg")
        return F.concat(picture, noise, dim=1)
