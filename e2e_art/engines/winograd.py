"""Convolutions by 3x3 weights that stay, in PyTorch on a CPU, in about half the time: Winograd's minimal filtering.

A square of 4x4 outputs is made of 6x6 inputs.  Both sides of a convolution are taken to polynomials, known by their
values at 6 points in each direction: there they are multiplied, with 36 products where 144 were.  These are products of
matrices over the channels, one for each of the 36; the way there and back is a small product for each square.

A. Lavin, S. Gray: Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional

__all__ = ["convolve", "prepare", "suits"]

LEAST = 64 * 128  # pairs of channels from which on it is the faster way
SQUARES = 128  # that are worked on at a time: what lies between then stays in a processor's cache

# Of arXiv 1509.09308, F(4, 3): six inputs, and three weights, to their values at 0, 1, -1, 2, -2 and infinity; and from
# the products of these to four outputs.
_INPUTS = [
    [4.0, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_WEIGHTS = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUTS = [[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]

# For both directions at once: (36, 36) of 6x6 inputs, (36, 9) of 3x3 weights, (16, 36) to 4x4 outputs.
_FROM_INPUTS, _FROM_WEIGHTS, _TO_OUTPUTS = (
    torch.kron(matrix, matrix) for matrix in map(torch.tensor, (_INPUTS, _WEIGHTS, _OUTPUTS))
)
_TO_INPUTS, _FROM_OUTPUTS = _FROM_INPUTS.T.contiguous(), _TO_OUTPUTS.T.contiguous()  # the gradient's way


def prepare(weight: torch.Tensor) -> None:
    """Lets weights that do not learn remember their values at the points, which take four times their memory."""
    weight.at_points = None, None  # type: ignore[attr-defined]


def suits(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, *window: Any) -> bool:
    """Returns whether a convolution can be made so, and is then faster; window: stride and padding."""
    return (
        hasattr(weight, "at_points")
        and window == ((1, 1), (1, 1))
        and weight.shape[2:] == (3, 3)
        and weight.shape[0] * weight.shape[1] >= LEAST
        and x.device.type == "cpu"
        and bias is not None
    )


def convolve(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Returns the convolution of x (N, C, H, W) by weights (K, C, 3, 3), padded by a pixel of zeros on each side."""
    version, values = weight.at_points  # type: ignore[attr-defined]
    if version != weight._version:  # they were overwritten
        values = (_FROM_WEIGHTS @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, *weight.shape[1::-1])
        weight.at_points = weight._version, values  # type: ignore[attr-defined]
    return _Convolution.apply(x, values, bias)


class _Convolution(torch.autograd.Function):
    """Of x (N, C, H, W), weights at 36 points (36, C, K) and bias (K,)."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.weight = weight
        (count, channels, height, width), filters = x.shape, len(bias)
        rows, columns = -(-height // 4), -(-width // 4)
        x = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 4 * columns - width + 1, 1, 4 * rows - height + 1))
        squares = x.unfold(1, 6, 4).unfold(2, 6, 4).permute(0, 4, 5, 1, 2, 3)  # (N, 6, 6, rows, columns, C), a view
        y = x.new_empty(count, rows, 4, columns, 4, filters)
        places = y.permute(0, 2, 4, 1, 3, 5)
        for one, band in _bands(count, rows, columns):
            values = (_FROM_INPUTS @ squares[one, :, :, band].reshape(36, -1)).view(36, -1, channels)
            outputs = _TO_OUTPUTS @ torch.bmm(values, weight).flatten(1)
            torch.add(outputs.view(4, 4, -1, columns, filters), bias, out=places[one, :, :, band])
        return y.view(count, 4 * rows, 4 * columns, filters)[:, :height, :width].permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, gradient):
        (count, filters, height, width), channels = gradient.shape, ctx.weight.shape[1]
        rows, columns = -(-height // 4), -(-width // 4)
        gradient = functional.pad(gradient.permute(0, 2, 3, 1), (0, 0, 0, 4 * columns - width, 0, 4 * rows - height))
        squares = gradient.reshape(count, rows, 4, columns, 4, filters).permute(0, 2, 4, 1, 3, 5)
        x = gradient.new_zeros(count, rows + 1, 4, columns + 1, 4, channels)  # inputs, from the padding on
        places = x.permute(0, 2, 4, 1, 3, 5)
        for one, band in _bands(count, rows, columns):
            values = (_FROM_OUTPUTS @ squares[one, :, :, band].reshape(16, -1)).view(36, -1, filters)
            inputs = (_TO_INPUTS @ torch.bmm(values, ctx.weight.mT).flatten(1)).view(6, 6, -1, columns, channels)
            for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):  # the last two rows and columns lie in the next square
                part = inputs[4 * down : 4 * down + 4, 4 * right : 4 * right + 4]
                own = slice(band.start + down, band.stop + down), slice(right, columns + right)
                places[(one, slice(len(part)), slice(part.shape[1]), *own)] += part
        x = x.view(count, 4 * rows + 4, 4 * columns + 4, channels)
        return x[:, 1 : height + 1, 1 : width + 1].permute(0, 3, 1, 2), None, None


def _bands(count: int, rows: int, columns: int) -> Iterator[tuple[int, slice]]:
    """Yields which rows of squares to work on at a time, with the number of their picture."""
    step = max(1, SQUARES // columns)
    for one in range(count):
        for first in range(0, rows, step):
            yield one, slice(first, min(first + step, rows))
