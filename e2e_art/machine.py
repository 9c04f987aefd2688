"""What this machine has: memory, cores, what its processor computes fast; and how much of it work on pictures takes."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from .errors import MemoryShortage

__all__ = ["Need", "bfloat16_is_fast", "check_memory", "cores", "free_memory", "limit_threads"]

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


# How much memory work on a picture takes, as measured, and whether so much is free: asked before the work begins.

SLACK = 0.95  # of the free memory is what the size that messages name takes: so it still fits a moment later
MOST_SIDE = 10**6  # pixels; beyond it no memory would help


@dataclass(frozen=True)
class Need:
    """Bytes of memory that work on a picture takes: for each pixel, in any case, and for each pixel of a larger one."""

    pixel: float
    always: float = 0.1e9
    large: float = 0.0

    def enlarging(self, factor: int) -> Need:
        """Returns what it takes to make a picture with sides so many times as long."""
        return Need(self.pixel + self.large * factor**2, self.always)

    def at(self, height: int, width: int) -> float:
        """Returns what a picture of that size takes."""
        return self.always + self.pixel * height * width

    def fitting(self, height: int, width: int, free: float) -> float:
        """Returns by which factor both sides have to change for that many bytes; 0 where no size fits."""
        return math.sqrt(max(0.0, free - self.always) / (self.pixel * height * width))


# What `python benchmarks/memory.py` and `benchmarks/sizes.py` measure (docs/speed.md).
# By kind of model, or by that of its networks where these take more than others in such models do.
PAINTING = {  # whole, by engine, too; of a network of others only input and output are known
    "chain": {"onnx": Need(400), "mxnet": Need(570), "torch": Need(640)},
    "texture": {"onnx": Need(700), "mxnet": Need(710), "torch": Need(1220)},
    "doodle": {"onnx": Need(920), "mxnet": Need(690), "torch": Need(750)},
    "upscaler": {"onnx": Need(430, large=50), "mxnet": Need(310, large=55), "torch": Need(350, large=35)},
    "johnson-upscaler": {
        "onnx": Need(1000, large=1180),
        "mxnet": Need(1000, large=880),
        "torch": Need(1000, large=990),
    },
    "onnx": {"onnx": Need(64)},
}
PAINTING["multistyle"] = PAINTING["anystyle"] = PAINTING["chain"]
TILED = Need(9)  # beside the tiles: the photo, and the last stage's picture in half precision
PICTURE_BYTES, DENOISE_BYTES, PATCH_BYTES = 3, 90, 2300  # a pixel, in addition
LOSSES, STYLE = Need(1110, 0.6e9), Need(1370, 0.6e9)  # of a picture, of a painting
TRAINING = {  # a crop and stage
    "chain": Need(4000, 0.9e9),
    "texture": Need(8700, 0.6e9),
    "doodle": Need(8700, 0.6e9),
    "upscaler": Need(2000, 0.6e9),
    "johnson-upscaler": Need(9400, 0.6e9),
    "autoencoder": Need(4000, 0.6e9),
}
TRAINING["multistyle"] = TRAINING["anystyle"] = TRAINING["chain"]
OPTIMIZE = {"lbfgs": Need(6300, 0.6e9), "adam": Need(4600, 0.6e9), "sgd": Need(4600, 0.6e9)}  # by solver


def check_memory(
    need: Need,
    height: int,
    width: int,
    fix: str = "--size {width}x{height}",
    otherwise: str = "close other programs",
    *,
    multiple: int = 1,
    held: float = 0,
    becomes: str = "",
) -> None:
    """Raises MemoryShortage where work on a picture of that size would not fit into the memory that is free.

    fix: how people ask for another size, with {width}, {height}, {long} or {short} edge in place of what would fit, in
    multiples of `multiple`.  otherwise: what they can do where no size fits.  held: bytes that work before this one
    still holds, and this one takes over.  becomes: what the pixels are made into, for messages.
    """
    needed, free = need.at(height, width), free_memory() + held
    if needed <= free:
        return
    factor = need.fitting(height, width, SLACK * free)
    fits = [math.floor(side * factor / multiple) * multiple for side in (height, width)]
    sides = dict(height=fits[0], width=fits[1], long=max(fits), short=min(fits))
    size = "x".join(f"{side}" if side < 1e9 else f"{side:.0e}" for side in (width, height))
    takes = f"about {needed / 1e9:,.1f} GB of" if needed < 1e15 else "more"
    smaller = otherwise if max(height, width) < MOST_SIDE else "choose smaller sides"
    end = f"{fix.format(**sides)} would fit" if min(fits) else smaller
    raise MemoryShortage(
        f"{size} pixels{becomes} take {takes} memory{'' if needed < 1e15 else ' than any computer has'}, and "
        f"{free / 1e9:.1f} GB are free: {end}"
    )
