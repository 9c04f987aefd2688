"""What commands share: help that people read, flags made of options, sizes, files that must not exist yet."""

from __future__ import annotations

import argparse
import logging
import shutil
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from ..errors import OptionError

__all__ = ["HelpFormatter", "add_flags", "add_overwrite", "check_free", "find_double", "gather", "parse_size"]

log = logging.getLogger(__name__)

Each = TypeVar("Each", bound=Hashable)
WIDEST = 100  # columns of a help text, however wide the terminal is


class HelpFormatter(argparse.HelpFormatter):
    """Wraps texts, keeps the lines of examples, and shows the defaults that say something."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=28, width=min(shutil.get_terminal_size().columns, WIDEST) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str:
        return (action.help or "") + _default_text(action.default, action.help or "")


def _default_text(default, help: str) -> str:
    shown = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else default
    silent = isinstance(default, bool) or shown in (None, "", argparse.SUPPRESS) or "default" in help
    return "" if silent else f" (default: {shown:g})" if isinstance(shown, float) else f" (default: {shown})"


def add_overwrite(parser) -> None:
    """Adds the flag that allows `check_free` to find files."""
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")


def add_flags(group, options, names: Iterable[str] | None = None, given_only: bool = False) -> None:
    """Adds a flag for each field of an options object or class that has a help text; its values are the defaults.

    names: of the fields, all by default.  given_only: flags that are not given leave no value, so that other defaults
    can take their place.
    """
    for option in fields(options):
        if "help" not in option.metadata or (names is not None and option.name not in names):
            continue
        flag, kind, help, choices = (option.metadata[key] for key in ("flag", "kind", "help", "choices"))
        default = getattr(options, option.name)
        settings: dict = {"dest": option.name, "help": help + _default_text(default, help)}
        settings["default"] = argparse.SUPPRESS if given_only else default
        if isinstance(default, bool):
            settings["action"] = "store_false" if default else "store_true"
        else:
            several = isinstance(default, tuple)
            kind = kind or (str if default is None else type(default[0] if several else default))
            metavar = None if choices else {int: "N", float: "X", str: "NAME"}[kind]
            settings.update(type=kind, nargs="+" if several else None, choices=choices, metavar=metavar)
        group.add_argument(flag or "--" + option.name.replace("_", "-"), **settings)


def gather(flags: argparse.Namespace, options) -> dict:
    """Returns the values that the flags of an options object or class have."""
    names = [option.name for option in fields(options) if "help" in option.metadata and hasattr(flags, option.name)]
    values = {name: getattr(flags, name) for name in names}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def parse_size(text: str, flag: str, shape: tuple[int, ...] | None = None) -> tuple[int, int]:
    """Returns height and width of a size as people write it: "480x320" is 480 wide and 320 high.

    shape: (H, W, ...) of a picture whose form a long edge such as "640" keeps; without one, an edge alone is no size.
    Raises OptionError for other texts.
    """
    parts = text.lower().split("x")
    numbers = [int(part) for part in parts if part.isdecimal() and int(part)]
    if len(numbers) == len(parts) == 2:
        width, height = numbers
        if flag == "--size" and width != height:  # for those who know it the other way; --crop never was
            log.info("%s is %d wide and %d high (before version 0.2 it was the other way)", text, width, height)
        return height, width
    if len(numbers) == len(parts) == 1 and shape is not None:
        factor = numbers[0] / max(shape[:2])
        return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
    edge = "" if shape is None else "a long edge such as 640, or "
    raise OptionError(f"{flag} takes {edge}width x height such as 480x320, not '{text}'")


def check_free(paths: Iterable[Path], overwrite: bool, flag: str = "-o") -> None:
    """Raises OptionError where files exist, unless they may be replaced; flag: the one that names them."""
    existing = [] if overwrite else [path for path in paths if path.exists()]
    if existing:
        others = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise OptionError(f"{existing[0]}{others} exists: choose another {flag}, or add --overwrite")


def find_double(values: Iterable[Each]) -> Each | None:
    """Returns the first value that occurs more than once; None where there is none."""
    return next((value for value, count in Counter(values).items() if count > 1), None)
