"""The discriminator: tells patches of real pictures from painted ones, by features of the loss network.

C. Li, M. Wand: Precomputed Real-Time Texture Synthesis with Markovian Generative Adversarial Networks,
arXiv 1604.04382.  Differs from the paper in its size, and in spectral instead of batch normalization.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engines.gluon import HybridBlock, nd
from .layers import LeakyReLU, Sequential, xavier
from .vgg import CHANNELS, block_of

__all__ = ["Discriminator", "SpectralConvolution"]

BORDER = 8  # pixels of a picture along its border that do not count, since zero padding shows there
WIDTH = 64  # channels


def _norm(F, x):
    """Returns the Euclidean norm of all numbers of an array, (1, 1)."""
    return F.reshape(F.sqrt(F.sum(F.square(x))) + 1e-12, shape=(1, 1))


class SpectralConvolution(HybridBlock):
    """A convolution without padding whose weights, a matrix, are divided by about its largest singular value.

    That value is found by power iteration, a turn of it each time that `iterate` is called, along a direction that is
    kept: the more turns, the nearer, as long as the weights move slowly.
    T. Miyato and others: Spectral Normalization for Generative Adversarial Networks, arXiv 1802.05957.
    """

    def __init__(self, inputs: int, channels: int, kernel: int = 1, stride: int = 1):
        super().__init__()
        self.channels = channels
        self._window = dict(kernel=(kernel, kernel), stride=(stride, stride))
        self.weight = self.parameter("weight", (channels, inputs, kernel, kernel))
        self.bias = self.parameter("bias", (channels,), "zeros")
        self.direction = self.parameter("direction", (1, channels), learns=False)  # of length 1

    def iterate(self) -> None:
        """Turns the direction towards that in which the weights are largest."""
        for weight, direction in zip(self.weight.list_data(), self.direction.list_data()):
            turned = _turned(nd, weight, direction)
            direction[:] = nd.broadcast_div(turned, _norm(nd, turned))

    def hybrid_forward(self, F, x, weight, bias, direction):
        largest = _norm(F, _turned(F, weight, direction))
        weight = F.broadcast_div(weight, F.reshape(largest, shape=(1, 1, 1, 1)))
        return F.Convolution(x, weight, bias, num_filter=self.channels, **self._window)


def _turned(F, weight, direction):
    """Returns W v, (1, channels), v being the direction W^T u of length 1: as long as the largest singular value."""
    rows = F.reshape(weight, shape=(0, -1))  # (channels, inputs * kernel^2)
    before = F.dot(direction, rows)
    before = F.BlockGrad(F.broadcast_div(before, _norm(F, before)))
    return F.dot(before, F.transpose(rows))


class Discriminator(HybridBlock):
    """How real each patch of a picture looks, by its features in one layer of a VGG: above 0 real, below 0 painted.

    layer: such as "relu1_2", one patch being 14 pixels wide and one every 4 pixels, at 10.5 thousand multiply-adds a
    pixel; or "relu3_1", 36 pixels wide and every 8, at 4.2 thousand.  scale: what brings these features to about 1.

    Input: features (N, C, H, W), of pictures of at least 32 pixels.  Output: (N, 1, H', W').
    """

    def __init__(self, layer: str, scale: float = 1.0):
        super().__init__()
        block = block_of(layer)
        self._scale, self._border = scale, BORDER // 2 ** (block - 1)
        widths = [CHANNELS[block - 1], *([WIDTH // 2] if block == 1 else []), WIDTH]
        halving = [SpectralConvolution(*pair, kernel=4, stride=2) for pair in zip(widths, widths[1:])]
        *hidden, last = self._convolutions = [
            *halving,
            SpectralConvolution(WIDTH, WIDTH),
            SpectralConvolution(WIDTH, 1),
        ]
        self.body = Sequential(*(each for convolution in hidden for each in (convolution, LeakyReLU())), last)

    def draw_weights(self, seed: int, devices: Sequence) -> None:
        """Sets the weights that a training begins with, drawn by numpy from the seed, so that engines begin alike."""
        self.initialize(devices)
        random = np.random.RandomState(seed % 2**32)
        for convolution in self._convolutions:
            convolution.weight.set_data(xavier(convolution.weight.shape, random))
            direction = random.normal(size=convolution.direction.shape)
            convolution.direction.set_data((direction / np.linalg.norm(direction)).astype(np.float32))

    def iterate(self) -> None:
        """Lets the normalization follow the weights, after each step of these."""
        for convolution in self._convolutions:
            convolution.iterate()

    def hybrid_forward(self, F, features):
        border = self._border
        inner = F.slice(features, begin=(None, None, border, border), end=(None, None, -border, -border))
        return self.body(inner * self._scale)
