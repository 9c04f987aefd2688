"""The console: streams that may be closed, or cannot print every character, and what goes to the log instead."""

from __future__ import annotations

import io
import logging
import os
import sys

from tqdm import tqdm

from ..errors import UserError

__all__ = ["can_print", "flush", "log_to_console", "open_streams", "read_bytes", "write_bytes"]

PACKAGE = __name__.partition(".")[0]
CHATTY = ("PIL", "matplotlib")  # even of their own debugging, nobody reads all


def open_streams() -> None:
    """Makes standard output and error fit to be printed to, whatever is printed.

    What a console's encoding does not have is escaped; a stream that is closed, as under pythonw, swallows all.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _AboveBars(logging.Handler):
    """Prints on standard error, above the bar that shows progress, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def log_to_console(verbose: bool) -> None:
    """Prints what this package logs; what Python and libraries warn of only where `verbose` is set."""
    handler = _AboveBars()
    if not verbose:
        handler.addFilter(logging.Filter(PACKAGE))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, format="%(message)s", handlers=[handler])
    logging.captureWarnings(True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def can_print(text: str) -> bool:
    """Says whether standard output's encoding has all characters of a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def read_bytes() -> io.BytesIO:
    """Returns what standard input holds, under that name; raises UserError where it is closed."""
    if sys.stdin is None:
        raise UserError("Standard input is closed: give a file instead of -")
    content = io.BytesIO(sys.stdin.buffer.read())
    content.name = "standard input"  # type: ignore[attr-defined]  # what messages call it
    return content


def write_bytes(content: bytes) -> None:
    """Writes to standard output; raises UserError where it is closed."""
    if getattr(sys.stdout, "name", "") == os.devnull:
        raise UserError("Standard output is closed: give a file as -o")
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def flush() -> None:
    """Flushes standard output; what a reader that went away did not take is dropped."""
    try:
        sys.stdout.flush()
    except OSError:  # Python would try once more as it ends, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
