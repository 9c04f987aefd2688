"""Write a picture of 25 of the random masks that train.py --doodle trains on.

usage: e2e-art masks --preview OUT [options]

examples:
  e2e-art masks --preview masks.png --mask painting-mask.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..data.masks import MOST_REGIONS, Masks
from ..errors import OptionError
from ..images.io import check_suffix, read_image, write_image
from ..images.regions import find_palette
from ..networks.inputs import SEEDS
from .flags import add_overwrite, check_free, whole

__all__ = ["add_arguments", "run"]

SHOWN = 5  # masks in a row, and rows
GAP = 4  # pixels between them
REGIONS = 4  # by default
COLORS = (  # as many as there can be regions
    "ffffff ff331f 0000ff 00ff00 ffff00 c00000 00c8c8 a000c8 ff9600 005a00 785028 ff8cc8 5a5a5a 00005a 96c8ff 647800"
)


def add_arguments(parser) -> None:
    """Adds the flags of `masks`."""
    parser.add_argument("--preview", required=True, type=Path, metavar="OUT", help="the picture to write")
    parser.add_argument("--mask", type=Path, metavar="MASK", help="a painting's mask, for its regions and colors")
    regions, seed = whole(1, MOST_REGIONS), whole(0, SEEDS - 1)
    parser.add_argument("--regions", type=regions, metavar="N", help=f"number of regions, {REGIONS} by default")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of the training")
    add_overwrite(parser)


def run(flags: argparse.Namespace) -> None:
    """Writes the preview."""
    check_suffix(flags.preview)
    check_free([flags.preview], flags.overwrite, "--preview")
    if flags.mask and flags.regions:
        raise OptionError("--mask says how many regions there are: leave --regions out")
    palette = np.frombuffer(bytes.fromhex(COLORS), np.uint8).reshape(-1, 3)
    regions = REGIONS if flags.regions is None else flags.regions
    if flags.mask:
        palette = find_palette(read_image(flags.mask), name=str(flags.mask))
        regions = len(palette)
    masks = Masks(regions, flags.seed, SHOWN * SHOWN)
    pictures = [np.pad(palette[mask], ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=40) for mask in masks]
    rows = [np.concatenate(pictures[begin : begin + SHOWN], axis=1) for begin in range(0, len(pictures), SHOWN)]
    write_image(flags.preview, np.concatenate(rows), flags.overwrite)
