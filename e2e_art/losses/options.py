"""Options of the perceptual loss: layers, weights, conventions."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import OptionError, unknown
from ..untrusted import Measure, Name, check_fields

__all__ = ["LossOptions", "check_bounds", "check_choices", "check_shares", "option"]


def option(default, help: str, flag: str | None = None, kind: type | None = None, choices=None) -> Any:
    """Returns a dataclass field with what the command line needs; kind: the type, where the default has none."""
    return field(default=default, metadata={"help": help, "flag": flag, "kind": kind, "choices": choices})


def check_choices(options) -> None:
    """Raises OptionError where an option has a value beside its choices."""
    for each in fields(options):
        value, choices = getattr(options, each.name), each.metadata.get("choices")
        if choices and value not in choices:
            raise OptionError(unknown(each.name.replace("_", " "), value, choices))


def check_bounds(options) -> None:
    """Raises OptionError where an option has a value of another type than its own, or out of its bounds."""
    try:
        check_fields(options)
    except ValueError as error:
        raise OptionError(str(error)) from error


def check_shares(shares: Sequence[float], name: str) -> None:
    """Raises OptionError where a share is below 0, or all are 0."""
    if shares and not (min(shares) >= 0 and sum(shares) > 0):
        raise OptionError(f"{name} must be 0 or more, and their sum above 0, not {', '.join(map(str, shares))}")


@dataclass(frozen=True)
class LossOptions:
    """Layers and weights of the perceptual loss."""

    style_weight: Measure = option(20.0, "weight of the style term")
    content_weight: Measure = option(1.0, "weight of the content term")
    tv_weight: Measure = option(1e-5, "weight of the total variation")
    style_layers: tuple[Name, ...] = option(
        tuple(f"relu{block}_1" for block in range(1, 6)), "layers of the style term"
    )
    style_layer_weights: tuple[Measure, ...] = option((), "weight of each style layer; equal by default", kind=float)
    content_layers: tuple[Name, ...] = option(("relu4_2",), "layers of the content term", "--content-layer")
    content_layer_weights: tuple[Measure, ...] = option(
        (), "weight of each content layer; equal by default", kind=float
    )
    convention: Name = option(
        "relative",
        "how squared errors are normalized: docs/losses.md",
        choices=("relative", "gatys", "bing-xu", "mean"),
    )
    covariance: bool = option(False, "center features before the Gram matrix")
    patch_weight: Measure = option(0.0, "weight of the patch term; for optimize with one painting")
    patch_layers: tuple[Name, ...] = option(("relu3_1", "relu4_1"), "layers of the patch term")
    normalize_gradients: bool = option(False, "scale the gradient of each layer to the same norm")
    pooling: Name = option("average", "pooling of the loss network", choices=("average", "max"))
    loss_network: Name = option("vgg19", "vgg19 (shipped), or zoo:vgg11, zoo:vgg13, zoo:vgg16, zoo:vgg19 from gluoncv")

    def __post_init__(self):
        for name in ("style_weight", "content_weight", "tv_weight", "patch_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{name.replace('_', ' ')} must be 0 or more, not {getattr(self, name)}")
        check_choices(self)
        for layers, weights, kind in (
            (self.style_layers, self.style_layer_weights, "style"),
            (self.content_layers, self.content_layer_weights, "content"),
        ):
            if not layers:
                raise OptionError(f"The loss needs at least one {kind} layer")
            if weights and len(weights) != len(layers):
                raise OptionError(f"There are {len(layers)} {kind} layers, but {len(weights)} weights for them")
            check_shares(weights, f"{kind} layer weights")
        for layer in (*self.style_layers, *self.content_layers, *self.patch_layers):
            if not re.fullmatch(r"relu\d_\d", layer):
                raise OptionError(f"unknown loss network layer '{layer}': choose names such as relu1_1")
        check_bounds(self)
