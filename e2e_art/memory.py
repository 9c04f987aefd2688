"""How much memory work on a picture takes, as measured, and whether so much is free: asked before the work begins."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import UserError
from .machine import free_memory

__all__ = ["Need", "check_memory"]

SLACK = 0.95  # of the free memory is what the size that messages name takes: so it still fits a moment later
MOST_SIDE = 10**6  # pixels; beyond it no memory would help


@dataclass(frozen=True)
class Need:
    """Bytes of memory that work on a picture takes: for each pixel, and in any case."""

    pixel: float
    always: float = 0.1e9

    def at(self, height: int, width: int) -> float:
        """Returns what a picture of that size takes."""
        return self.always + self.pixel * height * width

    def fitting(self, height: int, width: int, free: float) -> float:
        """Returns by which factor both sides have to change for that many bytes; 0 where no size fits."""
        return math.sqrt(max(0.0, free - self.always) / (self.pixel * height * width))


# What `python benchmarks/memory.py` and `benchmarks/sizes.py` measure (docs/speed.md).
PAINTING = {  # whole, by kind of model and engine; of a network of others only input and output are known
    "chain": {"onnx": Need(400), "mxnet": Need(570)},
    "texture": {"onnx": Need(700), "mxnet": Need(710)},
    "doodle": {"onnx": Need(920), "mxnet": Need(690)},
    "onnx": {"onnx": Need(64)},
}
TILED = Need(9)  # beside the tiles: the photo, and the last stage's picture in half precision
PICTURE_BYTES, DENOISE_BYTES, PATCH_BYTES = 3, 90, 2300  # a pixel, in addition
LOSSES, STYLE = Need(1110, 0.4e9), Need(1370, 0.4e9)  # of a picture, of a painting
TRAINING = {"chain": Need(4000, 0.9e9), "texture": Need(8700, 0.6e9), "doodle": Need(8700, 0.6e9)}  # a crop and stage
OPTIMIZE = {"lbfgs": Need(6300, 0.45e9), "adam": Need(4600, 0.45e9), "sgd": Need(4600, 0.45e9)}  # by solver


def check_memory(
    need: Need,
    height: int,
    width: int,
    fix: str = "--size {width}x{height}",
    otherwise: str = "close other programs",
    *,
    multiple: int = 1,
    held: float = 0,
) -> None:
    """Raises UserError where work on a picture of that size would not fit into the memory that is free.

    fix: how people ask for another size, with {width}, {height}, {long} or {short} edge in place of what would fit, in
    multiples of `multiple`.  otherwise: what they can do where no size fits.  held: bytes that work before this one
    still holds, and this one takes over.
    """
    needed, free = need.at(height, width), free_memory() + held
    if needed <= free:
        return
    factor = need.fitting(height, width, SLACK * free)
    fits = [math.floor(side * factor / multiple) * multiple for side in (height, width)]
    sides = dict(height=fits[0], width=fits[1], long=max(fits), short=min(fits))
    size = "x".join(f"{side}" if side < 1e9 else f"{side:.0e}" for side in (width, height))
    takes = f"about {needed / 1e9:,.1f} GB of" if needed < 1e15 else "more"
    smaller = otherwise if max(height, width) < MOST_SIDE else "choose smaller sides"
    end = f"{fix.format(**sides)} would fit" if min(fits) else smaller
    raise UserError(
        f"{size} pixels take {takes} memory{'' if needed < 1e15 else ' than any computer has'}, and "
        f"{free / 1e9:.1f} GB are free: {end}"
    )
