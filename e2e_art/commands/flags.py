"""What commands share: flags made of options, numbers, jobs and their flags, sizes, files that must not exist yet."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from ..engines.choice import CHOICES
from ..errors import OptionError, listed, shortened
from ..losses.options import Number, flag_of

__all__ = [
    "GPU", "add_engine", "add_flags", "add_overwrite", "check_free", "check_job", "default_text", "find_double",
    "gather", "gpu", "number", "parse_edge", "parse_size", "whole",
]  # fmt: skip

Each = TypeVar("Each", bound=Hashable)
METAVARS = {int: "N", float: "X", str: "NAME"}
GPU = "number of the GPU to use, or mps for that of a Mac; the CPU by default"
MOST_DIGITS = 60  # of a size, and characters of one that messages show


def default_text(default, help: str) -> str:
    """Returns what a help text adds of a flag's default: nothing where it says nothing."""
    shown = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else default
    silent = isinstance(default, bool) or shown in (None, "", argparse.SUPPRESS) or "default" in help
    return "" if silent else f" (default: {shown:g})" if isinstance(shown, float) else f" (default: {shown})"


def add_overwrite(parser) -> None:
    """Adds the flag that allows `check_free` to find files."""
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")


def add_engine(parser, choices: Sequence[str] = CHOICES) -> None:
    """Adds the flag that `engines.choice.choose` takes."""
    parser.add_argument("--engine", choices=choices, default="auto", help="library that computes")


def number(numbers: Number, **words: Any) -> Callable[[str], Any]:
    """Returns what reads a flag's value: one of the numbers, or a word that stands for one, such as auto=None."""

    def read(text: str) -> Any:
        if text in words:
            return words[text]
        value = 0
        if text.isascii() and "_" not in text:  # int and float read "1_0" and the digits of every script, too
            with suppress(ValueError):
                value = numbers.kind(text)
                if value in numbers:
                    return value
        raise argparse.ArgumentTypeError(
            " or ".join([f"takes {numbers.range_text(value)}", *words]) + f", not '{text}'"
        )

    return read


def whole(least: int = 0, most: int | None = None, **words: Any) -> Callable[[str], Any]:
    """Returns what reads a whole number, or a word that stands for one."""
    return number(Number(int, least, most), **words)


gpu = whole(mps="mps")  # what reads a GPU's number, or that it is that of a Mac


def check_job(given: Sequence[str], job: str, jobs: Mapping[str, Sequence[str]]) -> None:
    """Raises OptionError for a flag that was given, but not for this job.

    given: flags as `Parser` names them.  job: what is done, such as "photos", or the flag that asks for it.  jobs: of
    each flag, what it is for; flags that go with every job need not stand there.
    """
    for flag in given:
        if job not in (mine := jobs.get(flag, (job,))):
            name = flag if flag.startswith("-") else f"a {flag}"
            goes, out = ("goes with" if mine[-1][0] == "-" else "is for", "with" if job[0] == "-" else "for")
            raise OptionError(f"{name} {goes} {listed(mine)}: leave it out {out} {job}")


def add_flags(group, options, names: Iterable[str] | None = None, given_only: bool = False) -> None:
    """Adds a flag for each field of an options object or class that has a help text; its values are the defaults.

    names: of the fields, all by default.  given_only: flags that are not given leave no value, so that other defaults
    can take their place.
    """
    for option in fields(options):
        if "help" not in option.metadata or (names is not None and option.name not in names):
            continue
        kind, help, choices = (option.metadata[key] for key in ("kind", "help", "choices"))
        default = getattr(options, option.name)
        settings: dict = {"dest": option.name, "help": help + default_text(default, help)}
        settings["default"] = argparse.SUPPRESS if given_only else default
        if isinstance(default, bool):
            settings["action"] = "store_false" if default else "store_true"
        else:
            several = isinstance(default, tuple)
            kind = kind or (str if default is None else type(default[0] if several else default))
            if isinstance(kind, Number):
                settings.update(type=number(kind), metavar=METAVARS[kind.kind])
            else:
                settings.update(type=kind, metavar=None if choices else METAVARS[kind], choices=choices)
            settings["nargs"] = "+" if several else None
        group.add_argument(flag_of(option), **settings)


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
    parts = re.split("[xX\u00d7]", text)
    numbers = list(filter(None, map(_pixels, parts)))
    if len(numbers) == len(parts) == 2:
        return numbers[1], numbers[0]
    if len(numbers) == len(parts) == 1 and shape is not None:
        height, width = (max(1, round(side * numbers[0] / max(shape[:2]))) for side in shape[:2])
        return height, width
    edge = "" if shape is None else "a long edge such as 640, or "
    raise OptionError(f"{flag} takes {edge}width x height such as 480x320, not '{shortened(text, MOST_DIGITS)}'")


def parse_edge(text: str, flag: str) -> int:
    """Returns the long edge of a photo as people write it, 0 for its own; raises OptionError for other texts."""
    edge = _pixels(text)
    if edge is None:
        shown = shortened(text, MOST_DIGITS)
        raise OptionError(f"{flag} takes the long edge of a photo in pixels, such as 800, not '{shown}'")
    return edge


def _pixels(text: str) -> int | None:
    """Returns a number of pixels, None for another text."""
    digits = text.strip().lstrip("0") or text.strip()[-1:]
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS else None


def check_free(paths: Iterable[Path], overwrite: bool, flag: str = "-o") -> None:
    """Raises OptionError where files exist, unless they may be replaced; flag: the one that names them."""
    existing = [] if overwrite else [path for path in paths if path.exists()]
    if existing:
        others = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise OptionError(f"{existing[0]}{others} exists: choose another {flag}, or add --overwrite")


def find_double(values: Iterable[Each]) -> Each | None:
    """Returns the first value that occurs more than once; None where there is none."""
    return next((value for value, count in Counter(values).items() if count > 1), None)
