"""The optimizer: what an orthogonalized step is, and which weights take one."""

import math

import numpy as np
import pytest

from e2e_art.engines.mxnet import mx
from e2e_art.training.checkpoint import optimizer_state, restore_optimizer
from e2e_art.training.muon import MATRIX_RATE, MOMENTUM, Muon, make_optimizer, orthogonalize

pytestmark = pytest.mark.numerical


def normal(*shape, seed=0) -> np.ndarray:
    return np.random.RandomState(seed).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(16, 16), (80, 720), (720, 80), (1, 9), (9, 1)])
@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_singular_values_come_near_1_and_directions_stay(shape, size):
    matrix = size * normal(*shape)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    result = orthogonalize([mx.nd.array(matrix)])[0].asnumpy()
    inside = u.T @ result @ v.T  # diagonal where the singular vectors are those of the matrix
    values = np.diag(inside)
    assert np.abs(inside - np.diag(values)).max() < 1e-3
    if min(shape) > 16 or min(shape) == 1:  # no singular value is tiny
        assert np.all((values > 0.65) & (values < 1.25))
    assert np.median(values) > 0.65


def test_an_orthogonal_matrix_keeps_its_directions_and_zeros_stay():
    q, _ = np.linalg.qr(normal(32, 32))
    result = orthogonalize([mx.nd.array(q)])[0].asnumpy()
    scale = result[0, 0] / q[0, 0]
    assert 0.65 < scale < 1.25
    assert np.abs(result - scale * q).max() < 1e-4
    assert np.abs(orthogonalize([mx.nd.zeros((8, 24))])[0].asnumpy()).max() == 0


def test_matrices_of_many_shapes_do_not_mix():
    matrices = [mx.nd.array(normal(*shape, seed=seed)) for seed, shape in enumerate([(16, 40), (48, 16), (20, 20)] * 2)]
    for together, matrix in zip(orthogonalize(matrices), matrices):
        assert np.abs((together - orthogonalize([matrix])[0]).asnumpy()).max() < 1e-5


def one_step(optimizer, weight: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    array = mx.nd.array(weight)
    updater = mx.optimizer.get_updater(optimizer)
    for gradient in gradients:
        updater([0], [mx.nd.array(gradient)], [array])
    return array.asnumpy()


def test_a_convolution_moves_equally_far_in_every_direction():
    """The momentum, one step ahead as Nesterov has it, made orthogonal: by hand for two steps."""
    weight, gradients = normal(16, 2, 3, 3), [normal(16, 2, 3, 3, seed=seed) for seed in (1, 2)]
    expected, momentum = weight.copy(), np.zeros_like(weight)
    for gradient in gradients:
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        direction = orthogonalize([mx.nd.array(ahead.reshape(16, 18))])[0].asnumpy().reshape(weight.shape)
        expected -= 0.01 * MATRIX_RATE * direction
    optimizer = make_optimizer("muon")
    optimizer.set_learning_rate(0.01)
    found = one_step(optimizer, weight, gradients)
    assert np.abs(found - expected).max() < 1e-5
    again = make_optimizer("muon")
    again.set_learning_rate(0.01)
    louder = one_step(again, weight, [100 * gradient for gradient in gradients])
    assert np.abs(louder - found).max() < 1e-4  # how long the gradient is does not matter


def test_tall_matrices_move_further_by_the_root_of_their_shape():
    optimizer = Muon(learning_rate=0.01)
    moved = one_step(optimizer, np.zeros((144, 16, 1, 1), np.float32), [normal(144, 16, 1, 1)])
    size = np.linalg.norm(moved) / math.sqrt(16)  # root mean square of the singular values
    assert size == pytest.approx(0.01 * MATRIX_RATE * 3, rel=0.3)


@pytest.mark.parametrize("shape", [(80,), (3, 16, 3, 3), (1, 3, 1, 1), (15, 40, 3, 3)])
def test_whatever_is_no_matrix_moves_by_adam(shape):
    weight, gradients = normal(*shape), [normal(*shape, seed=seed) for seed in (1, 2)]
    muon, adam = (one_step(make_optimizer(name), weight, gradients) for name in ("muon", "adam"))
    assert np.array_equal(muon, adam)
    assert np.abs(muon - weight).max() > 0


def test_the_memory_of_a_trainer_is_kept_and_restored():
    def trainer_of(weights):
        parameters = [mx.gluon.Parameter(f"w{index}", shape=w.shape) for index, w in enumerate(weights)]
        for parameter, weight in zip(parameters, weights):
            parameter.initialize()
            parameter.set_data(mx.nd.array(weight))
        return parameters, mx.gluon.Trainer(parameters, make_optimizer("muon"), update_on_kvstore=False)

    def step(parameters, trainer, seed):
        with mx.autograd.record():
            terms = [
                (parameter.data() * mx.nd.array(normal(*parameter.shape, seed=seed))).sum() for parameter in parameters
            ]
        mx.autograd.backward(terms)
        trainer.step(1)

    parameters, trainer = trainer_of([normal(16, 4, 3, 3), normal(16)])
    step(parameters, trainer, 1)
    others, other = trainer_of([parameter.data().asnumpy() for parameter in parameters])
    restore_optimizer(other, optimizer_state(trainer))
    step(parameters, trainer, 2)
    step(others, other, 2)
    for parameter, twin in zip(parameters, others):
        assert np.array_equal(parameter.data().asnumpy(), twin.data().asnumpy())
