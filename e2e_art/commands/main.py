"""The command line: arguments in, results and one sentence on errors out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import UserError
from . import compare, completion, export, infer, learn, masks, models, optimize, serve, train
from .console import flush, log_to_console, open_streams
from .parser import Parser
from .progress import terminable

__all__ = ["main"]

log = logging.getLogger(__name__)

COMMANDS = {
    infer: "paint photos, clips and doodles, make textures",
    train: "train a model on a painting",
    learn: "learn a painting's style in a second",
    optimize: "paint a photo, or make a texture, without a trained model",
    compare: "measure the stages of models beside L-BFGS",
    models: "list trained models",
    masks: "show the masks that doodles are trained on",
    serve: "paint in the browser",
    export: "write a model as one ONNX file, or the page for a web host",
}
FAILED, INTERRUPTED, TERMINATED = 2, 130, 143  # the last two as shells expect them after Ctrl-C and SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns its exit code: 0, 2 with one sentence on stderr for an error, 130 after Ctrl-C, 143 after SIGTERM.
    """
    open_streams()
    code = FAILED
    try:
        with terminable() as signals:
            _run(list(sys.argv[1:] if arguments is None else arguments))
        code = TERMINATED if signals else 0
    except KeyboardInterrupt:
        code = TERMINATED if signals else INTERRUPTED
    except UserError as error:
        _say(str(error))
    except BrokenPipeError:
        pass
    except OSError as error:  # not foreseen: a name too long for the file system, a folder that cannot be searched
        log.debug("where it happened", exc_info=True)
        name = error.filename or "standard output or a temporary file"
        _say(f"{name} cannot be used ({error.strerror or error}): choose another, or free space")
    finally:
        flush()
    return code


def _run(arguments: list[str]) -> None:
    flags = _parser().parse_args(arguments)
    flags.command_line = arguments
    log_to_console(flags.verbose)
    flags.run(flags)


def _say(sentence: str) -> None:
    """Prints a sentence on one line, whatever a library that it quotes, or a file's name, has in it."""
    print("e2e-art:", " ".join(sentence.split("\n")), file=sys.stderr)


def _parser() -> Parser:
    parser = Parser(
        prog="e2e-art",
        description="Paint photos in the style of a painting.",
        epilog="examples:\n  e2e-art infer photo.jpg -o painting.jpg\n  e2e-art infer --help",
    )
    _add_version(parser)
    completion.add_arguments(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, help in COMMANDS.items():
        name = command.__name__.rpartition(".")[2]
        doc = command.__doc__ or f"{help}\n\ne2e-art {name} [options]\n\n "  # python -OO drops docstrings
        about, usage, examples = doc.rstrip("\n").split("\n\n")
        description = " ".join(about.split())
        usage = usage.removeprefix("usage: ")
        subparser = commands.add_parser(name, usage=usage, help=help, description=description, epilog=examples)
        command.add_arguments(subparser)
        subparser.add_argument("--verbose", action="store_true", help="print more, such as an error's traceback")
        _add_version(subparser)
        completion.add_values(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _add_version(parser: Parser) -> None:
    parser.add_argument("--version", action="version", version=f"e2e-art {__version__}", help="print the version")
