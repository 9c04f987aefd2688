"""Flags made of options: each field that has a help text becomes one, with its default, type and choices."""

from __future__ import annotations

import argparse
from dataclasses import fields

__all__ = ["add_flags", "edges", "gather"]


def add_flags(group, options, given_only: bool = False) -> None:
    """Adds a flag for each field of an options object or class that has a help text; its values are the defaults.

    given_only: flags that were left out leave no value, so that other defaults can take their place.
    """
    for option in fields(options):
        if "help" in option.metadata:
            action = _add_flag(group, option, getattr(options, option.name))
            if given_only:
                action.default = argparse.SUPPRESS


def _add_flag(group, option, default) -> argparse.Action:
    flag = option.metadata["flag"] or "--" + option.name.replace("_", "-")
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    silent = isinstance(default, bool) or shown in ("", None)
    help = option.metadata["help"] + ("" if silent else f" (default: {shown})")
    settings = {"dest": option.name, "default": default, "help": help}
    if isinstance(default, bool):
        return group.add_argument(flag, action="store_false" if default else "store_true", **settings)
    several = isinstance(default, tuple)
    kind = option.metadata["kind"] or type(default[0] if several else default)
    settings["type"] = str if kind is type(None) else kind
    if several:
        settings["nargs"] = "+"
    if option.metadata["choices"]:
        settings["choices"] = option.metadata["choices"]
    else:
        settings["metavar"] = {int: "N", float: "X", str: "NAME"}[settings["type"]]
    return group.add_argument(flag, **settings)


def gather(flags: argparse.Namespace, options) -> dict:
    """Returns the values that the flags of an options object or class have."""
    names = [option.name for option in fields(options) if "help" in option.metadata and hasattr(flags, option.name)]
    values = {name: getattr(flags, name) for name in names}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def edges(text: str) -> tuple[int, ...]:
    """Returns the pixels of a size as people write it, "640" or "480x640"; none where it is no size."""
    parts = text.lower().split("x")
    return tuple(map(int, parts)) if len(parts) <= 2 and all(part.isdecimal() for part in parts) else ()
