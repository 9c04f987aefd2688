"""The command line: arguments in, results and one sentence on errors out."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import UserError
from . import compare, export, infer, masks, models, optimize, serve, train
from .flags import HelpFormatter

__all__ = ["main"]

log = logging.getLogger(__name__)

COMMANDS = {
    infer: "paint photos, clips and doodles, make textures",
    train: "train a model on a painting",
    optimize: "paint a photo, or make a texture, without a trained model",
    compare: "measure the stages of models beside L-BFGS",
    models: "list trained models",
    masks: "show the masks that doodles are trained on",
    serve: "paint in the browser",
    export: "write a model as one ONNX file, or the page for a web host",
}
INTERRUPTED = 130  # what shells expect after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, 2 with one sentence on stderr for an error, 130 after Ctrl-C."""
    flags = _parser().parse_args(arguments)
    flags.command_line = list(sys.argv[1:] if arguments is None else arguments)
    level = logging.DEBUG if flags.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    for noisy in ("PIL", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal's encoding does not have
    sentence = ""
    try:
        flags.run(flags)
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except UserError as error:
        sentence = str(error)
    except BrokenPipeError:
        pass
    except OSError as error:  # not foreseen: a name too long for the file system, a folder that cannot be searched
        log.debug("where it happened", exc_info=True)
        name = error.filename or "standard output or a temporary file"
        sentence = f"{name} cannot be used ({error.strerror}): choose another, or free space"
    if sentence:
        print(f"e2e-art: {sentence}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # what could not be written goes: Python would try once more as it ends, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="e2e-art",
        description="Paint photos in the style of a painting.",
        epilog="examples:\n  e2e-art infer photo.jpg -o painting.jpg\n  e2e-art infer --help",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"e2e-art {__version__}", help="print the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, help in COMMANDS.items():
        name = command.__name__.rpartition(".")[2]
        doc = command.__doc__ or f"{help}\n\ne2e-art {name} [options]\n\n "  # python -OO drops docstrings
        about, usage, examples = doc.rstrip("\n").split("\n\n")
        subparser = commands.add_parser(
            name,
            usage=usage.removeprefix("usage: "),
            help=help,
            description=" ".join(about.split()),
            epilog=examples,
            formatter_class=HelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.add_argument("--verbose", action="store_true", help="print more, such as an error's traceback")
        subparser.set_defaults(run=command.run)
    return parser
