"""How weights are quantized, with answers known by hand."""

import numpy as np
import pytest

from e2e_art.models.quantization import EIGHT_FROM, HALF_FROM, SCALE, dequantize, quantize


def random_weight(*shape) -> np.ndarray:
    return np.random.RandomState(0).normal(size=shape).astype(np.float32)


def test_short_rows_stay_as_they_are():
    weight = random_weight(HALF_FROM - 1)
    arrays = quantize("bias", weight)
    assert list(arrays) == ["bias"]
    assert arrays["bias"].dtype == np.float32
    assert np.array_equal(dequantize(arrays)["bias"], weight)


def test_middling_weights_are_kept_in_half_precision():
    weight = random_weight(HALF_FROM)
    arrays = quantize("gamma", weight)
    assert arrays["gamma"].dtype == np.float16
    assert np.array_equal(dequantize(arrays)["gamma"], weight.astype(np.float16))


@pytest.mark.parametrize("shape", [(128, EIGHT_FROM // 128, 1, 1), (16, 200, 3, 3)])
def test_large_matrices_are_kept_in_eight_bits_row_by_row(shape):
    weight = random_weight(*shape)
    weight[3] *= 1000  # a loud row takes nothing from the others
    weight[5] = 0
    arrays = quantize("weight", weight)
    assert {name: array.dtype for name, array in arrays.items()} == {"weight": np.int8, "weight" + SCALE: np.float32}
    largest = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    again = dequantize(arrays)
    assert list(again) == ["weight"]
    assert again["weight"].dtype == np.float32
    assert np.all(np.abs(again["weight"] - weight) <= largest / 254 * 1.001)  # half a step of 127 each way
    assert np.abs(again["weight"] - weight).max() > 1  # of the loud row: something was rounded
    assert not again["weight"][5].any()


def test_the_ends_of_a_row_are_hit_exactly():
    weight = np.zeros((1, EIGHT_FROM), np.float32)
    weight[0, :3] = -254, 254, 3
    arrays = quantize("weight", weight)
    assert arrays["weight"][0, :4].tolist() == [-127, 127, 2, 0]  # one and a half steps go to the even number
    assert dequantize(arrays)["weight"][0, :4].tolist() == [-254, 254, 4, 0]
