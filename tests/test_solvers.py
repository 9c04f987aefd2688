"""Solvers, on functions whose minimum is known."""

import contextlib

import numpy as np
import pytest

from e2e_art.optimize.solvers import DECAY, DECAY_EVERY, MOMENTUM, SOLVERS, WEIGHT_DECAY, StopOptimization

pytestmark = pytest.mark.numerical

SHAPE = (1, 3, 4, 5)
LOW, HIGH = np.full(SHAPE, -100, np.float32), np.full(SHAPE, 100, np.float32)


class Quadratic:
    """sum(curvature * (x - minimum)^2): counts its evaluations, keeps the points, and ends after `steps`."""

    def __init__(self, minimum, curvature=1.0, steps: int = 60):
        self.minimum, self.curvature, self.steps, self.points, self.values = minimum, curvature, steps, [], []

    def __call__(self, x):
        assert x.shape == SHAPE
        assert x.dtype == np.float32
        self.points.append(x.copy())
        self.values.append(float((self.curvature * (x - self.minimum) ** 2).sum()))
        if len(self.points) == self.steps:
            raise StopOptimization("steps")
        return self.values[-1], (2 * self.curvature * (x - self.minimum)).astype(np.float32)

    def solve(self, method: str, start, rate: float = 1.0) -> None:
        with pytest.raises(StopOptimization, match="steps"):
            SOLVERS[method](self, start, LOW, HIGH, rate)


def random_picture(seed: int, size: float = 50) -> np.ndarray:
    return np.random.RandomState(seed).uniform(-size, size, SHAPE).astype(np.float32)


@pytest.mark.parametrize(("method", "rate", "left"), [("lbfgs", 1, 1e-6), ("adam", 5, 0.05), ("sgd", 0.01, 0.05)])
def test_each_comes_near_the_minimum(method, rate, left):
    quadratic = Quadratic(
        random_picture(1), curvature=np.linspace(1, 10, 60).reshape(SHAPE) if method == "lbfgs" else 1.0
    )
    start = random_picture(2)
    with contextlib.suppress(StopOptimization):
        SOLVERS[method](quadratic, start, LOW, HIGH, rate)
    assert np.array_equal(quadratic.points[0], start)
    assert min(quadratic.values) < left * quadratic.values[0]


@pytest.mark.parametrize("method", SOLVERS)
def test_none_steps_over_the_bounds(method):
    quadratic = Quadratic(np.full(SHAPE, 500, np.float32), steps=60)
    with contextlib.suppress(StopOptimization):
        SOLVERS[method](quadratic, random_picture(2), LOW, HIGH, 5.0)
    assert max(point.max() for point in quadratic.points) <= 100 + 1e-4
    assert quadratic.points[int(np.argmin(quadratic.values))].min() == pytest.approx(
        100, abs=0.01
    )  # the nearest there is


@pytest.mark.parametrize("curvature", [1e-6, 1e6])
def test_the_first_step_of_lbfgs_is_no_shorter_on_small_gradients(curvature):
    quadratic = Quadratic(random_picture(1), curvature=curvature, steps=3)
    quadratic.solve("lbfgs", random_picture(2))
    assert quadratic.values[1] < 0.9 * quadratic.values[0]


def test_adam_begins_with_a_step_of_its_rate():
    quadratic = Quadratic(random_picture(1), steps=2)
    quadratic.solve("adam", random_picture(2), rate=3.0)
    moved = quadratic.points[1] - quadratic.points[0]
    assert np.allclose(moved, -3.0 * np.sign(quadratic.points[0] - quadratic.minimum), atol=1e-4)


def test_sgd_is_that_of_the_2016_example():
    """By hand: x -= rate (g + m v) with v = m v + g, g cut to the picture's number of values, plus decay of x."""
    quadratic = Quadratic(random_picture(1), steps=4)
    x, velocity = random_picture(2).astype(np.float64), 0
    quadratic.solve("sgd", x.astype(np.float32), rate=0.01)
    for point in quadratic.points:
        assert np.allclose(point, x, atol=1e-3)
        gradient = 2 * (x - quadratic.minimum)
        length = np.sqrt((gradient**2).sum())
        assert length > x.size  # so that it is cut
        gradient = gradient * x.size / length + WEIGHT_DECAY * x
        velocity = MOMENTUM * velocity + gradient
        x = x - 0.01 * (gradient + MOMENTUM * velocity)


def test_the_learning_rate_of_sgd_falls():
    """With a constant gradient, and pixels that hardly decay: late steps are as long as the learning rate says."""
    steps = 2 * DECAY_EVERY + 2
    points = []

    def linear(x):
        points.append(x.copy())
        if len(points) == steps:
            raise StopOptimization("steps")
        return 0.0, np.full(SHAPE, 1e-3, np.float32)

    with pytest.raises(StopOptimization):
        SOLVERS["sgd"](linear, np.zeros(SHAPE, np.float32), LOW, HIGH, 1e-2)
    moves = [np.abs(after - before).max() for before, after in zip(points, points[1:])]
    assert moves[-1] / moves[DECAY_EVERY - 1] == pytest.approx(DECAY**2, rel=0.05)
