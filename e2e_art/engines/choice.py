"""Which engine this process computes with: MXNet, or PyTorch."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from ..errors import OptionError, UserError, unknown

__all__ = ["CHOICES", "EngineError", "any_installed", "choose", "chosen", "gpus_among", "not_installed"]

CHOICES = ("auto", "mxnet", "torch")
VARIABLE = "E2E_ART_ENGINE"  # of the environment: what auto takes
ADA = 8  # the newest generation of GPUs that mxnet-cu112 has code for, Ada and Ampere: their major compute capability

_choice = ""  # made once a process: blocks are of the engine that they were imported with


class EngineError(UserError):
    """An engine, or a device that was asked for, is not available; the message says what to do."""


def choose(engine: str = "auto", gpus: str | int | None = None) -> str:
    """Chooses the engine of this process, before anything that computes is imported; returns its name.

    engine: "mxnet", "torch", or "auto": that of the environment's E2E_ART_ENGINE, else MXNet where it is installed and
    has code for the GPUs asked for, else PyTorch.  gpus: numbers, 0 or "0,1", or "mps"; None means the CPU.

    Raises OptionError for an engine that there is not, EngineError where it is not installed, or where another one
    computes in this process already.
    """
    global _choice
    if engine not in CHOICES:
        raise OptionError(unknown("engine", engine, CHOICES))
    if engine == "auto":
        engine = _choice or os.environ.get(VARIABLE) or "auto"
        if engine not in CHOICES:
            raise OptionError(unknown(VARIABLE, engine, CHOICES))
    if engine == "auto":
        engine = _best(gpus)
    if _choice not in ("", engine):
        raise EngineError(f"This process computes with {_choice} already: choose {engine} in a new one")
    if not _installed(engine):
        raise not_installed(engine)
    _choice = engine
    return engine


def chosen() -> str:
    """Returns the engine of this process, choosing it where nobody has."""
    return _choice or choose()


def any_installed() -> bool:
    """Returns whether there is an engine at all."""
    return _installed("mxnet") or _installed("torch")


def not_installed(engine: str) -> EngineError:
    """Returns the error for an engine that is not installed."""
    if not any_installed():
        why = f"Neither PyTorch nor MXNet is installed in {sys.prefix}"
        return EngineError(f"{why}: pip install 'e2e-art[torch]', or 'e2e-art[mxnet]' (Python 3.9 to 3.12)")
    if engine == "torch":
        return EngineError(f"PyTorch is not installed in {sys.prefix}: pip install 'e2e-art[torch]'")
    fix = "pip install 'e2e-art[mxnet]' (GPUs: 'e2e-art[mxnet-gpu]'), which needs Python 3.9 to 3.12"
    return EngineError(f"MXNet is not installed in {sys.prefix}: {fix}")


def gpus_among(found: int, gpus: str | int, engine: str, fix: str) -> list[int]:
    """Returns GPU numbers that the command line gives, 0 or "0,1"; raises EngineError for one that is not found.

    found: how many GPUs the engine finds.  fix: what else to do than to leave the flag out.
    """
    numbers = _numbers(str(gpus))
    if wrong := [number for number in numbers if not 0 <= number < found]:
        says = f"GPU {wrong[0]} was asked for, but {engine} finds {found or 'none'}"
        raise EngineError(f"{says}: leave the flag out to use the CPU{fix}")
    return numbers


def _numbers(gpus: str) -> list[int]:
    try:
        return [int(number) for number in gpus.split(",")]
    except ValueError:
        raise EngineError(f"'{gpus}' is no list of GPU numbers: write 0 or 0,1") from None


def _installed(engine: str) -> bool:
    return find_spec(engine) is not None


def _best(gpus: str | int | None) -> str:
    """Returns the engine of "auto": MXNet, unless PyTorch alone is here or alone has code for the GPUs."""
    if not (_installed("mxnet") and _installed("torch")):
        return "mxnet" if _installed("mxnet") else "torch"
    return "mxnet" if gpus in (None, "") or _mxnet_has_code_for(str(gpus)) else "torch"


def _mxnet_has_code_for(gpus: str) -> bool:
    try:
        version("mxnet-cu112")
    except PackageNotFoundError:
        return False
    return gpus != "mps" and all(_generation(number) <= ADA for number in _numbers(gpus))


def _generation(number: int) -> int:
    """Returns the major compute capability of a GPU, as its driver tells it; 0 where there is none."""
    generation, device = ctypes.c_int(0), ctypes.c_int(0)
    with suppress(OSError):
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        driver.cuInit(0)
        driver.cuDeviceGet(ctypes.byref(device), number)
        driver.cuDeviceGetAttribute(ctypes.byref(generation), 75, device)  # ..._COMPUTE_CAPABILITY_MAJOR
    return generation.value
