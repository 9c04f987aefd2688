"""Generators for several styles: kernels are shared, and each style has scales, shifts and biases of its own.

V. Dumoulin, J. Shlens, M. Kudlur: A Learned Representation for Artistic Style, arXiv 1610.07629.  Differs from the
paper in the biases, which follow the style as well: those of the last convolution are most of its colors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from ..engines.gluon import Parameter, functional_call, nd, to_numpy
from ..errors import OptionError
from .chain import Chain, make_generator
from .describer import Describer
from .generator import Stage
from .layers import LEAK

__all__ = ["DESCRIBER", "AnyStyle", "AnyStyleChain", "MultiStyle", "MultiStyleChain", "Styled", "StyledChain"]

DESCRIBER = "describer."  # begins the names of what stage 0 keeps of the describer


class Styled(Stage):
    """A generator whose vectors, its parameters of one axis, come with the style: the style vector (1, length).

    generator: whose kernels stay its own.  It paints one picture at a time.
    """

    def __init__(self, generator: Stage):
        super().__init__(generator.residual_weight, generator.norm)
        if generator.norm != "instance":
            raise OptionError("Networks of several styles normalize each picture by itself: leave --norm batch out")
        self.generator = generator
        self.kind, self.inputs, self.multiple = generator.kind, generator.inputs, generator.multiple
        found = generator.named_parameters().items()
        self._vectors = {name: each for name, each in sorted(found) if len(each.shape) == 1}
        self.length = sum(each.shape[0] for each in self._vectors.values())

    def describe(self) -> dict:
        return self.generator.describe()

    def named_parameters(self) -> dict:
        """Returns the kernels by their place in the generator, and what else a stage of several styles has."""
        inside = self.generator.named_parameters()
        own = {name: each for name, each in super().named_parameters().items() if not name.startswith("generator.")}
        return {**{name: each for name, each in inside.items() if name not in self._vectors}, **own}

    def vector_names(self) -> list[tuple[str, int]]:
        """Returns the names and lengths of what a style vector holds, in their order."""
        return [(name, each.shape[0]) for name, each in self._vectors.items()]

    def first_vector(self) -> np.ndarray:
        """Returns the style vector that a training begins with, (length,)."""
        return np.concatenate([np.full(each.shape, each.init == "ones") for each in self._vectors.values()])

    def take_vector(self, weights: dict[str, np.ndarray]) -> np.ndarray:
        """Takes the style vector out of an ordinary generator's weights, (1, length); raises ValueError without one."""
        if missing := self._vectors.keys() - weights.keys():
            raise ValueError(f"there is no {missing.pop()}")
        return np.concatenate([weights.pop(name) for name in self._vectors])[np.newaxis]

    def paint_styled(self, F, x, strength, vector):
        """Returns what the generator paints with a style vector."""
        values, begin = {}, 0
        for parameter in self._vectors.values():
            end = begin + parameter.shape[0]
            part = F.slice_axis(vector, axis=1, begin=begin, end=end)
            values[parameter], begin = F.reshape(part, shape=(-1,)), end
        return functional_call(self.generator, values, x, strength)


class MultiStyle(Styled):
    """A generator with the style vectors of several styles, of which a mix paints.

    styles: how many there are.
    Inputs: as the generator's, followed by the weights of the styles (1, styles).  Output: (1, 3, H, W).
    """

    def __init__(self, generator: Stage, styles: int):
        super().__init__(generator)
        self.count = styles
        self.styles = self.parameter("styles", (styles, self.length), "zeros")

    def describe(self) -> dict:
        return {**super().describe(), "styles": self.count}

    def hybrid_forward(self, F, x, strength, style, styles):
        return self.paint_styled(F, x, strength, F.dot(style, styles))  # (1, length)


class AnyStyle(Styled):
    """A generator whose style vectors a small network writes, of the description of a painting's style.

    described: how many numbers describe a style.  hidden: neurons of the network's hidden layer.
    Inputs: as the generator's, followed by a description (1, described).  Output: (1, 3, H, W).
    G. Ghiasi and others: Exploring the structure of a real-time, arbitrary neural artistic stylization network, arXiv
    1705.06830.  Differs from the paper in the description, which is not learned with the generator (`Describer`).
    """

    def __init__(self, generator: Stage, described: int, hidden: int):
        super().__init__(generator)
        self.described, self.hidden = described, hidden
        self.hidden_weight = self.parameter("hidden_weight", (described, hidden))
        self.hidden_bias = self.parameter("hidden_bias", (1, hidden), "zeros")
        self.vector_weight = self.parameter("vector_weight", (hidden, self.length), "zeros")
        self.vector_bias = self.parameter("vector_bias", (1, self.length), "zeros")

    def describe(self) -> dict:
        return {**super().describe(), "described": self.described, "hidden": self.hidden}

    def hybrid_forward(self, F, x, strength, style, hidden_weight, hidden_bias, vector_weight, vector_bias):
        hidden = F.LeakyReLU(F.broadcast_add(F.dot(style, hidden_weight), hidden_bias), slope=LEAK)  # (1, hidden)
        vector = F.broadcast_add(F.dot(hidden, vector_weight), vector_bias)  # (1, length)
        return self.paint_styled(F, x, strength, vector)


class StyledChain(Chain):
    """A chain whose stages take a style, beside the conditioning input of all; calls and `begin` are given it last."""

    def begin(self, photo, shifts: Sequence = (0, 0), style=None) -> tuple:
        picture, conditioning = super().begin(photo, shifts)
        return picture, (conditioning, style)

    def seen(self, index: int, picture, conditioning):
        return super().seen(index, picture, conditioning[0])

    def style_of(self, index: int, conditioning) -> list:
        return [conditioning[1]]

    def each(self, function: Callable, *batches):
        if len(batches[0]) == 1:
            return function(*batches)
        pictures = [
            [nd.slice_axis(batch, axis=0, begin=n, end=n + 1) for batch in batches] for n in range(len(batches[0]))
        ]
        return nd.concat(*(function(*picture) for picture in pictures), dim=0)


class MultiStyleChain(StyledChain):
    """A chain of several styles; those that it paints in are given by their weights, (N, styles)."""

    kind = "multistyle"
    kept_kernels = False  # whether styles are added to kernels that stay as they are

    def make_stage(self, **arguments) -> MultiStyle:
        styles = arguments.pop("styles")
        return MultiStyle(make_generator(**arguments), styles)

    def draw_weights(self, seed: int, devices: Sequence) -> None:
        super().draw_weights(seed, devices)
        for stage in self.generators:
            assert isinstance(stage, MultiStyle)
            stage.styles.set_data(np.tile(stage.first_vector(), (stage.count, 1)).astype(np.float32))

    def learning_parameters(self, stages: Sequence[int]) -> dict[str, Parameter]:
        """Returns what `Chain.learning_parameters` does; of `kept_kernels`, the styles alone."""
        found = super().learning_parameters(stages)
        return {name: each for name, each in found.items() if not self.kept_kernels or name.endswith("/styles")}

    def set_stage_weights(self, index: int, weights: Mapping[str, np.ndarray]) -> None:
        """Sets the weights of a stage.

        Those of a chain of one style become those of every style; styles that are missing begin as the mean of others.
        """
        stage = self.generators[index]
        assert isinstance(stage, MultiStyle)
        weights = dict(weights)
        if "styles" not in weights:
            weights["styles"] = stage.take_vector(weights)
        if missing := stage.count - len(weights["styles"]):
            mean = weights["styles"].mean(axis=0)
            weights["styles"] = np.concatenate([weights["styles"], *[mean[np.newaxis]] * missing])
        super().set_stage_weights(index, weights)


class AnyStyleChain(StyledChain):
    """A chain that paints in any style, given by descriptions, (N, described), as its describer writes them.

    What the describer knows is kept with the weights of stage 0, and does not learn with them.
    """

    kind = "anystyle"

    def __init__(self, stages: Sequence[dict], share_weights: bool = False):
        super().__init__(stages, share_weights)
        self.describer = Describer(stages[0]["described"])

    @property
    def styled(self) -> list[AnyStyle]:
        """Its stages."""
        return [cast(AnyStyle, stage) for stage in self.generators]

    def make_stage(self, **arguments) -> AnyStyle:
        described, hidden = arguments.pop("described"), arguments.pop("hidden")
        return AnyStyle(make_generator(**arguments), described, hidden)

    def draw_weights(self, seed: int, devices: Sequence) -> None:
        super().draw_weights(seed, devices)
        for stage in self.styled:
            stage.vector_bias.set_data(stage.first_vector().astype(np.float32)[np.newaxis])

    def stage_weights(self, index: int) -> dict[str, np.ndarray]:
        describer = self.describer.named_parameters() if index == 0 else {}
        own = {DESCRIBER + name: to_numpy(parameter.list_data()[0]) for name, parameter in describer.items()}
        return {**super().stage_weights(index), **own}

    def check_stage_weights(self, index: int, weights: dict[str, np.ndarray]) -> None:
        describer = self.describer.named_parameters() if index == 0 else {}
        shapes = {DESCRIBER + name: parameter.shape for name, parameter in describer.items()}
        found = {name: weight.shape for name, weight in weights.items() if name.startswith(DESCRIBER)}
        if found != shapes:
            raise ValueError(f"these weights do not fit the describer of stage {index}")
        super().check_stage_weights(index, {name: each for name, each in weights.items() if name not in found})

    def set_stage_weights(self, index: int, weights: Mapping[str, np.ndarray]) -> None:
        """Sets the weights of a stage; those of a chain of one style, or the mean of several, become every style's."""
        stage, weights = self.styled[index], dict(weights)
        if "vector_bias" not in weights:
            table = weights.pop("styles") if "styles" in weights else stage.take_vector(weights)
            weights = {**self.stage_weights(index), **weights, "vector_bias": table.mean(axis=0, keepdims=True)}
        self.check_stage_weights(index, weights)
        for name, parameter in stage.named_parameters().items():
            parameter.set_data(weights[name])
        for name, parameter in self.describer.named_parameters().items() if index == 0 else ():
            parameter.set_data(weights[DESCRIBER + name])
