"""Completion in shells, by shtab: commands, flags, files and names of models."""

from __future__ import annotations

import argparse

import shtab

from ..models.folder import model_folders

__all__ = ["add_arguments", "add_values"]

FILES = {"FILE", "MASK", "OUT", "PAINTING", "PHOTO", "START"}  # what stands for them in help texts
FOLDERS = {"DIR"}
MODELS = {"--model", "--start-from"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that prints the completion for a shell."""
    shtab.add_argument_to(parser, ["--print-completion"], help="print completion for a shell")


def add_values(parser: argparse.ArgumentParser) -> None:
    """Says of each value that a command takes how to complete it."""
    models = _names()
    for action in parser._actions:
        if action.metavar == "MODEL" or MODELS & set(action.option_strings):
            action.complete = models  # type: ignore[attr-defined]
        elif action.metavar in FILES | FOLDERS:
            action.complete = shtab.FILE if action.metavar in FILES else shtab.DIRECTORY  # type: ignore[attr-defined]


def _names() -> dict:
    """Returns what completes a model: a shipped name, or a path."""
    names = " ".join(folder.name for folder in model_folders())
    function = "_e2e_art_models"
    preamble = {
        "bash": f'{function}() {{\n  compgen -W "{names}" -- "$1"\n  compgen -f -- "$1"\n}}\n',
        "zsh": f"{function}() {{\n  compadd {names}\n  _files\n}}\n",
    }
    return {"bash": function, "zsh": function, "tcsh": f"({names})", "preamble": preamble}
