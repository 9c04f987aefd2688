"""`e2e-art infer --texture`: textures of noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import OptionError
from ..images.io import check_suffix, write_image
from ..images.sheet import sheet
from ..painting.noise import TexturePainter, seam
from .flags import check_free, parse_size

__all__ = ["NoiseOptions", "make_textures"]

EDGE = "512"  # pixels of a texture by default


@dataclass(frozen=True)
class NoiseOptions:
    """What to make of noise, one picture for each seed; size: as `parse_size` reads it."""

    out: str | None
    size: str | None = None
    seeds: tuple[int, ...] = (0,)
    stage: int | None = None
    overwrite: bool = False

    def targets(self, usage: str, sheet: bool = False) -> list[Path]:
        """Returns the file for each seed, OUT itself for a single one, and last that of a sheet of several.

        Raises OptionError without OUT, with the usage, for seeds given twice, and for files that exist.
        """
        if not self.out:
            raise OptionError(f"Say where to: {usage}")
        out, several = Path(self.out), len(self.seeds) > 1
        if len(set(self.seeds)) < len(self.seeds):
            raise OptionError("A seed was given twice: each makes one picture")
        paths = [out.with_name(f"{out.stem}_seed-{seed}{out.suffix}") if several else out for seed in self.seeds]
        check_suffix(out)
        if several and sheet:
            paths.append(out.with_name(f"{out.stem}_sheet.jpg"))
        check_free(paths, self.overwrite)
        return paths


def make_textures(load: Callable[[], TexturePainter], options: NoiseOptions, tile_check: bool = False) -> int:
    """Makes a texture for each seed; load: returns the painter.  tile_check: print how well each continues."""
    paths = options.targets("e2e-art infer --texture MODEL -o OUT.png", sheet=True)
    height, width = parse_size(options.size or EDGE, "--size", shape=(1, 1))
    painter = load()
    textures = []
    for seed, target in zip(options.seeds, paths):
        textures.append(painter(height, width, seed, options.stage))
        write_image(target, textures[-1], options.overwrite)
        if tile_check:
            print(f"{target}: {_seam_text(textures[-1])}")
    if len(paths) > len(textures):
        labels = [f"seed {seed}" for seed in options.seeds]
        write_image(paths[-1], sheet(textures, labels, painter.model.title), options.overwrite)
    return 0


def _seam_text(texture: np.ndarray) -> str:
    height, width = texture.shape[:2]
    if min(height, width) < 2:
        return "too small to have a seam"
    across, within, most = seam(texture)
    text = f"neighbors differ by {across:.1f} gray levels across its edges, by {within:.1f} within (at most {most:.1f})"
    return text if height % 32 == width % 32 == 0 else f"{text}; to tile, its sides must be multiples of 32"
