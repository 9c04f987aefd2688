"""What this machine has: free memory, and what its processor computes fast."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

__all__ = ["bfloat16_is_fast", "free_memory"]

# oneDNN, which computes for MXNet and PyTorch, can be held to an older instruction set by a variable of the
# environment; under these names it has no bfloat16.
_CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_WITHOUT_BFLOAT16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_MIC", "AVX512_MIC_4OPS"}
_WITHOUT_BFLOAT16 |= {"AVX512_CORE", "AVX512_CORE_VNNI"}


def processor_flags() -> list[str]:
    """Returns what the processor can do, as Linux names it; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return next((line.split() for line in lines if line.startswith("flags")), [])


def bfloat16_is_fast() -> bool:
    """Says whether the processor computes in bfloat16 (avx512_bf16 or amx_bf16), and oneDNN is not capped below that.

    Elsewhere it is emulated, slowly, and some operators fail.
    """
    capped = any(os.environ.get(name, "").upper() in _WITHOUT_BFLOAT16 for name in _CAPS)
    return not capped and not {"avx512_bf16", "amx_bf16"}.isdisjoint(processor_flags())


def free_memory() -> int:
    """Returns how many bytes can still be had without taking them from other programs, swap included."""
    return psutil.virtual_memory().available + psutil.swap_memory().free
