"""The layers that generators are built of: convolutions with their padding, and normalizations."""

from __future__ import annotations

from ..engines.mxnet import mx
from ..errors import OptionError, unknown

__all__ = ["LEAK", "InstanceNorm", "JoinedConv", "PaddedConv", "conv", "deconv", "in_a_row", "layer", "norm_layer"]

nn = mx.gluon.nn
NORMS = ("instance", "batch")
NORM_EPSILON = 1e-5
LEAK = 0.25  # slope of the leaky ReLU below 0, MXNet's default, as in the networks of 2016


class InstanceNorm(mx.gluon.HybridBlock):
    """Brings each channel of a picture to mean 0 and variance 1, then scales and shifts it.

    For one picture at a time, (1, C, H, W), under autograd.train_mode(): `Chain` sees to both.  Then batch
    normalization is the same arithmetic as the InstanceNorm operator, 5 to 25 times cheaper on a CPU.

    D. Ulyanov, A. Vedaldi, V. Lempitsky: Instance Normalization, arXiv 1607.08022.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = self.params.get("gamma", shape=(channels,), init="ones")
        self.beta = self.params.get("beta", shape=(channels,), init="zeros")
        # The operator insists on running statistics; momentum 1 leaves them alone, and nothing reads them.
        self.mean = self.params.get("unused_mean", shape=(channels,), init="zeros", differentiable=False)
        self.variance = self.params.get("unused_variance", shape=(channels,), init="ones", differentiable=False)

    def hybrid_forward(self, F, x, gamma, beta, mean, variance):
        return F.BatchNorm(x, gamma, beta, mean, variance, fix_gamma=False, eps=NORM_EPSILON, momentum=1.0)


def norm_layer(kind: str, channels: int):
    """Returns the normalization of a kind, "instance" or "batch"; raises OptionError for another."""
    if kind not in NORMS:
        raise OptionError(unknown("normalization", kind, NORMS))
    return InstanceNorm(channels) if kind == "instance" else nn.BatchNorm(in_channels=channels)


def in_a_row(*blocks):
    """Returns blocks as one."""
    row = nn.HybridSequential()
    row.add(*blocks)
    return row


def layer(convolution, norm: str):
    """Returns convolution, normalization and leaky ReLU."""
    return in_a_row(convolution, norm_layer(norm, convolution._channels), nn.LeakyReLU(LEAK))


def conv(inputs: int, channels: int, kernel: int = 3, stride: int = 1, **options):
    """Returns a convolution with zero padding that keeps H and W, up to its stride."""
    return nn.Conv2D(channels, kernel, stride, kernel // 2, in_channels=inputs, **options)


def deconv(inputs: int, channels: int, kernel: int):
    """Returns a deconvolution that doubles H and W."""
    pad = (kernel - 1) // 2
    return nn.Conv2DTranspose(channels, kernel, 2, pad, output_padding=2 * pad + 2 - kernel, in_channels=inputs)


def _padded(F, x, before: tuple, after: tuple):
    """Returns maps with some of their own rows before and after them, and columns: each as (begin, end)."""
    for axis in (2, 3):  # rows first, then columns of the longer map: so corners are padded, too
        first, last = (F.slice_axis(x, axis=axis, begin=begin, end=end) for begin, end in (before, after))
        x = F.concat(first, x, last, dim=axis)
    return x


# Which rows and columns pad a map before and after it.
REFLECT = (1, 2), (-2, -1)
REPLICATE = (0, 1), (-1, None)
CIRCULAR = (-1, None), (0, 1)


class PaddedConv(mx.gluon.HybridBlock):
    """A 3x3 convolution with reflect or circular padding."""

    def __init__(self, inputs: int, channels: int, circular: bool = False):
        super().__init__()
        self._channels, self._sides = channels, CIRCULAR if circular else REFLECT
        self.convolution = nn.Conv2D(channels, 3, in_channels=inputs)

    def hybrid_forward(self, F, x):
        return self.convolution(_padded(F, x, *self._sides))


class JoinedConv(mx.gluon.HybridBlock):
    """A `PaddedConv` of coarse maps, upsampled to twice their size by nearest neighbors, and of fine ones.

    Upsampled maps hold each value four times, so there a 3x3 kernel sees but 2x2 values.  Each pixel of such a square
    has its kernel of 2x2, with the weights that fall on one value summed up: 4/9 of the multiply-adds.
    """

    def __init__(self, coarse: int, fine: int, channels: int):
        super().__init__()
        self._coarse, self._channels = coarse, channels
        self.weight = self.params.get("weight", shape=(channels, coarse + fine, 3, 3))
        self.bias = self.params.get("bias", shape=(channels,), init="zeros")

    def hybrid_forward(self, F, coarse, fine, weight, bias):
        own = F.slice_axis(weight, axis=1, begin=self._coarse, end=None)
        own = F.Convolution(_padded(F, fine, *REFLECT), own, bias, kernel=(3, 3), num_filter=self._channels)
        kernel = F.slice_axis(weight, axis=1, begin=0, end=self._coarse)
        kernels = [each for rows in _halves(F, kernel, 2) for each in _halves(F, rows, 3)]
        kernel = F.concat(*kernels, dim=0)
        coarse = _padded(F, coarse, *REPLICATE)  # upsampled, this is reflect padding: the other half of a square
        squares = F.Convolution(coarse, kernel, kernel=(2, 2), num_filter=4 * self._channels, no_bias=True)
        # (N, 4 channels, H / 2 + 1, W / 2 + 1): squares around the corners of the upsampled ones
        upsampled = F.depth_to_space(squares, block_size=2)
        return own + F.slice(upsampled, begin=(None, None, 1, 1), end=(None, None, -1, -1))  # (N, channels, H, W)


def _halves(F, kernel, axis: int) -> tuple:
    """Returns kernels of 3 as they are on upsampled maps, of 2: for the second pixel of a square, and for the first."""
    first, middle, last = (F.slice_axis(kernel, axis=axis, begin=place, end=place + 1) for place in range(3))
    return F.concat(first + middle, last, dim=axis), F.concat(first, middle + last, dim=axis)
