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
from typing import Any

import numpy as np

from ..engines.mxnet import mx

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
    wide = [matrix / (matrix.norm() + 1e-7) for matrix in wide]
    results: dict[int, Any] = {}
    for rows in {len(x) for x in wide}:
        same = [index for index, x in enumerate(wide) if len(x) == rows]
        square = mx.nd.stack(*(mx.nd.dot(wide[index], wide[index].T) for index in same))  # (M, rows, rows)
        one = mx.nd.broadcast_axis(mx.nd.eye(rows, ctx=square.context).expand_dims(0), axis=0, size=len(same))
        whole = one
        for _ in range(ITERATIONS):
            factor = A * one + mx.nd.batch_dot(square, B * one + C * square)
            square = mx.nd.batch_dot(mx.nd.batch_dot(factor, square), factor)
            whole = mx.nd.batch_dot(factor, whole)
        for place, index in enumerate(same):
            results[index] = mx.nd.dot(whole[place], wide[index])
    return [results[n].T if matrix.shape[0] > matrix.shape[1] else results[n] for n, matrix in enumerate(matrices)]


def sum_gradients(gradients: Weights) -> dict[str, Any]:
    """Returns the sum of each gradient over the devices, on the first one; with one device, the gradient itself."""
    return {
        name: sum((part.as_in_context(own.context) for part in rest), own) for name, (own, *rest) in gradients.items()
    }


def clip_gradients(gradients: Mapping[str, Any], limit: float, count: int = 1) -> float:
    """Divides gradients by a count and scales them, in place, down to a norm; returns their norm before that."""
    squares = [mx.nd.dot(flat, flat) for flat in (gradient.reshape((-1,)) for gradient in gradients.values())]
    norm = float(mx.nd.add_n(*squares).sqrt().asscalar()) / count
    for gradient in gradients.values():
        gradient *= min(1.0, limit / (norm + 1e-8)) / count
    return norm


def _move(arrays: Sequence, change) -> None:
    """Subtracts a change, which is on the first device, from a weight on each device."""
    own, *others = arrays
    own -= change
    for other in others:
        own.copyto(other)


class Adam:
    """Adam; weights: by name, the array on each device, which `step` changes in place."""

    def __init__(self, weights: Weights):
        self._weights, self._steps = weights, 0
        self._moments = {
            f"{moment}/{name}": mx.nd.zeros_like(own)
            for name, (own, *_) in weights.items()
            for moment in ("mean", "variance")
        }

    def step(self, gradients: Mapping[str, Any], learning_rate: float) -> None:
        """Moves the weights against their gradients, which are on the first device."""
        self._steps += 1
        rate = learning_rate * math.sqrt(1 - BETA_2**self._steps) / (1 - BETA_1**self._steps)
        for name, arrays in self._weights.items():
            gradient, mean, variance = gradients[name], self._moments[f"mean/{name}"], self._moments[f"variance/{name}"]
            mean[:] = BETA_1 * mean + (1 - BETA_1) * gradient
            variance[:] = BETA_2 * variance + (1 - BETA_2) * gradient * gradient
            _move(arrays, rate * mean / (variance.sqrt() + EPSILON))

    def state(self) -> dict[str, np.ndarray]:
        """Returns what it keeps from step to step, by name: "mean/NAME", "variance/NAME", "steps"."""
        return {"steps": np.array(self._steps), **{name: array.asnumpy() for name, array in self._moments.items()}}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes on from what `state` returned; raises ValueError where that belongs to other weights."""
        shapes = {"steps": (), **{name: array.shape for name, array in self._moments.items()}}
        if {name: array.shape for name, array in state.items()} != shapes or state["steps"] < 0:
            raise ValueError("its optimizer is that of other weights")
        self._steps = int(state["steps"])
        for name, array in self._moments.items():
            array[:] = state[name]


class Muon(Adam):
    """Muon: Adam, but convolutions of 16 channels or more move by their orthogonalized momentum."""

    def __init__(self, weights: Weights):
        self._matrices = {name: arrays for name, arrays in weights.items() if _is_matrix(arrays[0].shape)}
        super().__init__({name: arrays for name, arrays in weights.items() if name not in self._matrices})
        self._moments.update({f"momentum/{name}": mx.nd.zeros_like(own) for name, (own, *_) in self._matrices.items()})

    def step(self, gradients: Mapping[str, Any], learning_rate: float) -> None:
        super().step(gradients, learning_rate)
        ahead = []
        for name in self._matrices:
            gradient, momentum = (1 - MOMENTUM) * gradients[name], self._moments[f"momentum/{name}"]
            momentum[:] = MOMENTUM * momentum + gradient
            ahead.append((MOMENTUM * momentum + gradient).reshape((len(momentum), -1)))  # as Nesterov has it
        for arrays, direction in zip(self._matrices.values(), orthogonalize(ahead)):
            scale = max(1.0, direction.shape[0] / direction.shape[1]) ** 0.5
            _move(arrays, learning_rate * MATRIX_RATE * scale * direction.reshape(arrays[0].shape))


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and min(shape[0], math.prod(shape[1:])) >= SMALLEST


OPTIMIZERS: dict[str, type[Adam]] = {"muon": Muon, "adam": Adam}
