"""Options of the perceptual loss: layers, weights, conventions."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any

from ..errors import OptionError, shortened, unknown
from ..files import Name, Text, check_fields

__all__ = ["LossOptions", "Number", "check_blend", "check_options", "check_shares", "flag_of", "option"]


MOST = {int: 2**31 - 1, float: 1e30}  # unless an option says otherwise


@dataclass(frozen=True)
class Number:
    """The numbers that an option takes: from `least`, or above it, to `most`; never NaN or infinite ones."""

    kind: type = int
    least: float = 0
    most: float | None = None
    above: bool = False  # whether `least` itself is none of them

    def __contains__(self, value: Any) -> bool:
        most = MOST[self.kind] if self.most is None else self.most
        fits = isinstance(value, numbers.Integral if self.kind is int else numbers.Real)
        return fits and self.least <= value <= most and not (self.above and value == self.least)

    def check(self, name: str, value: Any) -> None:
        """Raises OptionError for what is none of these numbers, whatever it is; name: of the option."""
        if value not in self:
            number = isinstance(value, numbers.Real)
            shown = value if number else shortened(repr(value))
            raise OptionError(f"{name} takes {self.range_text(value if number else 0)}, not {shown}")

    def range_text(self, value: float = 0) -> str:
        """Returns in words which numbers these are, for one who gave another value."""
        noun = "a whole number" if self.kind is int else "a number"
        if self.most == math.inf or (self.most is None and not MOST[self.kind] < value < math.inf):
            return f"{noun} above {self.least:g}" if self.above else f"{noun} of {self.least:g} or more"
        return f"{noun} from {self.least:g} to {self.most or MOST[self.kind]:.10g}"


def option(default, help: str, flag: str | None = None, kind: type | Number | None = None, choices=None) -> Any:
    """Returns a dataclass field with what the command line needs.

    kind: the numbers that it takes, or the type of its values where the default has none.
    """
    return field(default=default, metadata={"help": help, "flag": flag, "kind": kind, "choices": choices})


def flag_of(option: Field) -> str:
    """Returns the flag of an option, as messages name it."""
    return option.metadata.get("flag") or "--" + option.name.replace("_", "-")


def check_options(options) -> None:
    """Raises OptionError where an option, or one value of several, is not of its type, its choices or its numbers."""
    try:
        check_fields(options)
    except ValueError as error:
        raise OptionError(str(error)) from error
    for each in fields(options):
        value, choices, kind = (getattr(options, each.name), *map(each.metadata.get, ("choices", "kind")))
        if choices and value not in choices:
            raise OptionError(unknown(each.name.replace("_", " "), value, choices))
        if isinstance(kind, Number):
            for number in value if isinstance(value, tuple) else () if value is None else (value,):
                kind.check(flag_of(each), number)


def check_shares(shares: Sequence[float], flag: str) -> None:
    """Raises OptionError where a share is below 0, or all are 0."""
    if shares and not (min(shares) >= 0 and sum(shares) > 0):
        raise OptionError(f"{flag} takes shares of 0 or more, not all of them 0, and not {', '.join(map(str, shares))}")


def check_blend(shares: Sequence[float], paintings: int) -> None:
    """Raises OptionError unless there are no shares, or one for each painting, not all of them 0."""
    if shares and len(shares) != paintings:
        raise OptionError(f"--style-blend takes a share for each painting, {paintings}, not {len(shares)}")
    check_shares(shares, "--style-blend")


WEIGHT = Number(float)


@dataclass(frozen=True)
class LossOptions:
    """Layers and weights of the perceptual loss."""

    style_weight: float = option(20.0, "weight of the style term", kind=WEIGHT)
    content_weight: float = option(1.0, "weight of the content term", kind=WEIGHT)
    tv_weight: float = option(1e-5, "weight of the total variation", kind=WEIGHT)
    style_layers: tuple[Name, ...] = option(
        tuple(f"relu{block}_1" for block in range(1, 6)), "layers of the style term"
    )
    style_layer_weights: tuple[float, ...] = option((), "weight of each style layer; equal by default", kind=WEIGHT)
    content_layers: tuple[Name, ...] = option(("relu4_2",), "layers of the content term", "--content-layer")
    content_layer_weights: tuple[float, ...] = option((), "weight of each content layer; equal by default", kind=WEIGHT)
    convention: Name = option(
        "relative",
        "how squared errors are normalized: docs/losses.md",
        choices=("relative", "gatys", "bing-xu", "mean"),
    )
    covariance: bool = option(False, "center features before the Gram matrix")
    patch_weight: float = option(0.0, "weight of the patch term; for optimize with one painting", kind=WEIGHT)
    patch_layers: tuple[Name, ...] = option(("relu3_1", "relu4_1"), "layers of the patch term")
    normalize_gradients: bool = option(False, "scale the gradient of each layer to the same norm")
    pooling: Name = option("average", "pooling of the loss network", choices=("average", "max"))
    loss_network: Text = option(
        "vgg19", "vgg19 (shipped), zoo:vgg11, zoo:vgg13, zoo:vgg16 or zoo:vgg19 from gluoncv, or a file of such a VGG"
    )

    def __post_init__(self):
        check_options(self)
        for layers, weights, kind in (
            (self.style_layers, self.style_layer_weights, "style"),
            (self.content_layers, self.content_layer_weights, "content"),
        ):
            if not layers:
                raise OptionError(f"The loss needs at least one {kind} layer")
            if weights and len(weights) != len(layers):
                raise OptionError(
                    f"--{kind}-layer-weights takes as many weights as there are {kind} layers, {len(layers)}, not "
                    f"{len(weights)}"
                )
            check_shares(weights, f"--{kind}-layer-weights")
        for layer in (*self.style_layers, *self.content_layers, *self.patch_layers):
            if not re.fullmatch(r"relu\d_\d", layer):
                raise OptionError(f"unknown loss network layer '{layer}': choose names such as relu1_1")
