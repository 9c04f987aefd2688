"""What this machine has: free memory, cores, and what its processor computes fast."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["bfloat16_is_fast", "cores", "free_memory", "limit_threads"]

log = logging.getLogger(__name__)

CGROUPS = Path("/sys/fs/cgroup")  # where Linux shows the limits of containers, and of services
MEMBERSHIP = Path("/proc/self/cgroup")
# Of both versions: the files of the limit and of what is used, and in memory.stat the part of that which are files read
# before, and which makes room by itself.
_CGROUP_FILES = {
    "memory.max": ("memory.current", ("active_file", "inactive_file")),
    "memory.limit_in_bytes": ("memory.usage_in_bytes", ("total_active_file", "total_inactive_file")),
}

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
    """Returns how many bytes can still be had without taking them from other programs, and within a container's limit.

    Swap does not count: a picture that is worked on there takes forever.
    """
    return max(0, min([psutil.virtual_memory().available, *_cgroup_room()]))


def _cgroup_room() -> Iterator[int]:
    """Yields how many bytes each control group that this process belongs to can still take."""
    folders = set()
    with suppress(OSError):
        for line in MEMBERSHIP.read_text().splitlines():  # as 0::/user.slice, or 4:memory:/docker/1f2e
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                top = CGROUPS / controllers
                group = top / path.lstrip("/")
                folders |= {top, group, *(parent for parent in group.parents if top in parent.parents)}
    for folder in folders:
        for limit, (usage, kinds) in _CGROUP_FILES.items():
            with suppress(OSError, ValueError):  # no such file; or "max", which is no limit
                most, used = (int((folder / name).read_text()) for name in (limit, usage))
                entries = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                yield most - used + sum(int(entries.get(kind, 0)) for kind in kinds)


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(threads: int, flag: str) -> int:
    """Returns how many threads to use of those that a flag asks for: more than cores take memory, and time."""
    if threads > cores():
        log.info("%s %d is more than there are cores: %d are used", flag, threads, cores())
    return min(threads, cores())
