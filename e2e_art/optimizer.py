"""The optimizer: Muon for the matrices of the convolutions, Adam for everything else.

A convolution's weights are a matrix, from what one pixel sees to what it says.  Adam moves each entry by itself, and
so mostly along the few directions that shout; Muon turns each update into one that is equally long in every
direction, so that the quiet ones learn too.

K. Jordan and others: Muon, an optimizer for hidden layers in neural networks, 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .backend import mx

__all__ = ["Muon", "clip_gradients", "make_optimizer", "orthogonalize"]

MATRIX_RATE = 10.0  # a matrix moves by so many learning rates in each direction
MOMENTUM = 0.95
SMALLEST = 16  # rows and columns from which on a matrix is one; below, and for all else, Adam does
# The polynomial x -> a x + b x^3 + c x^5 whose fifth iterate brings singular values of 0.01 .. 1 to 0.7 .. 1.2.
ITERATIONS, A, B, C = 5, 3.4445, -4.7750, 2.0315


def orthogonalize(matrix):
    """Returns about the orthogonal matrix nearest to a matrix (rows, columns): its singular values brought near 1.

    Newton-Schulz iterations, which need no more than products; all but two of those are of small squares, since what
    multiplies x from the left is known from x x^T alone.  A matrix of zeros stays one.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    square = mx.nd.dot(x, x.T)  # (rows, rows)
    one = mx.nd.eye(len(x), ctx=x.context)
    whole = one
    for _ in range(ITERATIONS):
        factor = A * one + B * square + C * mx.nd.dot(square, square)
        square = mx.nd.dot(mx.nd.dot(factor, square), factor)
        whole = mx.nd.dot(factor, whole)
    x = mx.nd.dot(whole, x)
    return x.T if tall else x


class Muon(mx.optimizer.Adam):
    """Adam, but convolutions of 16 channels or more move by their orthogonalized momentum."""

    def _is_matrix(self, weight) -> bool:
        return len(weight.shape) == 4 and min(weight.shape[0], int(np.prod(weight.shape[1:]))) >= SMALLEST

    def create_state(self, index, weight):
        """Returns what is remembered of a weight: its momentum, or Adam's two moments."""
        return mx.nd.zeros_like(weight) if self._is_matrix(weight) else super().create_state(index, weight)

    def update(self, index, weight, grad, state):
        """Moves a weight against its gradient, in place."""
        if not self._is_matrix(weight):
            super().update(index, weight, grad, state)
            return
        self._update_count(index)
        gradient = grad * self.rescale_grad
        state[:] = MOMENTUM * state + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * state + (1 - MOMENTUM) * gradient  # where the momentum goes next, as Nesterov has it
        rows = ahead.reshape((ahead.shape[0], -1))
        scale = max(1.0, rows.shape[0] / rows.shape[1]) ** 0.5
        weight[:] = weight - self._get_lr(index) * MATRIX_RATE * scale * orthogonalize(rows).reshape(weight.shape)


def clip_gradients(trainer, contexts: Sequence, limit: float) -> float:
    """Scales a trainer's gradients down to a length, alike on every device; returns their length before."""
    for context in reversed(contexts):  # after the reduction they are all the same
        gradients = [parameter.grad(context) for parameter in trainer._params if parameter.grad_req != "null"]
        norm = mx.gluon.utils.clip_global_norm(gradients, limit, check_isfinite=False).asscalar()
    return float(norm)


def make_optimizer(name: str):
    """Returns an optimizer by its name, "muon" or "adam"."""
    return {"muon": Muon, "adam": mx.optimizer.Adam}[name]()
