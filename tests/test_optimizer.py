"""The optimizers: what an orthogonalized step is, which weights take one, and what a checkpoint keeps of them."""

import math

import numpy as np
import pytest

from e2e_art.engines.gluon import array, devices, to_numpy
from e2e_art.training.muon import MATRIX_RATE, MOMENTUM, Adam, Muon, clip_gradients, orthogonalize, sum_gradients

pytestmark = pytest.mark.numerical


def normal(*shape, seed=0) -> np.ndarray:
    return np.random.RandomState(seed).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(16, 16), (80, 720), (720, 80), (1, 9), (9, 1)])
@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_singular_values_come_near_1_and_directions_stay(shape, size):
    matrix = size * normal(*shape)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    result = to_numpy(orthogonalize([array(matrix)])[0])
    inside = u.T @ result @ v.T  # diagonal where the singular vectors are those of the matrix
    values = np.diag(inside)
    assert np.abs(inside - np.diag(values)).max() < 1e-3
    if min(shape) > 16 or min(shape) == 1:  # no singular value is tiny
        assert np.all((values > 0.65) & (values < 1.25))
    assert np.median(values) > 0.65


def test_an_orthogonal_matrix_keeps_its_directions_and_zeros_stay():
    q, _ = np.linalg.qr(normal(32, 32))
    result = to_numpy(orthogonalize([array(q)])[0])
    scale = result[0, 0] / q[0, 0]
    assert 0.65 < scale < 1.25
    assert np.abs(result - scale * q).max() < 1e-4
    assert np.abs(to_numpy(orthogonalize([array(np.zeros((8, 24)))])[0])).max() == 0


def test_matrices_of_many_shapes_do_not_mix():
    matrices = [array(normal(*shape, seed=seed)) for seed, shape in enumerate([(16, 40), (48, 16), (20, 20)] * 2)]
    for together, matrix in zip(orthogonalize(matrices), matrices):
        assert np.abs(to_numpy(together - orthogonalize([matrix])[0])).max() < 1e-5


def take_step(optimizer: Adam, gradients: dict) -> None:
    optimizer.step(gradients, array(optimizer.rates(0.01)))


def moved(optimizer: type[Adam], weight: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """Returns where an optimizer moves a weight by some gradients, at a learning rate of 0.01."""
    moving = array(weight)
    steps = optimizer({"weight": [moving]})
    for gradient in gradients:
        take_step(steps, {"weight": array(gradient)})
    return to_numpy(moving)


def test_a_convolution_moves_equally_far_in_every_direction():
    """The momentum, one step ahead as Nesterov has it, made orthogonal: by hand for two steps."""
    weight, gradients = normal(16, 2, 3, 3), [normal(16, 2, 3, 3, seed=seed) for seed in (1, 2)]
    expected, momentum = weight.copy(), np.zeros_like(weight)
    for gradient in gradients:
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        direction = to_numpy(orthogonalize([array(ahead.reshape(16, 18))])[0]).reshape(weight.shape)
        expected -= 0.01 * MATRIX_RATE * direction
    found = moved(Muon, weight, gradients)
    assert np.abs(found - expected).max() < 1e-5
    longer = moved(Muon, weight, [100 * gradient for gradient in gradients])
    assert np.abs(longer - found).max() < 1e-4  # how long the gradient is does not matter


def test_tall_matrices_move_further_by_the_root_of_their_shape():
    step = moved(Muon, np.zeros((144, 16, 1, 1), np.float32), [normal(144, 16, 1, 1)])
    size = np.linalg.norm(step) / math.sqrt(16)  # root mean square of the singular values
    assert size == pytest.approx(0.01 * MATRIX_RATE * 3, rel=0.3)


@pytest.mark.parametrize("shape", [(80,), (3, 16, 3, 3), (1, 3, 1, 1), (15, 40, 3, 3)])
def test_whatever_is_no_matrix_moves_by_adam(shape):
    weight, gradients = normal(*shape), [normal(*shape, seed=seed) for seed in (1, 2)]
    muon, adam = (moved(optimizer, weight, gradients) for optimizer in (Muon, Adam))
    assert np.array_equal(muon, adam)
    assert np.abs(muon - weight).max() > 0


@pytest.mark.parametrize("shape", [(7,), (16, 4, 3, 3)])
def test_adam_by_its_formula(shape):
    weight, gradients = normal(*shape), [normal(*shape, seed=seed) for seed in (1, 2, 3)]
    expected, mean, square = weight.astype(float), 0.0, 0.0
    for step, gradient in enumerate(gradients, 1):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient.astype(float) ** 2
        expected -= 0.01 * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    found = moved(Adam, weight, gradients)
    assert np.abs(found - expected).max() < 1e-5


def test_every_device_gets_the_same_weights():
    both_devices, weights = devices(cpus=2), {"matrix": normal(16, 4, 3, 3), "bias": normal(16)}
    arrays = {name: [array(weight, each) for each in both_devices] for name, weight in weights.items()}
    gradients = {
        name: [array(normal(*weight.shape, seed=seed), each) for seed, each in enumerate(both_devices, 1)]
        for name, weight in weights.items()
    }
    take_step(Muon(arrays), sum_gradients(gradients))
    for name, weight in weights.items():
        both = sum(to_numpy(gradient) for gradient in gradients[name])
        assert np.array_equal(*map(to_numpy, arrays[name]))
        assert np.abs(to_numpy(arrays[name][0]) - moved(Muon, weight, [both])).max() < 1e-5


def test_gradients_are_divided_and_clipped():
    def gradients():
        return {"a": array([3.0, 0.0]), "b": array([[4.0]])}

    whole, short = gradients(), gradients()
    assert to_numpy(clip_gradients(whole, 10.0, count=2)) == pytest.approx(2.5)
    assert to_numpy(whole["a"]).tolist() == [1.5, 0] and to_numpy(whole["b"]) == 2
    assert to_numpy(clip_gradients(short, 0.5, count=2)) == pytest.approx(2.5)
    assert to_numpy(short["a"]) == pytest.approx([0.3, 0]) and to_numpy(short["b"]) == pytest.approx(0.4)


def test_an_optimizer_goes_on_from_its_state():
    weights = {"0/body.weight": normal(16, 4, 3, 3), "0/body.bias": normal(16)}

    def gradients(seed: int):
        return {name: array(normal(*weight.shape, seed=seed)) for name, weight in weights.items()}

    one = {name: [array(weight)] for name, weight in weights.items()}
    whole = Muon(one)
    take_step(whole, gradients(1))
    other = {name: [array(to_numpy(own))] for name, (own,) in one.items()}
    resumed, state = Muon(other), whole.state()
    assert set(state) == {"steps", "momentum/0/body.weight", "mean/0/body.bias", "variance/0/body.bias"}
    resumed.load_state(state)
    for optimizer in (whole, resumed):
        take_step(optimizer, gradients(2))
    for name in weights:
        assert np.array_equal(to_numpy(one[name][0]), to_numpy(other[name][0]))


def test_the_state_of_other_weights_is_refused():
    optimizer = Muon({"weight": [array(np.zeros((16, 4, 3, 3)))], "bias": [array(np.zeros(16))]})
    state = optimizer.state()
    less = {name: array for name, array in state.items() if name != "mean/bias"}
    larger = {**state, "mean/bias": np.zeros(17, np.float32)}
    for wrong in (less, larger, {**state, "more": np.zeros(1, np.float32)}, {**state, "steps": np.array(-1)}):
        with pytest.raises(ValueError, match="of other weights"):
            optimizer.load_state(wrong)
