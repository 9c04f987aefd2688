"""How much memory is left, so that what would not fit is told before the work instead of killed in it."""

from __future__ import annotations

import psutil

__all__ = ["free_memory"]


def free_memory() -> int:
    """Returns how many bytes can still be had without taking them from other programs, swap included."""
    return psutil.virtual_memory().available + psutil.swap_memory().free
