"""Learn the style of a painting in a second, as a model that paints photos: from a network of any style.

usage: e2e-art learn PAINTING... -o DIR [options]

examples:
  e2e-art learn painting.jpg -o models/painting
  e2e-art learn a.jpg=0.7 b.jpg=0.3 -o models/both
"""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from .. import __version__
from ..errors import OptionError
from ..files import sha256_of
from ..images.io import encode_image, read_image
from ..images.resize import resize_long_edge
from ..models.folder import read_model
from ..models.kinds import ANYSTYLE
from ..models.learned import write_learned
from ..painting.describe import description_of, paintings_of
from .flags import add_overwrite

__all__ = ["ANY", "add_arguments", "run"]

ANY = "any"  # the shipped network
THUMBNAIL_EDGE = 160


def add_arguments(parser) -> None:
    """Adds the flags of `learn`."""
    paintings = "a painting, or several to mix, each with its weight, as a.jpg=0.7"
    parser.add_argument("paintings", nargs="+", metavar="PAINTING", help=paintings)
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="folder of the model to write")
    parser.add_argument("--model", default=ANY, metavar="MODEL", help="the network of any style to learn from")
    add_overwrite(parser)


def run(flags: argparse.Namespace) -> None:
    """Writes the model."""
    started, paintings = time.perf_counter(), paintings_of(flags.paintings)
    if flags.out is None:
        raise OptionError("-o is missing: add -o DIR, the folder of the model to write")
    model = read_model(flags.model, ANYSTYLE)
    description = description_of(model, paintings)
    first = read_image(max(paintings, key=lambda path: paintings[path]))
    record = {
        "command": shlex.join(["e2e-art", *flags.command_line]),
        "styles": [{"file": Path(path).name, "sha256": sha256_of(Path(path))} for path in paintings],
        "weights": list(paintings.values()),
        "versions": {"e2e_art": __version__},
        "started_from": model.record,
    }
    thumbnail = encode_image(resize_long_edge(first, THUMBNAIL_EDGE), ".jpg")
    learned = write_learned(model, description, flags.out, record, thumbnail, flags.overwrite)
    seconds = time.perf_counter() - started
    print(f"{learned.folder} is learned in {seconds:.1f} s: e2e-art infer {learned.kind.usage} {learned.folder} -o OUT")
