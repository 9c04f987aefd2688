"""The weights of a stage as a safetensors file, which needs no engine: arrays and their names, whoever wrote them.

A file is the length of its header, the header (JSON: type, shape and place of each array) and then the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..files import Count, Name, check, parse_json

__all__ = ["offsets", "read_weights", "write_weights"]

_MOST_HEADER = 2**18  # bytes: the largest generator that a model.json may describe takes an eighth of them

_Length = Annotated[int, Meta(ge=1, le=2**31)]


class _Array(Struct, forbid_unknown_fields=True):
    dtype: Literal["F32", "F16", "I8"]
    shape: Annotated[list[_Length], Meta(min_length=1, max_length=8)]
    data_offsets: tuple[Count, Count]


def write_weights(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns a safetensors file of arrays by name, in single or half precision or 8 bits."""
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def offsets(content: bytes) -> dict[str, int]:
    """Returns the byte at which each array of a safetensors file of ours begins, by name."""
    header = 8 + int.from_bytes(content[:8], "little")
    return {name: header + array["data_offsets"][0] for name, array in json.loads(content[8:header]).items()}


def read_weights(content: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of a safetensors file by name; raises ValueError for another file, and other than numbers.

    No array takes more memory than its numbers take in the file.
    """
    length = int.from_bytes(content[:8], "little")
    if length > min(_MOST_HEADER, len(content) - 8):
        raise ValueError("it is no safetensors file, or ends too early")
    check(parse_json(content[8 : 8 + length]), dict[Name, _Array])
    try:
        arrays = load(content)  # which makes sure that the arrays lie one after another, and fill the file
    except SafetensorError as error:
        raise ValueError(f"it is no whole safetensors file: {error}") from error
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("it holds infinite numbers or none (NaN)")
    return arrays
