"""MXNet's .params files, read without MXNet, whoever wrote them: stages of format 1, and loss networks.

A file is a list of arrays, each with its shape and type before its numbers, and then a list of their names.
"""

from __future__ import annotations

import math
import struct

import numpy as np

__all__ = ["read_params"]

_FILE, _ARRAY = 0x112, 0xF993FAC9  # what a file and an array begin with
_DTYPES = {0: np.float32, 1: np.float64, 2: np.float16, 3: np.uint8, 4: np.int32, 5: np.int8, 6: np.int64}
_MOST_AXES = 8


def read_params(content: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of a .params file by name; raises ValueError where it is none, or holds other than numbers.

    No array takes more memory than its numbers take in the file.
    """
    reader = _Reader(content)
    begin, _, count = reader.numbers("<QQQ")
    if begin != _FILE:
        raise ValueError("it is no .params file")
    arrays = [_array(reader) for _ in range(count)]
    names = [bytes(reader.take(*reader.numbers("<Q"))).decode() for _ in range(*reader.numbers("<Q"))]
    if len(set(names)) != count or len(names) != count or reader.left:
        raise ValueError("its arrays and their names do not match")
    return dict(zip(names, arrays))


def _array(reader: _Reader) -> np.ndarray:
    begin, layout, axes = reader.numbers("<Iii")
    if begin != _ARRAY or layout or not 0 < axes <= _MOST_AXES:
        raise ValueError("it holds an array of another format")
    shape = reader.numbers(f"<{axes}q")
    *_, number = reader.numbers("<iii")  # after the device that it lay on
    if number not in _DTYPES or min(shape) < 1:
        raise ValueError(f"it holds an array of {shape}, type {number}")
    dtype = np.dtype(_DTYPES[number])
    array = np.frombuffer(reader.take(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("it holds infinite numbers or none (NaN)")
    return array


class _Reader:
    """Bytes, taken from first to last; raises ValueError where there are too few."""

    def __init__(self, content: bytes):
        self._content, self._place = memoryview(content), 0

    @property
    def left(self) -> int:
        return len(self._content) - self._place

    def take(self, count: int) -> memoryview:
        if count > self.left:
            raise ValueError("it ends too early")
        self._place += count
        return self._content[self._place - count : self._place]

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))
