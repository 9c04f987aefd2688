"""The operators of operators.py in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from . import winograd
from .torch_gradients import mode

__all__ = ["nd"]


class _Operators:
    """What operators.py lists, of tensors."""

    abs, sqrt, square, tanh = torch.abs, torch.sqrt, torch.square, torch.tanh
    ones_like, zeros_like = torch.ones_like, torch.zeros_like
    broadcast_add, broadcast_sub, broadcast_mul, broadcast_div = torch.add, torch.sub, torch.mul, torch.div
    maximum = torch.clamp_min  # of an array and a number
    dot = batch_dot = torch.matmul

    def Activation(self, x, act_type: str):
        assert act_type == "relu", act_type
        return torch.relu(x)

    def BatchNorm(self, x, gamma, beta, mean, variance, eps: float, momentum: float, fix_gamma: bool = False):
        if not mode.training:
            return functional.batch_norm(x, mean, variance, gamma, beta, False, 0.0, eps)
        with torch.no_grad():
            for running, own in zip((variance, mean), torch.var_mean(x, dim=(0, 2, 3), correction=0)):
                running.mul_(momentum).add_(own, alpha=1 - momentum)
        # Unlike nn.functional's this one also takes a single pixel, as MXNet does.
        return torch.batch_norm(x, gamma, beta, None, None, True, 0.0, eps, torch.backends.cudnn.enabled)

    def BlockGrad(self, x):
        return x.detach()

    def Convolution(self, x, weight, bias=None, *, stride=(1, 1), pad=(0, 0), **implied):
        if winograd.suits(x, weight, bias, stride, pad):
            return winograd.convolve(x, weight, bias)
        return functional.conv2d(x, weight, bias, stride, pad)

    def Deconvolution(self, x, weight, bias=None, *, stride=(1, 1), pad=(0, 0), adj=(0, 0), **implied):
        return functional.conv_transpose2d(x, weight, bias, stride, pad, adj)

    def LeakyReLU(self, x, slope: float = 0.25):
        return functional.leaky_relu(x, slope)

    def Pooling(self, x, kernel: tuple, stride: tuple, pool_type: str):
        return (functional.avg_pool2d if pool_type == "avg" else functional.max_pool2d)(x, kernel, stride)

    def UpSampling(self, x, scale: int, sample_type: str = "nearest"):
        return functional.interpolate(x, scale_factor=scale, mode=sample_type)

    def add_n(self, *arrays):
        return sum(arrays[1:], arrays[0])

    def argmax(self, x, axis: int):
        return torch.argmax(x, dim=axis)

    def broadcast_axis(self, x, axis: int, size: int):
        return x.expand(*(size if place == axis else -1 for place in range(x.dim())))

    def cast(self, x, dtype: str):
        return x.to(getattr(torch, dtype))

    def clip(self, x, a_min: float, a_max: float):
        return torch.clamp(x, a_min, a_max)

    def col2im(self, x, output_size: Sequence[int], kernel: Sequence[int]):
        return functional.fold(x, tuple(output_size), tuple(kernel))

    def concat(self, *arrays, dim: int = 1):
        return torch.cat(arrays, dim)

    def depth_to_space(self, x, block_size: int):
        n, channels, height, width = x.shape
        cells = x.reshape(n, block_size, block_size, channels // block_size**2, height, width)
        return cells.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * block_size, width * block_size)

    def space_to_depth(self, x, block_size: int):
        n, channels, height, width = x.shape
        height, width = height // block_size, width // block_size
        cells = x.reshape(n, channels, height, block_size, width, block_size)
        return cells.permute(0, 3, 5, 1, 2, 4).reshape(n, channels * block_size**2, height, width)

    def expand_dims(self, x, axis: int):
        return x.unsqueeze(axis)

    def mean(self, x, axis=None, keepdims: bool = False, exclude: bool = False):
        return torch.mean(x, dim=_axes(x, axis, exclude), keepdim=keepdims)

    def sum(self, x, axis=None, keepdims: bool = False, exclude: bool = False):
        return torch.sum(x, dim=_axes(x, axis, exclude), keepdim=keepdims)

    def reshape(self, x, shape: Sequence[int]):
        """Knows MXNet's codes 0 (the axis as it is), -1 (what is left) and -3 (two axes made one)."""
        sizes, place = list[int](), 0
        for code in shape:
            known = {0: x.shape[place : place + 1], -3: x.shape[place : place + 2]}.get(code)
            sizes.append(code if known is None else known.numel())
            place += 2 if code == -3 else 1
        return x.reshape(sizes)

    def reshape_like(self, x, other, lhs_begin: int, lhs_end: int, rhs_begin: int, rhs_end: int):
        return x.reshape(*x.shape[:lhs_begin], *other.shape[rhs_begin:rhs_end], *x.shape[lhs_end:])

    def slice(self, x, begin: Sequence, end: Sequence, step: Sequence = ()):
        return x[tuple(map(slice, begin, end, step or (None,) * len(begin)))]

    def slice_axis(self, x, axis: int, begin: int, end: int | None):
        return x[(slice(None),) * axis + (slice(begin, end),)]

    def stack(self, *arrays, axis: int = 0):
        return torch.stack(arrays, axis)

    def take(self, x, indices, axis: int = 0, mode: str = "clip"):
        size = x.shape[axis]
        indices = indices.long()
        indices = indices % size if mode == "wrap" else indices.clamp(0, size - 1)
        return torch.index_select(x, axis, indices)

    def transpose(self, x, axes: Sequence[int] | None = None):
        return x.permute(*(axes or reversed(range(x.dim()))))

    # Ours.

    def to_bfloat16(self, x):
        # Channels last is how the convolutions of processors and GPUs take bfloat16 fastest.
        return x.to(torch.bfloat16, memory_format=torch.channels_last if x.dim() == 4 else torch.preserve_format)

    def to_float32(self, x):
        return x.to(torch.float32)

    def indices(self, x, begin: int, end: int):
        return torch.arange(begin, end, device=x.device)

    def instance_norm(self, x, gamma, beta, mean, variance, eps: float):
        # Unlike nn.functional's this one also takes a single pixel, as MXNet does.
        return torch.instance_norm(x, gamma, beta, None, None, True, 0.0, eps, torch.backends.cudnn.enabled)

    def upsample_bilinear(self, x, like, channels: int, factor: int):
        return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    def row_products(self, x, y, channels: int | None = None):
        if channels is None:
            return torch.matmul(x, y.mT)
        return torch.matmul(x.to(torch.bfloat16), y.to(torch.bfloat16).mT).to(torch.float32)

    def channels_and_pixels(self, x) -> tuple[float, float]:
        return float(x.shape[1]), float(x.shape[2] * x.shape[3])


nd = _Operators()


def _axes(x: torch.Tensor, axis, exclude: bool) -> tuple[int, ...]:
    """Returns the axes that an operator works on: those given, or all others."""
    given = range(x.dim()) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(place for place in range(x.dim()) if place not in given) if exclude else tuple(given)
