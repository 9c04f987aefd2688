"""The boosted chain: generators in a line, each painting on the last one's work.

The chain pads the photo once with its own reflection, so that no generator sees a hard border, and crops the padding at
the end.

Bing Xu: End to End Neural Art with Generative Models, DMLC blog, 2016.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from ..engines.gluon import Block, HybridBlock, Parameter, autograd, nd, one_by_one, operators_of, to_numpy
from ..errors import OptionError, unknown
from .doodle import Doodle
from .generator import Stage
from .inputs import PADDING, noise_tile, reflected
from .johnson import Johnson
from .layers import xavier
from .photo import Conv, Deconv, Pyramid
from .texture import Texture
from .upscaler import Compact, JohnsonUpscaler, Upscaler
from .wct import Decoder, Student

__all__ = ["Chain", "DoodleChain", "TextureChain", "UpscaleChain", "make_generator", "without_constants"]

# What older files hold among the weights: the channel means, what MXNet's batch normalization asks for where it is to
# normalize each picture, bilinear kernels.
_FORMER_CONSTANTS = re.compile(r"means|(.*\.)?(mean|variance)|grow_(coarse|fine)\.weight")


def without_constants(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the weights of a stage by name, without those that never were any: constants that files used to hold."""
    return {name: weight for name, weight in weights.items() if not _FORMER_CONSTANTS.fullmatch(name)}


class _Noise(HybridBlock):
    """The plane of noise that chains paint on, as large as a picture (N, C, H, W): (N, 1, H, W)."""

    def __init__(self):
        super().__init__()
        self.tile = self.constant("tile", noise_tile())

    def hybridize(self, active: bool = True, **options) -> None:
        """Does nothing: it goes by the size of the picture at hand."""

    def hybrid_forward(self, F, picture, shifts: Sequence, tile):
        for axis, shift in zip((2, 3), shifts):
            places = F.indices(picture, 0, picture.shape[axis]) + shift
            tile = F.take(tile, places, axis=axis, mode="wrap")
        return F.broadcast_axis(tile, axis=0, size=picture.shape[0])


class Chain(Block):
    """Generators in a line.

    stages: the arguments of each generator, as `Generator.describe` returns them.
    share_weights: stages with equal arguments are one and the same network (the recurrent variant).

    Called with a photo (N, 3, H, W) in VGG space, any H, W >= 1, and a strength (a factor on every residual weight:
    0 is the photo, 1 the trained look), it returns a list with the picture of each stage, in the photo's size.
    """

    kind = "chain"  # what its models are called
    generator_kinds: tuple[str, ...] = ("conv", "deconv", "pyramid", "johnson")  # that can stand in it
    padding = PADDING  # pixels of reflect padding on each side
    uniform = False  # whether all stages are of one form, so that each can take the weights of any other

    def __init__(self, stages: Sequence[dict], share_weights: bool = False):
        super().__init__()
        if not stages:
            raise OptionError("A chain needs at least one stage")
        self.share_weights = share_weights
        self.generators: list[Stage] = []
        for index, stage in enumerate(stages):
            if _block(stage["kind"]).kind not in self.generator_kinds:
                raise OptionError(f"Stages of kind '{stage['kind']}' make no {self.kind}: choose other --stages")
            generator = self.make_stage(**stage)
            equal = [other for other in self.generators if other.describe() == generator.describe()]
            self.generators.append(equal[0] if share_weights and equal else generator)
            self.register_child(self.generators[-1], f"stage_{index}")
        self.noise = _Noise()
        self.multiple = math.lcm(*(generator.multiple for generator in self.generators))

    def make_stage(self, **arguments) -> Stage:
        """Returns an untrained stage."""
        return make_generator(**arguments)

    def begin(self, photo, shifts: Sequence = (0, 0)) -> tuple:
        """Returns what the first stage paints on, (N, 3, H, W) and padded, and the conditioning input of all stages."""
        picture = self.pad(photo)
        return picture, self.conditioning(picture, shifts)

    def pad(self, photo):
        """Returns the photo (N, 3, H, W) with reflect padding, in a size that every generator can take."""
        F = operators_of(photo)
        for axis in (2, 3):
            length = photo.shape[axis]
            sides = (-self.padding, 0), (length, length + self.padding + -length % self.multiple)
            before, after = (reflected(F, F.indices(photo, *side), length) for side in sides)
            photo = F.concat(F.take(photo, before, axis=axis), photo, F.take(photo, after, axis=axis), dim=axis)
        return photo

    def conditioning(self, photo, shifts: Sequence = (0, 0)):
        """Returns the conditioning input: the padded photo, and a plane of noise as fourth channel, (N, 4, H, W).

        shifts move the noise down and across, for training, in pixels: numbers, or arrays (1,).
        """
        return operators_of(photo).concat(photo, self.noise(photo, shifts), dim=1)

    def crop(self, picture, photo):
        """Cuts the padding off a picture, back to the photo's size."""
        begin = (self.padding, self.padding)
        end = [side + self.padding for side in photo.shape[2:]]
        return operators_of(picture).slice(picture, begin=(None, None, *begin), end=(None, None, *end))

    def seen(self, index: int, picture, conditioning):
        """Returns what the generator of stage `index` takes."""
        if not self.generators[index].conditioned:
            return picture
        return operators_of(picture).concat(picture, conditioning, dim=1)

    def paint(self, index: int, picture, conditioning, strength: float = 1.0, learning: bool = False):
        """Returns what stage `index` makes of a padded picture (N, 3, H, W), with its conditioning input.

        Instance norm takes the statistics of the picture at hand, learning or not, which is what training mode does;
        batch norm takes the batch's while learning, and afterwards the running ones.
        """
        generator, seen = self.generators[index], self.seen(index, picture, conditioning)
        style = self.style_of(index, conditioning)
        factor = nd.ones_like(picture[0, 0, 0, :1]) * strength  # (1,), where the picture lies
        if generator.norm == "batch":
            with autograd.train_mode() if learning else autograd.predict_mode():
                return generator(seen, factor)
        with autograd.train_mode():
            return self.each(lambda one, *own: generator(one, factor, *own), seen, *style)

    def style_of(self, index: int, conditioning) -> list:
        """Returns what the generator of stage `index` takes in addition: the styles of pictures, where it has any."""
        return []

    def each(self, function: Callable, *batches):
        """Returns what a function makes of batches, (N, ...) each, of each picture by itself."""
        return one_by_one(function, *batches)

    def forward(self, photo, strength: float = 1.0, stages: int | None = None, *styles) -> list:
        """Returns the pictures of the first stages, of all by default; styles: of networks of several."""
        pictures = []
        picture, conditioning = self.begin(photo, (0, 0), *styles)
        for index in range(len(self.generators[:stages])):
            picture = self.paint(index, picture, conditioning, strength)
            pictures.append(self.crop(picture, photo))
        return pictures

    def draw_weights(self, seed: int, devices: Sequence) -> None:
        """Sets the weights that a training begins with, drawn by numpy from the seed, so that engines begin alike.

        Convolutions are drawn stage by stage, in the order of their names; all else begins as its layer says.
        """
        self.initialize(devices)
        for index, generator in enumerate(dict.fromkeys(self.generators)):
            random = np.random.RandomState([seed % 2**32, index])
            for _, parameter in sorted(generator.named_parameters().items()):
                if parameter.init is None:
                    parameter.set_data(xavier(parameter.shape, random))

    def learning_parameters(self, stages: Sequence[int]) -> dict[str, Parameter]:
        """Returns what some stages learn by stage and name ("0/body.0.0.weight"): once where they share weights."""
        return {
            f"{self.generators.index(generator)}/{name}": parameter
            for generator in dict.fromkeys(self.generators[stage] for stage in stages)
            for name, parameter in generator.named_parameters().items()
            if parameter.learns
        }

    def stage_weights(self, index: int) -> dict[str, np.ndarray]:
        """Returns the weights of a stage by their place in it ("body.0.0.weight"): what a file of it holds."""
        parameters = self.generators[index].named_parameters()
        return {name: to_numpy(parameter.list_data()[0]) for name, parameter in parameters.items()}

    def check_stage_weights(self, index: int, weights: dict[str, np.ndarray]) -> None:
        """Raises ValueError for weights of a generator of another shape than that of a stage."""
        shapes = {name: parameter.shape for name, parameter in self.generators[index].named_parameters().items()}
        if {name: weight.shape for name, weight in weights.items()} != shapes:
            raise ValueError(f"these weights do not fit stage {index}, {self.generators[index].describe()}")

    def set_stage_weights(self, index: int, weights: dict[str, np.ndarray]) -> None:
        """Sets the weights of a stage, which `check_stage_weights` checks."""
        self.check_stage_weights(index, weights)
        for name, parameter in self.generators[index].named_parameters().items():
            parameter.set_data(weights[name])


class NoiseChain(Chain):
    """Generators that begin with flat gray; their conditioning input ends in planes of noise."""

    def begin(self, noise, shifts: Sequence = (0, 0)) -> tuple:
        """Returns flat gray, (N, 3, H, W), and what is given, both padded."""
        F, conditioning = operators_of(noise), self.pad(noise)
        return F.zeros_like(F.slice_axis(conditioning, axis=1, begin=0, end=3)), conditioning


class TextureChain(NoiseChain):
    """Generators that make a texture of noise, (N, 6, H, W); their own padding is circular, so that it tiles."""

    kind = "texture"
    generator_kinds = ("texture",)

    def pad(self, noise):
        """Returns the noise as it is: it has sides that divide by `multiple`."""
        return noise

    def crop(self, picture, noise):
        """Returns the picture as it is."""
        return picture


class DoodleChain(NoiseChain):
    """Generators that paint regions: a plane for each, 1 where it is, and then planes of noise, (N, R + 16, H, W)."""

    kind = "doodle"
    generator_kinds = ("doodle",)


class UpscaleChain(Chain):
    """Upscalers of one form: each begins as the one before it and learns to make sharper pictures.

    They do not stand in a line: a stage enlarges the given picture itself, and what lies between two stages is a mix
    of their weights.  The picture has as much padding as they see, in pixels of the small one.
    X. Wang and others: ESRGAN, arXiv 1809.00219, section 3.4.
    """

    kind = "upscaler"
    generator_kinds = ("compact", "johnson-upscaler")
    uniform = True

    def __init__(self, stages: Sequence[dict], share_weights: bool = False):
        super().__init__(stages, share_weights)
        first, *others = (generator.describe() for generator in self.generators)
        if any(other != first for other in others):
            raise OptionError("Stages of an upscaler mix their weights: choose --stages of one kind and form")
        upscaler = cast(Upscaler, self.generators[0])
        self.factor, self.padding = upscaler.factor, upscaler.reach

    def enlarge(self, index: int, photo):
        """Returns what stage `index` makes of photos (N, 3, H, W): (N, 3, f H, f W)."""
        return self.crop(self.enlarge_padded(index, self.pad(photo)), photo)

    def enlarge_padded(self, index: int, padded, learning: bool = False):
        """Returns what stage `index` makes of photos whose borders are padding, (N, 3, H, W): (N, 3, f H, f W).

        learning: batch norm takes the statistics of the batch, else the running ones.
        """
        batch_norm = self.generators[index].norm == "batch" and not learning
        with autograd.predict_mode() if batch_norm else autograd.train_mode():
            return self.generators[index](padded)

    def crop(self, picture, photo):
        """Cuts the padding off an enlarged picture."""
        begin = (self.factor * self.padding,) * 2
        end = [self.factor * (side + self.padding) for side in photo.shape[2:]]
        return operators_of(picture).slice(picture, begin=(None, None, *begin), end=(None, None, *end))

    def forward(self, photo, strength: float = 1.0, stages: int | None = None) -> list:
        """Returns the pictures of the first stages, of all by default, each `factor` times as large."""
        return [self.enlarge(index, photo) for index in range(len(self.generators[:stages]))]


def make_generator(kind: str, **options) -> Stage:
    """Returns an untrained generator of a kind; raises OptionError for a kind that there is not."""
    return _block(kind)(**options)


def _block(kind: str) -> type[Stage]:
    """Returns the generators of a kind; raises OptionError for a kind that there is not."""
    kinds = (Conv, Deconv, Pyramid, Johnson, Texture, Doodle, Compact, JohnsonUpscaler, Student, Decoder)
    blocks: dict[str, type[Stage]] = {block.kind: block for block in kinds}
    if kind not in blocks:
        raise OptionError(unknown("generator", kind, blocks))
    return blocks[kind]
