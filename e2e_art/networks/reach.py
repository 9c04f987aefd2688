"""How far upscalers see, by their arguments alone: tiles overlap by that, also where no engine is installed."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["TAPS", "reach_of"]

TAPS = 5  # pixels of a row that the fixed kernels of compact upscalers reach over
WIDE = 9 // 2  # pixels on each side that Johnson's first and last convolutions reach


def _compact(depth: int, **others) -> int:
    return TAPS // 2 + depth + 2  # a fixed kernel, then one convolution of 3x3 after another


def _johnson(factor: int, blocks: int, **others) -> int:
    reach = WIDE  # from the last layer back to the first, each time in pixels of the size it works at
    while factor > 1:
        reach, factor = (reach + 2) // 2, factor // 2  # a convolution of 3x3, of maps upsampled to twice their size
    return reach + 2 * blocks + WIDE


_BY_KIND: dict[str, Callable[..., int]] = {"compact": _compact, "johnson-upscaler": _johnson}


def reach_of(kind: str, **arguments) -> int:
    """Returns how many pixels of the small picture an upscaler sees on each side of one.

    kind, arguments: as `Upscaler.describe` returns them; others are passed over.
    """
    return _BY_KIND[kind](**arguments)
