"""Write a model as one ONNX file, or the page that paints in the browser as a folder.

usage: e2e-art export (--onnx FILE --model NAME | --web DIR) [options]

examples:
  e2e-art export --onnx starry_night.onnx --model starry_night
  e2e-art export --web site/
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import OptionError, UserError
from ..files import write_atomically
from ..models.folder import read_model
from ..models.onnx_file import onnx_file
from ..web.site import write_site
from .flags import add_overwrite, check_free, check_job, parse_size, whole
from .serve import add_page_models, page_models

__all__ = ["add_arguments", "run"]


FLAGS = dict.fromkeys(("--stage", "--size", "--half"), ("--onnx",))  # and what they go with


def add_arguments(parser) -> None:
    """Adds the flags of `export`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--onnx", type=Path, metavar="FILE", help="one self-contained ONNX file of one model")
    what.add_argument("--web", type=Path, metavar="DIR", help="the page, with all models given, as a static folder")
    add_page_models(parser)
    add_overwrite(parser)
    onnx = parser.add_argument_group("with --onnx")
    onnx.add_argument("--stage", type=whole(), metavar="K", help="end the chain at stage K, counted from 0")
    onnx.add_argument("--size", metavar="WxH", help="for pictures of this size alone, such as 640x480")
    onnx.add_argument("--half", action="store_true", help="compute in float16")


def run(flags: argparse.Namespace) -> None:
    """Writes the file or the folder, and says how large it is."""
    check_job(flags.given, "--web" if flags.web else "--onnx", FLAGS)
    if flags.web:
        models = page_models(flags.model)
        write_site(flags.web, models, flags.overwrite)
        print(f"{flags.web}: a page with {', '.join(model.title for model in models)}; any web host serves it")
        return
    if len(flags.model) != 1:
        raise OptionError(f"--onnx is a file of one model, not of {len(flags.model)}: name it with --model")
    model = read_model(flags.model[0])
    if flags.onnx.suffix.lower() != ".onnx":
        raise OptionError(f"--onnx takes a file's name that ends in .onnx, not '{flags.onnx}'")
    if flags.onnx.is_dir():
        raise OptionError(f"{flags.onnx} is a folder: give --onnx a file's name")
    check_free([flags.onnx], flags.overwrite, "--onnx")
    size = parse_size(flags.size, "--size") if flags.size is not None else None
    content = onnx_file(model, flags.stage, size, flags.half)
    try:
        write_atomically(flags.onnx, content)
    except OSError as error:
        raise UserError(f"{flags.onnx} cannot be written ({error.strerror}): free space, or choose another") from error
    print(f"{flags.onnx}: {model.title}, {len(content) / 1e6:.1f} MB")
