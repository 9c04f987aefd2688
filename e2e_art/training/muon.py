"""The optimizers, over arrays by name: Muon for the matrices of the convolutions, Adam for everything else.

A convolution's weights are a matrix from what one pixel sees to its output channels.  Adam scales each entry by itself,
and so moves mostly along a few directions of large gradients; Muon makes each update equally long in every direction,
so that the others are learned, too.

K. Jordan and others: Muon, an optimizer for hidden layers in neural networks, 2024.
D. Kingma, J. Ba: Adam, arXiv 1412.6980.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..engines.gluon import array, assign, device_of, nd, to_device, to_numpy

__all__ = ["OPTIMIZERS", "Adam", "Muon", "clip_gradients", "orthogonalize", "sum_gradients"]

Weights = Mapping[str, Sequence[Any]]  # by name: a weight on each device, or its gradient there

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # of Adam
MATRIX_RATE = 10.0  # a matrix moves by so many learning rates in each direction
MOMENTUM = 0.95
SMALLEST = 16  # rows and columns from which on weights are a matrix; below, Adam moves them
# The polynomial x -> a x + b x^3 + c x^5 whose fifth iterate brings singular values of 0.01 .. 1 to 0.7 .. 1.2.
ITERATIONS, A, B, C = 5, 3.4445, -4.7750, 2.0315


def orthogonalize(matrices: Sequence) -> list:
    """Returns about the orthogonal matrix nearest to each matrix (rows, columns): its singular values brought near 1.

    Newton-Schulz iterations, which need no more than products; all but two of those are of small squares, since what
    multiplies x from the left follows from x x^T alone.  Squares of a size go together.  A matrix of zeros stays one.
    """
    wide = [matrix.T if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    wide = [matrix / (nd.sqrt(_sum_of_squares([matrix])) + 1e-7) for matrix in wide]
    results: dict[int, Any] = {}
    for rows in {len(x) for x in wide}:
        same = [index for index, x in enumerate(wide) if len(x) == rows]
        square = nd.stack(*(nd.dot(wide[index], wide[index].T) for index in same))  # (M, rows, rows)
        one = nd.broadcast_axis(_identity(rows, device_of(square)), axis=0, size=len(same))
        whole = one
        for _ in range(ITERATIONS):
            factor = A * one + nd.batch_dot(square, B * one + C * square)
            square = nd.batch_dot(nd.batch_dot(factor, square), factor)
            whole = nd.batch_dot(factor, whole)
        for place, index in enumerate(same):
            results[index] = nd.dot(whole[place], wide[index])
    return [results[n].T if matrix.shape[0] > matrix.shape[1] else results[n] for n, matrix in enumerate(matrices)]


@lru_cache
def _identity(rows: int, device):
    """Returns the identity matrix of a size, (1, rows, rows), on a device."""
    return array(np.eye(rows)[np.newaxis], device)


def _sum_of_squares(arrays: Sequence):
    """Returns the sum of the squares of some arrays' numbers, (1,): as products, much faster than reductions."""
    rows = (nd.reshape(each, shape=(1, -1)) for each in arrays)
    return nd.reshape(nd.add_n(*(nd.dot(row, row.T) for row in rows)), shape=(1,))


def sum_gradients(gradients: Weights) -> dict[str, Any]:
    """Returns the sum of each gradient over the devices, on the first one; with one device, the gradient itself."""
    return {
        name: sum((to_device(part, device_of(own)) for part in rest), own) for name, (own, *rest) in gradients.items()
    }


def clip_gradients(gradients: Mapping[str, Any], limit: float, count: int = 1):
    """Divides gradients by a count and scales them, in place, down to a norm; returns their norm before that, (1,)."""
    norm = nd.sqrt(_sum_of_squares(list(gradients.values()))) / count
    share = limit / nd.maximum(norm, limit) / count
    for gradient in gradients.values():
        gradient *= share
    return norm


def _move(arrays: Sequence, change) -> None:
    """Subtracts a change, which is on the first device, from a weight on each device."""
    own, *others = arrays
    own -= change
    for other in others:
        assign(other, own)


class Adam:
    """Adam.

    weights: by name, the array on each device, which `step` changes in place.  beta_1: the memory of its mean, 0..1.
    """

    def __init__(self, weights: Weights, beta_1: float = BETA_1):
        self._weights, self._beta_1, self._steps = weights, beta_1, 0
        self._moments = {
            f"{moment}/{name}": nd.zeros_like(own)
            for name, (own, *_) in weights.items()
            for moment in ("mean", "variance")
        }

    @property
    def arrays(self) -> list:
        """What `step` changes beside the weights."""
        return list(self._moments.values())

    def rates(self, learning_rate: float) -> np.ndarray:
        """Counts a step; returns the rates that it takes, (2,): of matrices, and Adam's with its correction."""
        self._steps += 1
        correction = math.sqrt(1 - BETA_2**self._steps) / (1 - self._beta_1**self._steps)
        return np.array([learning_rate, learning_rate * correction], np.float32)

    def step(self, gradients: Mapping[str, Any], rates) -> None:
        """Moves the weights against their gradients; these and the rates, (2,), are arrays on the first device.

        Weights without a gradient stay where they are.
        """
        rate = rates[1:]
        for name, arrays in self._weights.items():
            if name not in gradients:
                continue
            gradient, mean, variance = gradients[name], self._moments[f"mean/{name}"], self._moments[f"variance/{name}"]
            mean[:] = self._beta_1 * mean + (1 - self._beta_1) * gradient
            variance[:] = BETA_2 * variance + (1 - BETA_2) * gradient * gradient
            _move(arrays, rate * mean / (nd.sqrt(variance) + EPSILON))

    def state(self) -> dict[str, np.ndarray]:
        """Returns what it keeps from step to step, by name: "mean/NAME", "variance/NAME", "steps"."""
        return {"steps": np.array(self._steps), **{name: to_numpy(array) for name, array in self._moments.items()}}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes on from what `state` returned; raises ValueError where that belongs to other weights."""
        shapes = {"steps": (), **{name: tuple(array.shape) for name, array in self._moments.items()}}
        if {name: array.shape for name, array in state.items()} != shapes or state["steps"] < 0:
            raise ValueError("its optimizer is that of other weights")
        self._steps = int(state["steps"])
        for name, own in self._moments.items():
            assign(own, state[name])


class Muon(Adam):
    """Muon: Adam, but convolutions of 16 channels or more move by their orthogonalized momentum."""

    def __init__(self, weights: Weights):
        self._matrices = {name: arrays for name, arrays in weights.items() if _is_matrix(arrays[0].shape)}
        super().__init__({name: arrays for name, arrays in weights.items() if name not in self._matrices})
        self._moments.update({f"momentum/{name}": nd.zeros_like(own) for name, (own, *_) in self._matrices.items()})

    def step(self, gradients: Mapping[str, Any], rates) -> None:
        super().step(gradients, rates)
        matrices, ahead = {name: arrays for name, arrays in self._matrices.items() if name in gradients}, []
        for name in matrices:
            gradient, momentum = (1 - MOMENTUM) * gradients[name], self._moments[f"momentum/{name}"]
            momentum[:] = MOMENTUM * momentum + gradient
            ahead.append(nd.reshape(MOMENTUM * momentum + gradient, shape=(len(momentum), -1)))  # as Nesterov has it
        rate = MATRIX_RATE * rates[:1]
        for arrays, direction in zip(matrices.values(), orthogonalize(ahead)):
            scale = max(1.0, direction.shape[0] / direction.shape[1]) ** 0.5
            _move(arrays, scale * rate * nd.reshape(direction, shape=arrays[0].shape))


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and min(shape[0], math.prod(shape[1:])) >= SMALLEST


OPTIMIZERS: dict[str, type[Adam]] = {"muon": Muon, "adam": Adam}
