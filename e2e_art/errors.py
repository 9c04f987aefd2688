"""What a person can do something about."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ImageError", "ModelError", "OptionError", "UserError", "first_line", "unknown"]


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


def first_line(error: BaseException) -> str:
    """Returns what the error of a library says, in one line, for a sentence that quotes it; past any C++ traceback."""
    first, *others = (str(error).strip() or repr(error)).splitlines()
    return others[-1].strip() if others and first.startswith("Traceback") else first.strip()


def unknown(noun: str, value: object, choices: Iterable[str]) -> str:
    """Returns the sentence for a wrong choice, as "unknown pooling 'median': choose average or max"."""
    *others, last = choices
    return f"unknown {noun} '{value}': choose {', '.join(others)} or {last}"
