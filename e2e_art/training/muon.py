"""The optimizer: Muon for the matrices of the convolutions, Adam for everything else.

A convolution's weights are a matrix, from what one pixel sees to what it says.  Adam moves each entry by itself, and
so mostly along the few directions that shout; Muon turns each update into one that is equally long in every
direction, so that the quiet ones learn too.

K. Jordan and others: Muon, an optimizer for hidden layers in neural networks, 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engines.mxnet import mx

__all__ = ["Muon", "clip_gradients", "make_optimizer", "orthogonalize"]

MATRIX_RATE = 10.0  # a matrix moves by so many learning rates in each direction
MOMENTUM = 0.95
SMALLEST = 16  # rows and columns from which on a matrix is one; below, and for all else, Adam does
# The polynomial x -> a x + b x^3 + c x^5 whose fifth iterate brings singular values of 0.01 .. 1 to 0.7 .. 1.2.
ITERATIONS, A, B, C = 5, 3.4445, -4.7750, 2.0315


def orthogonalize(matrices: Sequence) -> list:
    """Returns about the orthogonal matrix nearest to each matrix (rows, columns): its singular values brought near 1.

    Newton-Schulz iterations, which need no more than products; all but two of those are of small squares, since what
    multiplies x from the left is known from x x^T alone.  Squares of a size go together.  A matrix of zeros stays one.
    """
    wide = [matrix.T if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    wide = [matrix / (matrix.norm() + 1e-7) for matrix in wide]
    results: dict[int, object] = {}
    for rows in {len(x) for x in wide}:
        alike = [index for index, x in enumerate(wide) if len(x) == rows]
        square = mx.nd.stack(*(mx.nd.dot(wide[index], wide[index].T) for index in alike))  # (M, rows, rows)
        one = mx.nd.broadcast_axis(mx.nd.eye(rows, ctx=square.context).expand_dims(0), axis=0, size=len(alike))
        whole = one
        for _ in range(ITERATIONS):
            factor = A * one + mx.nd.batch_dot(square, B * one + C * square)
            square = mx.nd.batch_dot(mx.nd.batch_dot(factor, square), factor)
            whole = mx.nd.batch_dot(factor, whole)
        for place, index in enumerate(alike):
            results[index] = mx.nd.dot(whole[place], wide[index])
    return [results[n].T if matrix.shape[0] > matrix.shape[1] else results[n] for n, matrix in enumerate(matrices)]


class Muon(mx.optimizer.Adam):
    """Adam, but convolutions of 16 channels or more move by their orthogonalized momentum."""

    def __init__(self, **options):
        super().__init__(**options)
        self.aggregate_num = 1000  # MXNet hands over all weights at once

    def _is_matrix(self, weight) -> bool:
        return len(weight.shape) == 4 and min(weight.shape[0], int(np.prod(weight.shape[1:]))) >= SMALLEST

    def create_state(self, index, weight):
        """Returns what is remembered of a weight: its momentum, or Adam's two moments."""
        return mx.nd.zeros_like(weight) if self._is_matrix(weight) else super().create_state(index, weight)

    def update(self, index, weight, grad, state):
        """Moves weights against their gradients, in place: lists, one for each weight."""
        matrices, ahead = [], []
        for place, each in enumerate(weight):
            if not self._is_matrix(each):
                super().update(index[place], each, grad[place], state[place])
                continue
            self._update_count(index[place])
            gradient, momentum = (1 - MOMENTUM) * self.rescale_grad * grad[place], state[place]
            momentum[:] = MOMENTUM * momentum + gradient
            matrices.append((index[place], each))
            ahead.append(
                (MOMENTUM * momentum + gradient).reshape((len(each), -1))
            )  # where, as Nesterov has it, it goes next
        for (place, each), direction in zip(matrices, orthogonalize(ahead)):
            scale = max(1.0, direction.shape[0] / direction.shape[1]) ** 0.5
            each[:] = each - self._get_lr(place) * MATRIX_RATE * scale * direction.reshape(each.shape)


def clip_gradients(trainer, contexts: Sequence, limit: float) -> float:
    """Scales a trainer's gradients down to a length, alike on every device; returns their length before."""
    for context in reversed(contexts):  # after the reduction they are all the same
        gradients = [parameter.grad(context) for parameter in trainer._params if parameter.grad_req != "null"]
        norm = mx.gluon.utils.clip_global_norm(gradients, limit, check_isfinite=False).asscalar()
    return float(norm)


def make_optimizer(name: str):
    """Returns an optimizer by its name, "muon" or "adam"."""
    return {"muon": Muon, "adam": mx.optimizer.Adam}[name]()
