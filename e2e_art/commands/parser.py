"""The parser of arguments: argparse with help and errors for people, and PHOTOs that no flag takes."""

from __future__ import annotations

import argparse
import difflib
import math
import os
import re
import shutil
from collections.abc import Iterable
from typing import Any, NoReturn

from ..errors import OptionError, unknown
from .flags import default_text

__all__ = ["HelpFormatter", "Parser"]

WIDEST = 100  # columns of a help text, however wide the terminal is
# Words that begin with a dash and are no flags, but numbers, or what is meant to be one.
_NUMBER = re.compile(r"--?(\.?\d|inf|nan)", re.IGNORECASE)
_FILE = re.compile(r"-|.*([/\\*?]|\.[a-z]\w*$).*", re.IGNORECASE)
_VALUES: dict[Any, float] = {None: 1, argparse.OPTIONAL: 1, argparse.ONE_OR_MORE: math.inf}  # at most, by `nargs`
_ENDS = {"-h", "--version"}  # flags that need nothing else
# What argparse says, and what we say.
_SENTENCES = (
    (r"argument (-[^/:]+)[^:]*: (takes .*)", r"\1 \2"),
    (r"argument (-[^/:]+)[^:]*: expected (?:one|at least one) argument", r"\1 takes a value: write one after it"),
    (r"argument (-[^/:]+)[^:]*: ignored explicit argument (.*)", r"\1 takes no value: leave \2 out"),
    (r"argument (-[^/:]+)[^:]*: not allowed with argument (-[^/:]+).*", r"\1 does not go with \2: leave one out"),
)


class HelpFormatter(argparse.HelpFormatter):
    """Wraps texts, keeps the lines of examples, and shows the defaults that say something."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=28, width=min(shutil.get_terminal_size().columns, WIDEST) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str:
        return (action.help or "") + default_text(action.default, action.help or "")


class Parser(argparse.ArgumentParser):
    """Parses the arguments of a command; raises OptionError where argparse would print its usage and end.

    The namespace gets `given`: the flags that were given, each by the first of its names, and "PHOTO" or the like where
    there are words that belong to no flag.
    """

    def __init__(self, **settings):
        super().__init__(formatter_class=HelpFormatter, allow_abbrev=False, **settings)
        self._negative_number_matcher = _NUMBER

    def parse_known_args(self, args=None, namespace=None):
        """Parses words as argparse does, once they are in an order in which it cannot mistake them."""
        if self._subparsers:  # the first word is a command, and its own parser sorts what follows
            return super().parse_known_args(args, namespace)
        given, words, others = self._sort(args)
        greedy = [flag for flag in given if self._option_string_actions[flag].nargs == argparse.ONE_OR_MORE]
        positionals = [action for action in self._actions if not action.option_strings]
        for action in positionals:
            if action.nargs == argparse.ONE_OR_MORE and not others and greedy and not _ENDS.intersection(given):
                place = f"it stands before {greedy[-1]}, which takes every word after it"
                raise OptionError(f"{action.metavar} is missing: {place}")
        flags, rest = super().parse_known_args([*words, "--", *others] if others else words, namespace)
        if rest:
            raise OptionError(f"'{rest[-1]}' is one word too many: see {self.prog} --help")
        flags.given = [*given, *(str(action.metavar) for action in positionals[: len(others)])]
        return flags, []

    def error(self, message: str) -> NoReturn:
        """Raises OptionError with what argparse found, in one sentence."""
        for pattern, sentence in _SENTENCES:
            if found := re.fullmatch(pattern, message, re.DOTALL):
                raise OptionError(found.expand(sentence))
        if found := re.fullmatch(r"the following arguments are required: (.*)", message):
            raise OptionError(f"{re.sub('/--[a-z]+', '', found[1])} is missing: {self._example()}")
        if found := re.fullmatch(r"one of the arguments (.*) is required", message):
            raise OptionError(f"Say {' or '.join(found[1].split())}: {self._example()}")
        if found := re.fullmatch(r"unrecognized arguments: (\S+).*", message, re.DOTALL):
            raise OptionError(f"unknown flag '{found[1]}': flags stand after the command, see {self.prog} --help")
        raise OptionError(f"{message}: see {self.prog} --help")

    def _example(self) -> str:
        return (self.usage or f"{self.prog} --help").replace(" [options]", "")

    def _check_value(self, action: argparse.Action, value) -> None:
        if action.choices is not None and value not in action.choices:
            noun = action.option_strings[0] if action.option_strings else "command"
            raise OptionError(unknown(noun, value, map(str, action.choices)))

    def _sort(self, words: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
        """Returns the names of the flags given, the flags with their values, and the other words.

        argparse itself gives a flag of optional or several values each word up to the next flag.
        """
        given, flags, others = list[str](), list[str](), list[str]()
        action, room, words = None, 0.0, iter(words)
        for word in words:
            name = word.partition("=")[0]
            if name not in self._option_string_actions and not word.startswith("--"):
                name = word[:2]  # with its value attached: -oOUT
            if word == "--":
                others += words
            elif found := self._option_string_actions.get(name):
                action, room = found, 0 if word != name else _VALUES.get(found.nargs, 0)
                given.append(found.option_strings[0])
                flags.append(word)
            elif word.startswith("-") and word != "-" and not (room and _NUMBER.match(word)):
                raise OptionError(self._unknown_flag(name))
            elif room and action and _is_value(word, action):
                flags.append(word)
                room -= 1
            else:
                others.append(word)
                room = 0
        return given, flags, others

    def _unknown_flag(self, name: str) -> str:
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        near = [flag for flag in known if len(name) > 3 and flag.startswith(name)]
        near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        hint = f"did you mean {' or '.join(near)}?" if near else f"see {self.prog} --help"
        return f"unknown flag '{name}': {hint}"


def _is_value(word: str, action: argparse.Action) -> bool:
    """Says whether a word is a value of a flag; one that it cannot read, and that looks like a file, is none."""
    if action.nargs is None or not callable(action.type):
        return True
    try:
        action.type(word)
    except argparse.ArgumentTypeError:
        return not (_FILE.fullmatch(word) or os.path.exists(word))
    return True
