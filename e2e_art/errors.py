"""What a person can do something about, and words for the sentences that say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["ImageError", "MemoryShortage", "ModelError", "OptionError", "UserError", "first_line", "listed", "naming"]
__all__ += ["plural", "reason_of", "shortened", "unknown"]

LONGEST = 200  # characters of what a sentence quotes


class UserError(Exception):
    """A mishap that one sentence explains: what it is about (with the file's name) and what to do.

    Every error that e2e_art raises on purpose is one; the command line prints it without a traceback, exit code 2.
    """


class OptionError(UserError, ValueError):
    """Options that contradict each other or make no sense."""


class ImageError(UserError, ValueError):
    """A picture cannot be read, written or resized; the message names the file and the fix."""


class ModelError(UserError):
    """A model is missing, damaged or from the future; the message names folder, reason and fix."""


class MemoryShortage(UserError):
    """Work on a picture does not fit into memory; the message names the size and the fix, `naming` adds the file."""


@contextmanager
def naming(file: object) -> Iterator[None]:
    """Puts the name of the file that is worked on before what is said of memory."""
    try:
        yield
    except MemoryShortage as error:
        raise MemoryShortage(f"{file}: {error}") from error


def first_line(error: BaseException) -> str:
    """Returns what the error of a library says, in one line, for a sentence that quotes it; past any C++ traceback."""
    first, *others = (str(error).strip() or repr(error)).splitlines()
    return others[-1].strip() if others and first.startswith("Traceback") else first.strip()


def reason_of(error: BaseException) -> str:
    """Returns why something failed, short enough for a sentence: what the system or a library says."""
    return getattr(error, "strerror", None) or shortened(first_line(error))


def unknown(noun: str, value: object, choices: Iterable[str]) -> str:
    """Returns the sentence for a wrong choice, as "unknown pooling 'median': choose average or max"."""
    return f"unknown {noun} '{value}': choose {listed(choices)}"


def listed(choices: Iterable[str]) -> str:
    """Returns one or more choices as "a, b or c"."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def plural(count: int, one: str, several: str = "") -> str:
    """Returns a count with its noun, as "1 stage" and "4 stages"; several: the plural that is not made by an s."""
    return f"{count} {one}" if count == 1 else f"{count} {several or one + 's'}"


def shortened(text: str, most: int = LONGEST) -> str:
    """Returns a text that is short enough for a sentence."""
    return text if len(text) <= most else f"{text[: most - 4]} ..."
