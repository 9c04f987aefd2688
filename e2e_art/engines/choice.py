"""Which engine this process computes with: MXNet, or PyTorch."""

from __future__ import annotations

import os
from importlib.util import find_spec

from ..errors import OptionError, UserError, unknown

__all__ = ["CHOICES", "EngineError", "choose", "chosen", "gpu_numbers"]

CHOICES = ("auto", "mxnet", "torch")

_choice = ""  # made once a process: blocks are of the engine that they were imported with


class EngineError(UserError):
    """An engine, or a device that was asked for, is not available; the message says what to do."""


def choose(engine: str = "auto") -> str:
    """Chooses the engine of this process, before anything that computes is imported; returns its name.

    engine: "mxnet", "torch", or "auto": that of the environment's E2E_ART_ENGINE, else MXNet where it is installed,
    else PyTorch.  Raises EngineError where it is not installed, or another one computes already.
    """
    global _choice
    if engine not in CHOICES:
        raise OptionError(unknown("engine", engine, CHOICES))
    if engine == "auto":
        engine = _choice or os.environ.get("E2E_ART_ENGINE") or ("mxnet" if find_spec("mxnet") else "torch")
    if _choice not in ("", engine):
        raise EngineError(f"This process computes with {_choice} already: choose {engine} in a new one")
    if not find_spec(engine):
        extra = {"mxnet": "train"}.get(engine, engine)
        raise EngineError(f"The engine {engine} is not installed: pip install 'e2e-art[{extra}]'")
    _choice = engine
    return engine


def chosen() -> str:
    """Returns the engine of this process, choosing it where nobody has."""
    return _choice or choose()


def gpu_numbers(text: str) -> list[int]:
    """Returns GPU numbers as the command line gives them, "0" or "0,1"; raises EngineError for anything else."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise EngineError(f"'{text}' is no list of GPU numbers: write 0 or 0,1") from None
