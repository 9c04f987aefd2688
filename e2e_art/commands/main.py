"""The command line: flags in, words for people out.  The only rooms that parse arguments or print are cli*.py."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import UserError
from . import compare as cli_compare
from . import export as cli_export
from . import infer as cli_infer
from . import masks as cli_masks
from . import models as cli_models
from . import optimize as cli_optimize
from . import serve as cli_serve
from . import train as cli_train

__all__ = ["main"]

log = logging.getLogger(__name__)

INTERRUPTED = 130  # what shells expect after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, 2 with one sentence on stderr for a mishap, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="e2e-art", description="Paint photos in the manner of a painting.")
    parser.add_argument("--version", action="version", version=f"e2e-art {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for room in (cli_infer, cli_train, cli_optimize, cli_compare, cli_models, cli_masks, cli_serve, cli_export):
        room.add_command(commands)
    options = parser.parse_args(arguments)
    options.command_line = list(sys.argv[1:] if arguments is None else arguments)
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    for noisy in ("PIL", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        return options.run(options) or 0
    except UserError as error:
        print(f"e2e-art: {error}", file=sys.stderr)
        _leave_standard_output()
        return 2
    except BrokenPipeError:
        _leave_standard_output()
        return 2
    except OSError as error:  # what no room foresaw: a name too long for the file system, an unsearchable folder
        log.debug("where it happened", exc_info=True)
        name = error.filename or "standard output or a temporary file"
        print(f"e2e-art: {name} cannot be used ({error.strerror}): choose another, or free space", file=sys.stderr)
        _leave_standard_output()
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


def _leave_standard_output() -> None:
    """Lets what could not be written go: Python would try once more as it ends, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
