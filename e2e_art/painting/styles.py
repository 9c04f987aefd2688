"""Which styles a network of several is to paint in: names, or a mix of them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import OptionError, listed, shortened

__all__ = ["mix_of", "weights_of"]


def mix_of(words: Sequence[str]) -> dict[str, float]:
    """Returns the weight of each style that words name, such as "starry_night", or "starry_night=0.7,udnie=0.3".

    A name alone has a weight of 1.  Raises OptionError for what is no weight.
    """
    mix: dict[str, float] = {}
    for word in (part.strip() for text in words for part in text.split(",")):
        name, equals, text = word.partition("=")
        try:
            weight = float(text) if equals else 1.0
        except ValueError:
            weight = math.nan
        if not (name and 0 <= weight < math.inf):
            raise OptionError(f"A mix of styles is written as a=0.7,b=0.3, not '{shortened(word)}'")
        mix[name] = mix.get(name, 0) + weight
    return mix


def weights_of(mix: str | Mapping[str, float], styles: Sequence[str], model: str) -> np.ndarray:
    """Returns the weights of all styles of a model, which add up to 1, (styles,) float32.

    mix: the name of one style, or weights by name, of any sum.  Raises OptionError for a style that there is not, with
    the nearest, and where no weight is more than 0.
    """
    weights = dict.fromkeys(styles, 0.0)
    for name, weight in (mix_of([mix]) if isinstance(mix, str) else mix).items():
        if name not in weights:
            near = difflib.get_close_matches(name, styles, n=1) or [style for style in styles if name in style][:1]
            fix = f"did you mean {near[0]}?" if near else f"it has {listed(styles)}"
            raise OptionError(f"{model} has no style '{shortened(name)}': {fix}")
        if not 0 <= weight < math.inf:
            raise OptionError(f"The weight of {name} is to be 0 or more, not {weight}")
        weights[name] += weight
    if not any(weights.values()):
        raise OptionError("All weights of --style are 0: raise one of them")
    return np.array([weight / sum(weights.values()) for weight in weights.values()], np.float32)
