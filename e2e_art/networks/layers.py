"""The layers that generators are built of: convolutions with their padding, and normalizations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..engines.gluon import HybridBlock
from ..errors import OptionError, unknown

__all__ = ["LEAK", "BatchNorm", "Convolution", "Deconvolution", "InstanceNorm", "JoinedConv", "LeakyReLU", "PaddedConv"]
__all__ += ["ReLU", "Sequential", "UpsampledConv", "WideConv", "layer", "norm_layer", "xavier"]

NORMS = ("instance", "batch")
NORM_EPSILON = 1e-5
MOMENTUM = 0.9  # of the running statistics of batch norm
LEAK = 0.25  # slope of the leaky ReLU below 0, MXNet's default, as in the networks of 2016


def xavier(shape: Sequence[int], random: np.random.RandomState) -> np.ndarray:
    """Returns initial weights of a convolution, float32: uniform within the root of 4 / (fan in + fan out).

    X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    bound = math.sqrt(4 / ((shape[0] + shape[1]) * math.prod(shape[2:])))
    return random.uniform(-bound, bound, shape).astype(np.float32)


class Convolution(HybridBlock):
    """A convolution; pad: zero padding on each side, which by default keeps H and W, up to its stride."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        pad: int | None = None,
        bias: bool = True,
        init: str | None = None,
    ):
        super().__init__()
        self.channels, pad = channels, kernel // 2 if pad is None else pad
        self._window = dict(kernel=(kernel, kernel), stride=(stride, stride), pad=(pad, pad))
        self.weight = self.parameter("weight", (channels, inputs, kernel, kernel), init)
        if bias:
            self.bias = self.parameter("bias", (channels,), "zeros")

    def hybrid_forward(self, F, x, weight, bias=None):
        return F.Convolution(x, weight, bias, num_filter=self.channels, no_bias=bias is None, **self._window)


class Deconvolution(HybridBlock):
    """A deconvolution that doubles H and W."""

    def __init__(self, inputs: int, channels: int, kernel: int):
        super().__init__()
        self.channels, pad = channels, (kernel - 1) // 2
        self._window = {name: (size, size) for name, size in dict(kernel=kernel, stride=2, pad=pad).items()}
        self._window["adj"] = (2 * pad + 2 - kernel,) * 2
        self.weight = self.parameter("weight", (inputs, channels, kernel, kernel))
        self.bias = self.parameter("bias", (channels,), "zeros")

    def hybrid_forward(self, F, x, weight, bias):
        return F.Deconvolution(x, weight, bias, num_filter=self.channels, no_bias=False, **self._window)


class Sequential(HybridBlock):
    """Layers in a row, named 0, 1, 2 ..."""

    def __init__(self, *layers: HybridBlock):
        super().__init__()
        self._layers = layers
        for index, each in enumerate(layers):
            self.register_child(each, str(index))

    def hybrid_forward(self, F, x):
        for each in self._layers:
            x = each(x)
        return x


class LeakyReLU(HybridBlock):
    """x, and below 0 a quarter of it."""

    def hybrid_forward(self, F, x):
        return F.LeakyReLU(x, slope=LEAK)


class ReLU(HybridBlock):
    """x, and 0 instead of what is below."""

    def hybrid_forward(self, F, x):
        return F.Activation(x, act_type="relu")


class BatchNorm(HybridBlock):
    """Brings each channel to mean 0 and variance 1: those of the batch in training, else of what it remembers of them.

    S. Ioffe, C. Szegedy: Batch Normalization, arXiv 1502.03167.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = self.parameter("gamma", (channels,), "ones")
        self.beta = self.parameter("beta", (channels,), "zeros")
        self.running_mean = self.parameter("running_mean", (channels,), "zeros", learns=False)
        self.running_var = self.parameter("running_var", (channels,), "ones", learns=False)

    def hybrid_forward(self, F, x, gamma, beta, running_mean, running_var):
        settings = dict(fix_gamma=False, eps=NORM_EPSILON, momentum=MOMENTUM)
        return F.BatchNorm(x, gamma, beta, running_mean, running_var, **settings)


class InstanceNorm(HybridBlock):
    """Brings each channel of each picture to mean 0 and variance 1, then scales and shifts it.

    Under autograd.train_mode(), by `one_by_one`: `Chain` sees to both.

    D. Ulyanov, A. Vedaldi, V. Lempitsky: Instance Normalization, arXiv 1607.08022.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = self.parameter("gamma", (channels,), "ones")
        self.beta = self.parameter("beta", (channels,), "zeros")
        self.mean = self.constant("mean", np.zeros(channels))
        self.variance = self.constant("variance", np.ones(channels))

    def hybrid_forward(self, F, x, gamma, beta, mean, variance):
        return F.instance_norm(x, gamma, beta, mean, variance, eps=NORM_EPSILON)


def norm_layer(kind: str, channels: int) -> HybridBlock:
    """Returns the normalization of a kind, "instance" or "batch"; raises OptionError for another."""
    if kind not in NORMS:
        raise OptionError(unknown("normalization", kind, NORMS))
    return InstanceNorm(channels) if kind == "instance" else BatchNorm(channels)


def layer(convolution, norm: str, activation: type[HybridBlock] = LeakyReLU) -> HybridBlock:
    """Returns convolution, normalization and activation."""
    return Sequential(convolution, norm_layer(norm, convolution.channels), activation())


# Which rows and columns of a map pad it before and after, each as (begin, end): of reflect padding, for so many pixels.
Rows = Sequence[tuple[int, "int | None"]]
REPLICATE = [(0, 1)], [(-1, None)]
CIRCULAR = [(-1, None)], [(0, 1)]


def _reflect(pixels: int) -> tuple[Rows, Rows]:
    places = range(1, pixels + 1)
    return [(place, place + 1) for place in reversed(places)], [(-place - 1, -place) for place in places]


def _padded(F, x, before: Rows, after: Rows):
    """Returns maps with some of their own rows before and after them, and columns."""
    for axis in (2, 3):  # rows first, then columns of the longer map: so corners are padded, too
        first, last = ([F.slice_axis(x, axis=axis, begin=b, end=e) for b, e in rows] for rows in (before, after))
        x = F.concat(*first, x, *last, dim=axis)
    return x


class PaddedConv(HybridBlock):
    """A convolution with reflect padding, which keeps H and W, up to its stride; or, of 3x3, with circular padding."""

    def __init__(
        self, inputs: int, channels: int, kernel: int = 3, stride: int = 1, circular: bool = False, bias: bool = True
    ):
        super().__init__()
        self.channels, self._sides = channels, CIRCULAR if circular else _reflect(kernel // 2)
        self.convolution = Convolution(inputs, channels, kernel, stride, pad=0, bias=bias)

    def hybrid_forward(self, F, x):
        return self.convolution(_padded(F, x, *self._sides))


class WideConv(HybridBlock):
    """A `PaddedConv` by a wide kernel to few channels, each row of the kernel by itself.

    One convolution makes the maps of all rows, K times as many and therefore faster, and the sum of them, each moved up
    to its place, is the result.  By 9x9 from 32 channels to 3, MXNet takes half the time for this, PyTorch 0.4 of it.
    """

    def __init__(self, inputs: int, channels: int, kernel: int):
        super().__init__()
        self.channels, self._kernel = channels, kernel
        self.weight = self.parameter("weight", (channels, inputs, kernel, kernel))
        self.bias = self.parameter("bias", (channels,), "zeros")

    def hybrid_forward(self, F, x, weight, bias):
        channels, last = self.channels, self._kernel - 1
        rows = range(self._kernel)
        kernels = F.concat(*(F.slice_axis(weight, axis=2, begin=row, end=row + 1) for row in rows), dim=0)
        x = _padded(F, x, *_reflect(self._kernel // 2))
        maps = F.Convolution(
            x, kernels, None, kernel=(1, self._kernel), num_filter=channels * self._kernel, no_bias=True
        )  # (N, K channels, H + K - 1, W)
        begins = ((None, channels * row, row, None) for row in rows)
        ends = ((None, channels * (row + 1), row - last or None, None) for row in rows)
        moved = F.add_n(*(F.slice(maps, begin=begin, end=end) for begin, end in zip(begins, ends)))
        return F.broadcast_add(moved, F.reshape(bias, shape=(1, -1, 1, 1)))  # (N, channels, H, W)


def _of_upsampled(F, x, weight, channels: int):
    """Returns the convolution of maps upsampled to twice their size by nearest neighbors, with reflect padding.

    x: (N, C, H, W).  weight: (channels, C, 3, 3).  Returns (N, channels, 2 H, 2 W).

    Upsampled maps hold each value four times, so there a 3x3 kernel sees but 2x2 values.  Each pixel of such a square
    has its kernel of 2x2, with the weights that fall on one value summed up: 4/9 of the multiply-adds.
    """
    kernels = [each for rows in _halves(F, weight, 2) for each in _halves(F, rows, 3)]
    x = _padded(F, x, *REPLICATE)  # upsampled, this is reflect padding: the other half of a square
    kernel = F.concat(*kernels, dim=0)
    squares = F.Convolution(x, kernel, None, kernel=(2, 2), num_filter=4 * channels, no_bias=True)
    # (N, 4 channels, H + 1, W + 1): squares around the corners of the upsampled ones
    return F.slice(F.depth_to_space(squares, block_size=2), begin=(None, None, 1, 1), end=(None, None, -1, -1))


def _halves(F, kernel, axis: int) -> tuple:
    """Returns kernels of 3 as they are on upsampled maps, of 2: for the second pixel of a square, and for the first."""
    first, middle, last = (F.slice_axis(kernel, axis=axis, begin=place, end=place + 1) for place in range(3))
    return F.concat(first + middle, last, dim=axis), F.concat(first, middle + last, dim=axis)


class UpsampledConv(HybridBlock):
    """A 3x3 `PaddedConv` of maps upsampled to twice their size by nearest neighbors; by default without a bias."""

    def __init__(self, inputs: int, channels: int, bias: bool = False):
        super().__init__()
        self.channels = channels
        self.weight = self.parameter("weight", (channels, inputs, 3, 3))
        if bias:
            self.bias = self.parameter("bias", (channels,), "zeros")

    def hybrid_forward(self, F, x, weight, bias=None):
        x = _of_upsampled(F, x, weight, self.channels)
        return x if bias is None else F.broadcast_add(x, F.reshape(bias, shape=(1, -1, 1, 1)))


class JoinedConv(HybridBlock):
    """A `PaddedConv` of coarse maps, upsampled to twice their size by nearest neighbors, and of fine ones."""

    def __init__(self, coarse: int, fine: int, channels: int):
        super().__init__()
        self._coarse, self.channels = coarse, channels
        self.weight = self.parameter("weight", (channels, coarse + fine, 3, 3))
        self.bias = self.parameter("bias", (channels,), "zeros")

    def hybrid_forward(self, F, coarse, fine, weight, bias):
        own = F.slice_axis(weight, axis=1, begin=self._coarse, end=None)
        own = F.Convolution(_padded(F, fine, *_reflect(1)), own, bias, kernel=(3, 3), num_filter=self.channels)
        kernel = F.slice_axis(weight, axis=1, begin=0, end=self._coarse)
        return own + _of_upsampled(F, coarse, kernel, self.channels)  # (N, channels, H, W)
