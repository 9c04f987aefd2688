"""The only module that imports mxnet: others write ``from ..engines.mxnet import mx``.

MXNet 1.9.1 was published in 2022 and expects names that numpy has since dropped, and on GPUs libraries that today come
as wheels; both are put in place here, before ``import mxnet``.
"""

from __future__ import annotations

import ctypes
import logging
import math
import os
import platform
import site
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..machine import cores, processor_flags

__all__ = ["EngineError", "contexts", "mx", "to_bfloat16"]

log = logging.getLogger(__name__)

# What MXNet 1.9.1 still asks of numpy, and what it means today.
_NUMPY_NAMES: dict[str, object] = {kind.__name__: kind for kind in (bool, int, float, complex, object, str)}
_NUMPY_NAMES |= dict(PZERO=0.0, NZERO=-0.0, PINF=math.inf, NINF=-math.inf, NaN=math.nan, NAN=math.nan)
_NUMPY_NAMES |= dict.fromkeys(("Inf", "Infinity", "infty"), math.inf)
# Functions that numpy dropped altogether: MXNet lists them but style transfer never calls them.
_NUMPY_NAMES |= dict.fromkeys(("fv", "ipmt", "irr", "mirr", "nper", "npv", "pmt", "ppmt", "pv", "rate", "alltrue"))

# Loaded in this order, each one finds those it depends on already in the process.
_CUDA = ("cudart", "nvrtc", "cublasLt", "cublas", "cufft", "curand", "cusolver", "nccl", "nvToolsExt", "cudnn")


class EngineError(UserError):
    """MXNet, or a device that was asked for, is not available; the message says what to do."""


def _preload_cuda_libraries() -> None:
    """Loads the nvidia-*-cu11 wheels, where they are installed, so that mxnet-cu112 finds its libraries."""
    folders = [Path(folder) for folder in site.getsitepackages() + [site.getusersitepackages()]]
    for name in _CUDA:
        for folder in folders:
            for library in sorted(folder.glob(f"nvidia/*/lib/lib{name}.so.*")):
                try:
                    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
                except OSError as error:
                    log.debug("%s could not be loaded: %s", library, error)  # MXNet will say which it misses


def _use_matrix_units() -> None:
    """Opens the matrix units (AMX) of Intel's processors: bfloat16 convolutions are ten times as fast there.

    Linux grants them to a process that asks, and MXNet's oneDNN takes them where the environment says so; without the
    grant it would crash.
    """
    if platform.machine() == "x86_64" and "amx_bf16" in processor_flags():
        denied = ctypes.CDLL(None).syscall(158, 0x1023, 18)  # arch_prctl: request the state of the matrix units
        if not denied:
            os.environ.setdefault("DNNL_MAX_CPU_ISA", "AVX512_CORE_AMX")


def _import_mxnet():
    os.environ.setdefault("OMP_NUM_THREADS", str(cores()))  # by default MXNet takes half, as if of hyperthreads
    _use_matrix_units()
    _preload_cuda_libraries()
    for name, value in _NUMPY_NAMES.items():
        vars(np).setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mxnet
    except ModuleNotFoundError as error:
        fix = f"MXNet is not installed in {sys.prefix}: pip install 'e2e-art[train]' (GPUs: 'e2e-art[gpu]')"
        if error.name == "distutils":
            fix = "MXNet needs distutils, which setuptools brings: pip install setuptools"
        raise EngineError(fix) from error
    except OSError as error:
        raise EngineError(f"MXNet could not load one of its libraries: {error}") from error
    return mxnet


mx = _import_mxnet()


def contexts(gpus: str | None = None, cpus: int = 1) -> list:
    """Returns the MXNet contexts to work on; raises EngineError where a GPU is asked for that MXNet cannot use.

    gpus: GPU numbers as the command line gives them, "0" or "0,1"; None means the CPU.
    cpus: how many CPU contexts to return where no GPU is asked for; they share the cores.
    """
    if not gpus:
        return [mx.cpu(i) for i in range(cpus)]
    try:
        numbers = [int(number) for number in gpus.split(",")]
    except ValueError:
        raise EngineError(f"'{gpus}' is no list of GPU numbers: write 0 or 0,1") from None
    found = 0
    with suppress(mx.MXNetError):
        found = mx.context.num_gpus()
    if wrong := [number for number in numbers if not 0 <= number < found]:
        raise EngineError(
            f"GPU {wrong[0]} was asked for, but MXNet finds {found or 'none'}: leave the flag out to use the CPU, "
            "or install 'e2e-art[gpu]' (mxnet-cu112, for Pascal to Ada cards)"
        )
    return [mx.gpu(number) for number in numbers]


def to_bfloat16(F, x):
    """Casts an array or symbol to bfloat16; its gradient comes back in float32."""
    return F.amp_cast(x, dtype=np.dtype([("bfloat16", np.uint16)]))
