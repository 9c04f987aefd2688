"""Convolutions by weights that stay are those by any others."""

import numpy as np
import pytest
from helpers import value_and_gradient

from e2e_art.engines.gluon import NAME, HybridBlock, array, nd, to_numpy

pytestmark = [pytest.mark.numerical, pytest.mark.skipif(NAME != "PyTorch", reason="PyTorch's")]


class Convolution(HybridBlock):
    """One convolution, by weights that learn or stay."""

    def __init__(self, channels: int, filters: int, learns: bool):
        super().__init__()
        self.filters = filters
        self.weight = self.parameter("weight", (filters, channels, 3, 3), learns=learns)
        self.bias = self.parameter("bias", (filters,), learns=learns)
        self.initialize()

    def draw(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        for parameter in (self.weight, self.bias):
            parameter.set_data(random.normal(0, 0.05, parameter.shape).astype(np.float32))

    def hybrid_forward(self, F, x, weight, bias):
        return F.Convolution(x, weight, bias, kernel=(3, 3), pad=(1, 1), num_filter=self.filters)


@pytest.mark.parametrize(
    ("count", "channels", "filters", "height", "width"),
    [
        (1, 128, 128, 16, 24),  # whole squares of 4x4
        (2, 128, 96, 33, 131),  # parts of some, and several bands of squares
        (3, 512, 64, 1, 2),
        (1, 4, 8, 12, 12),  # too few channels to be worth it
    ],
)
def test_what_stays_convolves_as_what_learns(count, channels, filters, height, width):
    """Sums of 4608 products of single precision at most, added in another order."""
    fixed, learning = (Convolution(channels, filters, learns) for learns in (False, True))
    random = np.random.default_rng(0)
    x = random.normal(size=(count, channels, height, width))
    direction = array(random.normal(size=(count, filters, height, width)))
    for seed in (1, 2):  # values that weights remember are those of the weights before
        found = []
        for block in (fixed, learning):
            block.draw(seed)
            found.append([to_numpy(block(array(x))), value_and_gradient(lambda x, of=block: of(x) * direction, x)[1]])
        for own, expected in zip(*found):
            assert own.shape == expected.shape
            assert np.linalg.norm(own - expected) < 1e-5 * np.linalg.norm(expected)


def test_convolutions_of_another_kind_are_left_alone():
    block = Convolution(128, 128, learns=False)
    block.draw(1)
    weight, x = block.weight.data(), array(np.random.default_rng(0).normal(size=(1, 128, 9, 9)))
    narrow = nd.Convolution(x, weight, block.bias.data(), kernel=(3, 3), num_filter=128)
    assert np.allclose(to_numpy(narrow), to_numpy(block(x))[:, :, 1:-1, 1:-1], rtol=1e-3, atol=1e-4)
    halved = nd.Convolution(x, weight, block.bias.data(), kernel=(3, 3), stride=(2, 2), pad=(1, 1), num_filter=128)
    assert np.allclose(to_numpy(halved), to_numpy(block(x))[:, :, ::2, ::2], rtol=1e-3, atol=1e-4)
