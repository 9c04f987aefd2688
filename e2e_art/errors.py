"""What a person can do something about."""

from __future__ import annotations

__all__ = ["ImageError", "OptionError", "UserError"]


class UserError(Exception):
    """A mishap that one sentence explains: what it is about (with the file's name) and what to do.

    Every error that e2e_art raises on purpose is one; the command line prints it without a traceback, exit code 2.
    """


class OptionError(UserError, ValueError):
    """Options that contradict each other or make no sense."""


class ImageError(UserError, ValueError):
    """A picture cannot be read, written or resized; the message names the file and the fix."""
