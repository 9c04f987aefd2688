"""The command line: flags in, words for people out.  The only rooms that parse arguments or print are cli*.py."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from . import __version__, cli_infer, cli_models, cli_train
from .errors import UserError

__all__ = ["main"]

INTERRUPTED = 130  # what shells expect after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, 2 with one sentence on stderr for a mishap, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="e2e-art", description="Paint photos in the manner of a painting.")
    parser.add_argument("--version", action="version", version=f"e2e-art {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for room in (cli_infer, cli_train, cli_models):
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
        return 2
    except BrokenPipeError:
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
