"""What this machine has: free memory, and what its processor computes fast."""

from __future__ import annotations

from pathlib import Path

import psutil

__all__ = ["bfloat16_is_fast", "free_memory"]


def processor_flags() -> list[str]:
    """Returns what the processor can do, as Linux names it; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return next((line.split() for line in lines if line.startswith("flags")), [])


def bfloat16_is_fast() -> bool:
    """Says whether the processor computes in bfloat16 (avx512_bf16 or amx_bf16); elsewhere it is emulated, slowly."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(processor_flags())


def free_memory() -> int:
    """Returns how many bytes can still be had without taking them from other programs, swap included."""
    return psutil.virtual_memory().available + psutil.swap_memory().free
