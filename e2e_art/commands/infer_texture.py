"""`infer.py --texture`: textures instead of photos."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import OptionError
from ..images.io import check_suffix, write_image
from ..images.sheet import sheet
from ..painting.noise import load_texture, seam
from .flags import edges

__all__ = ["add_flags", "run", "targets"]

EDGE = 512  # pixels of a texture, unless told otherwise


def add_flags(parser) -> None:
    """Adds the flags that textures alone have."""
    group = parser.add_argument_group("textures", "made of noise, in any --size such as 512 or 480x640")
    group.add_argument("--texture", metavar="MODEL", help="a shipped texture, or one that train.py --texture wrote")
    group.add_argument(
        "--seed", nargs="+", type=int, default=[0], metavar="N", help="which one; several give a file each, and a sheet"
    )
    group.add_argument("--tile-check", action="store_true", help="print how well the texture continues at its edges")


def targets(out: str | Path, seeds: Sequence[int], overwrite: bool, made: str, sheet: bool = False) -> list[Path]:
    """Returns the file for each seed, OUT itself for a single one, and last that of a sheet of several where wanted.

    made: what a seed makes, for messages.  Raises OptionError for seeds given twice, for files that are no pictures,
    and for those that exist unless they may be written over.
    """
    out, several = Path(out), len(seeds) > 1
    if len(set(seeds)) < len(seeds):
        raise OptionError(f"A seed was given twice: each makes one {made}")
    paths = [out.with_name(f"{out.stem}_seed-{seed}{out.suffix}") if several else out for seed in seeds]
    if several and sheet:
        paths.append(out.with_name(f"{out.stem}_sheet.jpg"))
    for path in paths:
        check_suffix(path)
        if path.exists() and not overwrite:
            raise OptionError(f"{path} exists: choose another -o, or add --overwrite")
    return paths


def run(flags: argparse.Namespace) -> int:
    """Makes a texture for each seed."""
    if flags.photos:
        raise OptionError("--texture makes a picture of noise: leave the photos out")
    if not flags.out:
        raise OptionError("Say where to: e2e-art infer --texture MODEL -o OUT.png")
    size = edges(flags.size or str(EDGE))
    if not size or min(size) < 1:
        raise OptionError(f"--size takes an edge, or height and width such as 480x640, not '{flags.size}'")
    height, width = size * 2 if len(size) == 1 else size
    paths = targets(flags.out, flags.seed, flags.overwrite, "texture", sheet=True)
    if flags.threads:
        os.environ["OMP_NUM_THREADS"] = str(flags.threads)  # MXNet reads it when it is imported
    weave = load_texture(flags.texture, flags.engine, flags.threads, flags.gpu)
    textures = []
    for seed, target in zip(flags.seed, paths):
        textures.append(weave(height, width, seed, flags.stage))
        write_image(target, textures[-1], flags.overwrite)
        if flags.tile_check:
            print(f"{target}: {_in_words(textures[-1])}")
    if len(paths) > len(textures):
        labels = [f"seed {seed}" for seed in flags.seed]
        write_image(paths[-1], sheet(textures, labels, weave.model.title), flags.overwrite)
    return 0


def _in_words(texture) -> str:
    height, width = texture.shape[:2]
    if min(height, width) < 2:
        return "too small to see a seam"
    across, within, most = seam(texture)
    words = (
        f"neighbors differ by {across:.1f} gray levels across its edges, by {within:.1f} within (at most {most:.1f})"
    )
    return words if height % 32 == width % 32 == 0 else f"{words}; to tile, its sides must be multiples of 32"
