"""What a person can do something about."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ImageError", "OptionError", "UserError", "unknown"]


class UserError(Exception):
    """A mishap that one sentence explains: what it is about (with the file's name) and what to do.

    Every error that e2e_art raises on purpose is one; the command line prints it without a traceback, exit code 2.
    """


class OptionError(UserError, ValueError):
    """Options that contradict each other or make no sense."""


class ImageError(UserError, ValueError):
    """A picture cannot be read, written or resized; the message names the file and the fix."""


def unknown(noun: str, value: object, choices: Iterable[str]) -> str:
    """Returns the sentence for a wrong choice; choices: two or more.

    >>> unknown("pooling", "median", ("average", "max"))
    "unknown pooling 'median': choose average or max"
    """
    *others, last = choices
    return f"unknown {noun} '{value}': choose {', '.join(others)} or {last}"
