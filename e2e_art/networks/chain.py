"""The boosted chain: generators in a line, each painting on the last one's work.

The chain pads the photo once with its own reflection, so that no generator sees a hard border, and crops the padding at
the end.

Bing Xu: End to End Neural Art with Generative Models, DMLC blog, 2016.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..engines.mxnet import mx
from ..errors import OptionError, unknown
from .doodle import Doodle
from .generator import Generator
from .inputs import NOISE_PERIOD, PADDING, noise_tile, reflect
from .photo import Conv, Deconv, Pyramid
from .texture import Texture

__all__ = ["Chain", "DoodleChain", "TextureChain", "make_generator", "xavier"]


def xavier(shape: Sequence[int], random: np.random.RandomState) -> np.ndarray:
    """Returns initial weights of a convolution, float32: uniform within the root of 4 / (fan in + fan out).

    X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    bound = math.sqrt(4 / ((shape[0] + shape[1]) * math.prod(shape[2:])))
    return random.uniform(-bound, bound, shape).astype(np.float32)


class Chain(mx.gluon.Block):
    """Generators in a line.

    stages: the arguments of each generator, as `Generator.describe` returns them.
    share_weights: stages with equal arguments are one and the same network (the recurrent variant).

    Called with a photo (N, 3, H, W) in VGG space, any H, W >= 1, and a strength (a factor on every residual weight:
    0 is the photo, 1 the trained look), it returns a list with the picture of each stage, in the photo's size.
    """

    kind = "chain"  # what its models are called
    generator_kinds: tuple[str, ...] = ("conv", "deconv", "pyramid")  # that can stand in it
    padding = PADDING  # pixels of reflect padding on each side

    def __init__(self, stages: Sequence[dict], share_weights: bool = False):
        super().__init__()
        if not stages:
            raise OptionError("A chain needs at least one stage")
        self.share_weights = share_weights
        self.generators: list[Generator] = []
        for index, stage in enumerate(stages):
            generator = make_generator(**stage)
            if generator.kind not in self.generator_kinds:
                raise OptionError(f"Stages of kind '{generator.kind}' make no {self.kind}: choose other --stages")
            equal = [other for other in self.generators if other.describe() == generator.describe()]
            self.generators.append(equal[0] if share_weights and equal else generator)
            self.register_child(self.generators[-1], f"stage_{index}")
        self._noise_tile = mx.nd.array(noise_tile())
        self.multiple = math.lcm(*(generator.multiple for generator in self.generators))

    def begin(self, photo, noise_shift: int = 0) -> tuple:
        """Returns what the first stage paints on, (N, 3, H, W) and padded, and the conditioning input of all stages."""
        picture = self.pad(photo)
        return picture, self.conditioning(picture, noise_shift)

    def pad(self, photo):
        """Returns the photo (N, 3, H, W) with reflect padding, in a size that every generator can take."""
        for axis in (2, 3):
            length = photo.shape[axis]
            rows = reflect(length, self.padding, self.padding + -length % self.multiple).astype(np.float32)
            photo = mx.nd.take(photo, mx.nd.array(rows, ctx=photo.context), axis=axis)
        return photo

    def conditioning(self, photo, noise_shift: int = 0):
        """Returns the conditioning input: the padded photo, and a plane of noise as fourth channel, (N, 4, H, W).

        noise_shift moves the noise, for training: down by its remainder by NOISE_PERIOD, across by its quotient.
        """
        plane = self._noise_tile.as_in_context(photo.context)
        for axis in (2, 3):
            places = (np.arange(photo.shape[axis]) + noise_shift) % NOISE_PERIOD
            plane = mx.nd.take(plane, mx.nd.array(places, ctx=photo.context), axis=axis)
            noise_shift //= NOISE_PERIOD
        return mx.nd.concat(photo, mx.nd.broadcast_axis(plane, axis=0, size=photo.shape[0]), dim=1)

    def crop(self, picture, photo):
        """Cuts the padding off a picture, back to the photo's size."""
        (height, width), begin = photo.shape[2:], self.padding
        return picture[:, :, begin : begin + height, begin : begin + width]

    def paint(self, index: int, picture, conditioning, strength: float = 1.0, learning: bool = False):
        """Returns what stage `index` makes of a padded picture (N, 3, H, W), with its conditioning input.

        Instance norm takes the statistics of the picture at hand, learning or not, so pictures go one by one in
        training mode; batch norm takes the batch's while learning, and afterwards the running ones.
        """
        generator, factor = self.generators[index], mx.nd.full((1,), strength, ctx=picture.context)
        if generator.conditioned:
            picture = mx.nd.concat(picture, conditioning, dim=1)
        if generator.norm == "batch":
            with mx.autograd.train_mode() if learning else mx.autograd.predict_mode():
                return generator(picture, factor)
        with mx.autograd.train_mode():
            singles = [generator(picture[n : n + 1], factor) for n in range(len(picture))]
        return singles[0] if len(singles) == 1 else mx.nd.concat(*singles, dim=0)

    def forward(self, photo, strength: float = 1.0, stages: int | None = None) -> list:
        """Returns the pictures of the first stages, of all by default."""
        pictures = []
        picture, conditioning = self.begin(photo)
        for index, _ in enumerate(self.generators[:stages]):
            picture = self.paint(index, picture, conditioning, strength)
            pictures.append(self.crop(picture, photo))
        return pictures

    def draw_weights(self, seed: int, contexts: Sequence) -> None:
        """Sets the weights that a training begins with, drawn by numpy from the seed, so that engines begin alike.

        Convolutions are drawn stage by stage, in the order of their names; all else begins as its layer says.
        """
        self.initialize(mx.init.Zero(), ctx=list(contexts))
        for index, generator in enumerate(dict.fromkeys(self.generators)):
            random = np.random.RandomState([seed % 2**32, index])
            for _, parameter in sorted(generator.named_parameters().items()):
                if parameter.init is None:
                    parameter.set_data(mx.nd.array(xavier(parameter.shape, random)))

    def learning_parameters(self, stages: Sequence[int]) -> dict[str, mx.gluon.Parameter]:
        """Returns what some stages learn by stage and name ("0/body.0.0.weight"): once where they share weights."""
        return {
            f"{self.generators.index(generator)}/{name}": parameter
            for generator in dict.fromkeys(self.generators[stage] for stage in stages)
            for name, parameter in generator.named_parameters().items()
            if parameter.grad_req != "null"
        }

    def stage_weights(self, index: int) -> dict[str, np.ndarray]:
        """Returns the weights of a stage by their place in it ("body.0.0.weight"): what a file of it holds."""
        parameters = self.generators[index].named_parameters()
        return {name: parameter.data(parameter.list_ctx()[0]).asnumpy() for name, parameter in parameters.items()}

    def check_stage_weights(self, index: int, weights: dict[str, np.ndarray]) -> None:
        """Raises ValueError for weights of a generator of another shape than that of a stage."""
        shapes = {name: parameter.shape for name, parameter in self.generators[index].named_parameters().items()}
        if {name: weight.shape for name, weight in weights.items()} != shapes:
            raise ValueError(f"these weights do not fit stage {index}, {self.generators[index].describe()}")

    def set_stage_weights(self, index: int, weights: dict[str, np.ndarray]) -> None:
        """Sets the weights of a stage, which `check_stage_weights` checks."""
        self.check_stage_weights(index, weights)
        for name, parameter in self.generators[index].named_parameters().items():
            parameter.set_data(mx.nd.array(weights[name]))


class NoiseChain(Chain):
    """Generators that begin with flat gray; their conditioning input ends in planes of noise."""

    def begin(self, noise, noise_shift: int = 0) -> tuple:
        """Returns flat gray, (N, 3, H, W), and what is given, both padded."""
        conditioning = self.pad(noise)
        return mx.nd.zeros_like(mx.nd.slice_axis(conditioning, axis=1, begin=0, end=3)), conditioning


class TextureChain(NoiseChain):
    """Generators that make a texture of noise, (N, 6, H, W); their own padding is circular, so that it tiles."""

    kind = "texture"
    generator_kinds = ("texture",)
    padding = 0


class DoodleChain(NoiseChain):
    """Generators that paint regions: a plane for each, 1 where it is, and then planes of noise, (N, R + 16, H, W)."""

    kind = "doodle"
    generator_kinds = ("doodle",)


def make_generator(kind: str, **options) -> Generator:
    """Returns an untrained generator of a kind; raises OptionError for a kind that there is not."""
    blocks: dict[str, type[Generator]] = {block.kind: block for block in (Conv, Deconv, Pyramid, Texture, Doodle)}
    if kind not in blocks:
        raise OptionError(unknown("generator", kind, blocks))
    return blocks[kind](**options)
