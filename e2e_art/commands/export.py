"""`e2e-art export`: a model for other places: one ONNX file, or a page for a web host."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import OptionError, UserError
from ..files import write_atomically
from ..models.folder import read_model
from ..models.onnx_file import onnx_file
from ..web.site import write_site
from .flags import edges
from .serve import add_styles, styles_of

__all__ = ["add_command"]


def add_command(commands) -> None:
    """Adds `export` to the commands."""
    parser = commands.add_parser(
        "export",
        help="take a model elsewhere: one ONNX file, or a page for a web host",
        description="Write a model as one ONNX file, or the page that paints in the browser as a folder.",
    )
    parser.set_defaults(run=run, verbose=False)
    add_styles(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--onnx", type=Path, metavar="FILE", help="one self-contained ONNX file of one model")
    what.add_argument("--web", type=Path, metavar="DIR", help="the page, with all of the models, as a static folder")
    parser.add_argument("--stage", type=int, metavar="K", help="with --onnx: the chain ends at stage K")
    parser.add_argument("--size", metavar="HxW", help="with --onnx: for pictures of this size alone, such as 480x640")
    parser.add_argument("--half", action="store_true", help="with --onnx: compute in float16")
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")


def run(flags: argparse.Namespace) -> int:
    """Writes the file or the folder, and says how large it is."""
    if flags.web:
        models = styles_of(flags)
        if flags.stage is not None or flags.size or flags.half:
            raise OptionError("--stage, --size and --half are for --onnx: leave them out with --web")
        write_site(flags.web, models, flags.overwrite)
        print(f"{flags.web}: a page with {', '.join(model.title for model in models)}; any web host serves it")
        return 0
    names = flags.model or []
    if len(names) != 1:
        raise OptionError(f"One ONNX file holds one model, not {len(names)}: name it with --model")
    model = read_model(names[0])
    if flags.onnx.exists() and not flags.overwrite:
        raise OptionError(f"{flags.onnx} exists: choose another --onnx, or add --overwrite")
    content = onnx_file(model, flags.stage, _size(flags.size), flags.half)
    try:
        write_atomically(flags.onnx, content)
    except OSError as error:
        raise UserError(f"{flags.onnx} cannot be written ({error.strerror}): free space, or choose another") from error
    print(f"{flags.onnx}: {model.title}, {len(content) / 1e6:.1f} MB")
    return 0


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if len(size := edges(text)) != 2:
        raise OptionError(f"--size takes height and width such as 480x640, not '{text}'")
    return size
