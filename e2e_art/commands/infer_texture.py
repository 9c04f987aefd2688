"""`e2e-art infer --texture`: textures of noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import OptionError
from ..images.io import check_suffix, write_image
from ..images.sheet import sheet
from ..painting.noise import TexturePainter, seam
from .flags import check_free, parse_size
from .infer_photos import Output

__all__ = ["make_textures", "seed_files"]

EDGE = "512"  # pixels of a texture by default


def make_textures(
    load: Callable[[], TexturePainter], size: str | None, seeds: Sequence[int], output: Output, tile_check: bool = False
) -> int:
    """Makes a texture for each seed; load: returns the painter.  tile_check: print how well each continues."""
    paths = seed_files(output, seeds, "e2e-art infer --texture MODEL -o OUT.png", sheet=True)
    height, width = parse_size(size or EDGE, "--size", shape=(1, 1))
    painter = load()
    textures = []
    for seed, path in zip(seeds, paths):
        textures.append(painter(height, width, seed, output.stage))
        write_image(path, textures[-1], output.overwrite)
        if tile_check:
            print(f"{path}: {_seam_text(textures[-1])}")
    if len(paths) > len(textures):
        labels = [f"seed {seed}" for seed in seeds]
        write_image(paths[-1], sheet(textures, labels, painter.model.title), output.overwrite)
    return 0


def seed_files(output: Output, seeds: Sequence[int], usage: str, sheet: bool = False) -> list[Path]:
    """Returns the file for each seed, OUT itself for a single one, and last that of a sheet of several if wanted.

    Raises OptionError without OUT, with the usage, for seeds given twice, and for files that exist.
    """
    if not output.out:
        raise OptionError(f"Say where to: {usage}")
    if len(set(seeds)) < len(seeds):
        raise OptionError("A seed was given twice: each makes one picture")
    out, several = Path(output.out), len(seeds) > 1
    check_suffix(out)
    paths = [out.with_name(f"{out.stem}_seed-{seed}{out.suffix}") if several else out for seed in seeds]
    if several and sheet:
        paths.append(out.with_name(f"{out.stem}_sheet.jpg"))
    check_free(paths, output.overwrite)
    return paths


def _seam_text(texture: np.ndarray) -> str:
    height, width = texture.shape[:2]
    if min(height, width) < 2:
        return "too small to have a seam"
    across, within, most = seam(texture)
    text = f"neighbors differ by {across:.1f} gray levels across its edges, by {within:.1f} within (at most {most:.1f})"
    return text if height % 32 == width % 32 == 0 else f"{text}; to tile, its sides must be multiples of 32"
