"""`infer.py` with a model of doodles: a picture drawn in its colors becomes a painting."""

from __future__ import annotations

import argparse

from ..errors import OptionError
from ..images.io import read_image, write_image
from ..images.resize import resize
from ..painting.noise import load_doodle
from .flags import edges
from .infer_texture import targets

__all__ = ["run"]


def run(flags: argparse.Namespace) -> int:
    """Paints a doodle once for each seed."""
    if len(flags.photos) != 1 or not flags.out:
        raise OptionError("One doodle at a time: e2e-art infer DOODLE.png --model MODEL -o OUT.png")
    paths = targets(flags.out, flags.seed, flags.overwrite, "painting")
    doodle = read_image(flags.photos[0])
    if flags.size:
        size = edges(flags.size)
        if not size or min(size) < 1:
            raise OptionError(f"--size takes a long edge, or height and width such as 480x640, not '{flags.size}'")
        factor = size[0] / max(doodle.shape[:2])
        height, width = size if len(size) == 2 else (max(1, round(side * factor)) for side in doodle.shape[:2])
        doodle = resize(doodle, height, width)
    sketch = load_doodle(flags.model, flags.engine, flags.threads, flags.gpu)
    for seed, target in zip(flags.seed, paths):
        write_image(target, sketch(doodle, seed, flags.stage, flags.photos[0]), flags.overwrite)
    return 0
