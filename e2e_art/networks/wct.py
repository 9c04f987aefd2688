"""The networks of universal style transfer: a small student of VGG-19, and decoders that bring pictures back.

The student hands out features that linear maps bring near to VGG's; a decoder makes a picture of the features of one
level.  Whatever is done to features between the two shows in the picture: so any painting's statistics do.
Y. Li and others: Universal Style Transfer via Feature Transforms, arXiv 1705.08086.  H. Wang and others: Collaborative
Distillation for Ultra-Resolution Universal Style Transfer, arXiv 2003.08436.  Differs from both in average pooling,
as the loss network has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engines.gluon import HybridBlock
from ..errors import OptionError
from .generator import PIXEL_SCALE, Stage
from .layers import Convolution, PaddedConv, ReLU, Sequential, UpsampledConv
from .vgg_files import CHANNELS

__all__ = ["LAYERS", "LEVELS", "Decoder", "Halved", "Student", "widths_of"]

LEVELS = (1, 2, 3, 4)  # of features: how many blocks of VGG see the picture before they are handed out
LAYERS = tuple(f"relu{level}_1" for level in LEVELS)  # of VGG, that the student learns


def widths_of(width: int) -> list[int]:
    """Returns the channels of each level; width: those of the first, of which VGG itself has 64."""
    return [width * 2 ** (level - 1) for level in LEVELS]


class Halved(HybridBlock):
    """Maps of half the size, the means of squares of 2x2."""

    def hybrid_forward(self, F, x):
        return F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")


def _rectified(*convolutions: HybridBlock) -> list[HybridBlock]:
    return [layer for convolution in convolutions for layer in (convolution, ReLU())]


class _Plain(Stage):
    """A stage without normalization, of which all shows."""

    def __init__(self, width: int = 16, residual_weight: float = 1.0, norm: str = "instance"):
        super().__init__(residual_weight, norm)
        if norm != "instance":  # what stages have by default
            raise OptionError(f"Stages of kind '{self.kind}' have no normalization: leave --norm {norm} out")
        self.width = width


class Student(_Plain):
    """A picture in, its features of four levels out, which stand for VGG-19's relu1_1, relu2_1, relu3_1 and relu4_1.

    Input: (N, 3, H, W) in VGG space, sides multiples of 16.  Output: a list of (N, C, H / 2^k, W / 2^k) of k = 0..3,
    where C is width 2^k; with a width of 64 it is as wide as VGG.  By the width of 16, 15.5 thousand multiply-adds a
    pixel.
    maps: a convolution of 1x1 for each level, from its features to VGG's: what it learns by, and no graph holds.
    """

    kind = "student"
    arguments = ("width",)

    def __init__(self, width: int = 16, **options):
        super().__init__(width, **options)
        one, two, three, four = widths_of(width)
        deep = (PaddedConv(three, three) for _ in range(3))  # VGG-19 has four convolutions in this block
        levels = [
            _rectified(PaddedConv(3, one)),
            [*_rectified(PaddedConv(one, one)), Halved(), *_rectified(PaddedConv(one, two))],
            [*_rectified(PaddedConv(two, two)), Halved(), *_rectified(PaddedConv(two, three))],
            [*_rectified(*deep), Halved(), *_rectified(PaddedConv(three, four))],
        ]
        self.level_1, self.level_2, self.level_3, self.level_4 = (Sequential(*layers) for layers in levels)
        self.line = [layer for layers in levels for layer in layers]  # all of them, of a scaled picture
        self.maps: Sequence[HybridBlock] = [Convolution(*pair, 1) for pair in zip(widths_of(width), CHANNELS)]
        for level, each in zip(LEVELS, self.maps):
            self.register_child(each, f"map_{level}")

    def hybridize(self, active: bool = True, **options) -> None:
        """Lets the engine compile what belongs together: the maps are not always asked for."""
        for each in (self.level_1, self.level_2, self.level_3, self.level_4, *self.maps):
            each.hybridize(active, **options)

    @staticmethod
    def scaled(pictures):
        """Returns pictures as the first layer takes them."""
        return pictures * PIXEL_SCALE

    def hybrid_forward(self, F, x):
        features = [self.level_1(self.scaled(x))]
        for level in (self.level_2, self.level_3, self.level_4):
            features.append(level(features[-1]))
        return features


class Decoder(_Plain):
    """Features of a level in, the picture out that has them: the student's mirror image, which grows by neighbors.

    Input: (N, C, H / 2^(level - 1), W / 2^(level - 1)).  Output: (N, 3, H, W) in VGG space, without bounds.
    """

    kind = "decoder"
    arguments = ("level", "width")

    def __init__(self, level: int = 4, width: int = 16, **options):
        super().__init__(width, **options)
        if level not in LEVELS:
            raise OptionError(f"Decoders begin at a level of 1 to 4, not {level}")
        self.level = level
        one, two, three, four = widths_of(width)
        deep = (PaddedConv(three, three) for _ in range(2))
        mirrored = [  # from each level to the one below it
            [PaddedConv(two, one), UpsampledConv(one, one, bias=True)],
            [PaddedConv(three, two), UpsampledConv(two, two, bias=True)],
            [PaddedConv(four, three), UpsampledConv(three, three, bias=True), *deep],
        ]
        hidden = [each for below in reversed(mirrored[: level - 1]) for each in below]
        self.convolutions = [*hidden, PaddedConv(one, 3)]
        self.line = [*_rectified(*hidden), self.convolutions[-1]]
        self.body = Sequential(*self.line)

    def hybrid_forward(self, F, x):
        return self.body(x) / PIXEL_SCALE
