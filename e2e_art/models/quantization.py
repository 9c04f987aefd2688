"""How weights are kept in files: large matrices in 8 bits, the others in half precision, short ones in single.

A model is as large as its weights.  Eight bits, with a scale for each row (an output channel), change a painting by
less than the eye sees (`docs/speed.md` has how much), and halve the download.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["SCALE", "dequantize", "halve", "is_kept", "quantize", "quantize_kernels"]

HALF_FROM = 32  # numbers from which on a weight is kept in half precision
EIGHT_FROM = 2**14  # ... and in 8 bits
LARGEST = 127  # of the whole numbers that 8 bits hold, taken alike on both sides of 0
SCALE = ".scale"  # ends the name of the scales that belong to a weight


def is_kept(weight: np.ndarray) -> bool:
    """Says whether a file can hold a weight: its numbers are finite, in half precision, too."""
    return bool(np.abs(weight).max(initial=0) <= np.finfo(np.float16).max)  # which NaN is not


def quantize(name: str, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the arrays that a file holds of a weight, by name: the weight, and in 8 bits its scales, one a row."""
    if weight.size < HALF_FROM:
        return {name: weight.astype(np.float32)}
    if weight.size < EIGHT_FROM:
        return {name: weight.astype(np.float16)}
    rows = weight.reshape(len(weight), -1)
    scales = np.maximum(np.abs(rows).max(axis=1), 1e-12) / LARGEST
    scales = scales.reshape(-1, *[1] * (weight.ndim - 1)).astype(np.float32)
    return {name: np.rint(weight / scales).astype(np.int8), name + SCALE: scales}


def halve(name: str, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the array that a file holds of a weight that is to be mixed with others, by name: in half precision."""
    return {name: weight.astype(np.float16)}


def quantize_kernels(name: str, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what `quantize` does, but of a table, whose columns differ in size, in half precision."""
    return halve(name, weight) if weight.ndim == 2 else quantize(name, weight)


def dequantize(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the weights that `quantize` quantized, in single precision; raises ValueError for scales of others."""
    weights = {}
    for name, array in arrays.items():
        if not name.endswith(SCALE):
            scales = arrays.get(name + SCALE, np.float32(1))
            if scales.ndim and scales.shape != (len(array), *[1] * (array.ndim - 1)):
                raise ValueError(f"the scales of {name} are not one for each of its rows")
            weights[name] = array.astype(np.float32) * scales
    return weights
