"""`e2e-art infer` with a model of doodles: a drawing in its colors becomes a painting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import OptionError
from ..images.io import read_image, write_image
from ..images.resize import resize
from ..painting.noise import DoodlePainter
from .flags import parse_size
from .infer_texture import NoiseOptions

__all__ = ["paint_doodle"]

USAGE = "e2e-art infer DOODLE.png --model MODEL -o OUT.png"


def paint_doodle(doodles: Sequence[str], load: Callable[[], DoodlePainter], options: NoiseOptions) -> int:
    """Paints a doodle once for each seed; load: returns the painter."""
    if len(doodles) != 1:
        raise OptionError(f"One doodle at a time: {USAGE}")
    paths = options.targets(USAGE)
    doodle = read_image(doodles[0])
    if options.size not in (None, "0"):
        doodle = resize(doodle, *parse_size(options.size, "--size", doodle.shape))
    painter = load()
    for seed, target in zip(options.seeds, paths):
        write_image(target, painter(doodle, seed, options.stage, doodles[0]), options.overwrite)
    return 0
