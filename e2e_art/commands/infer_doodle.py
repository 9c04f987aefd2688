"""`e2e-art infer` with a model of doodles: a drawing in its colors becomes a painting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import OptionError
from ..images.io import read_image, write_image
from ..images.resize import resize
from ..painting.noise import DoodlePainter
from .flags import parse_size
from .infer_photos import Output
from .infer_texture import seed_files

__all__ = ["paint_doodle"]

USAGE = "e2e-art infer DOODLE.png --model MODEL -o OUT.png"


def paint_doodle(
    doodles: Sequence[str], load: Callable[[], DoodlePainter], size: str | None, seeds: Sequence[int], output: Output
) -> int:
    """Paints a doodle once for each seed; load: returns the painter."""
    if len(doodles) != 1:
        raise OptionError(f"One doodle at a time: {USAGE}")
    paths = seed_files(output, seeds, USAGE)
    doodle = read_image(doodles[0])
    if size and size != "0":
        doodle = resize(doodle, *parse_size(size, "--size", doodle.shape))
    painter = load()
    for seed, path in zip(seeds, paths):
        write_image(path, painter(doodle, seed, output.stage, doodles[0]), output.overwrite)
    return 0
