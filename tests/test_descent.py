"""Ways downhill, on hills whose bottom is known."""

import contextlib

import numpy as np
import pytest

from e2e_art.optimize.solvers import DECAY, DECAY_EVERY, DESCENTS, MOMENTUM, WEIGHT_DECAY, StopOptimization

pytestmark = pytest.mark.numerical

SHAPE = (1, 3, 4, 5)
LOW, HIGH = np.full(SHAPE, -100, np.float32), np.full(SHAPE, 100, np.float32)


class Bowl:
    """sum(stretch * (x - bottom)^2): counts its evaluations, keeps the points, and ends after `steps`."""

    def __init__(self, bottom, stretch=1.0, steps: int = 60):
        self.bottom, self.stretch, self.steps, self.points, self.values = bottom, stretch, steps, [], []

    def __call__(self, x):
        assert x.shape == SHAPE
        assert x.dtype == np.float32
        self.points.append(x.copy())
        self.values.append(float((self.stretch * (x - self.bottom) ** 2).sum()))
        if len(self.points) == self.steps:
            raise StopOptimization("steps")
        return self.values[-1], (2 * self.stretch * (x - self.bottom)).astype(np.float32)

    def descend(self, method: str, start, rate: float = 1.0) -> None:
        with pytest.raises(StopOptimization, match="steps"):
            DESCENTS[method](self, start, LOW, HIGH, rate)


def random_picture(seed: int, size: float = 50) -> np.ndarray:
    return np.random.RandomState(seed).uniform(-size, size, SHAPE).astype(np.float32)


@pytest.mark.parametrize(("method", "rate", "left"), [("lbfgs", 1, 1e-6), ("adam", 5, 0.05), ("sgd", 0.01, 0.05)])
def test_each_comes_near_the_bottom(method, rate, left):
    bowl = Bowl(random_picture(1), stretch=np.linspace(1, 10, 60).reshape(SHAPE) if method == "lbfgs" else 1.0)
    start = random_picture(2)
    with contextlib.suppress(StopOptimization):
        DESCENTS[method](bowl, start, LOW, HIGH, rate)
    assert np.array_equal(bowl.points[0], start)
    assert min(bowl.values) < left * bowl.values[0]


@pytest.mark.parametrize("method", DESCENTS)
def test_none_steps_over_the_bounds(method):
    bowl = Bowl(np.full(SHAPE, 500, np.float32), steps=60)
    with contextlib.suppress(StopOptimization):
        DESCENTS[method](bowl, random_picture(2), LOW, HIGH, 5.0)
    assert max(point.max() for point in bowl.points) <= 100 + 1e-4
    assert bowl.points[int(np.argmin(bowl.values))].min() == pytest.approx(100, abs=0.01)  # the nearest there is


@pytest.mark.parametrize("height", [1e-6, 1e6])
def test_the_first_step_of_lbfgs_is_no_shorter_on_flat_slopes(height):
    bowl = Bowl(random_picture(1), stretch=height, steps=3)
    bowl.descend("lbfgs", random_picture(2))
    assert bowl.values[1] < 0.9 * bowl.values[0]


def test_adam_begins_with_a_step_of_its_rate():
    bowl = Bowl(random_picture(1), steps=2)
    bowl.descend("adam", random_picture(2), rate=3.0)
    moved = bowl.points[1] - bowl.points[0]
    assert np.allclose(moved, -3.0 * np.sign(bowl.points[0] - bowl.bottom), atol=1e-4)


def test_sgd_is_that_of_the_2016_example():
    """By hand: x -= rate (g + m v) with v = m v + g, g cut to the picture's number of values, plus decay of x."""
    bowl = Bowl(random_picture(1), steps=4)
    x, velocity = random_picture(2).astype(np.float64), 0
    bowl.descend("sgd", x.astype(np.float32), rate=0.01)
    for point in bowl.points:
        assert np.allclose(point, x, atol=1e-3)
        gradient = 2 * (x - bowl.bottom)
        length = np.sqrt((gradient**2).sum())
        assert length > x.size  # so that it is cut
        gradient = gradient * x.size / length + WEIGHT_DECAY * x
        velocity = MOMENTUM * velocity + gradient
        x = x - 0.01 * (gradient + MOMENTUM * velocity)


def test_the_rate_of_sgd_falls():
    """On a slope without end, weights that hardly decay: late steps are as long as the rate says."""
    steps = 2 * DECAY_EVERY + 2
    points = []

    def slope(x):
        points.append(x.copy())
        if len(points) == steps:
            raise StopOptimization("steps")
        return 0.0, np.full(SHAPE, 1e-3, np.float32)

    with pytest.raises(StopOptimization):
        DESCENTS["sgd"](slope, np.zeros(SHAPE, np.float32), LOW, HIGH, 1e-2)
    moves = [np.abs(after - before).max() for before, after in zip(points, points[1:])]
    assert moves[-1] / moves[DECAY_EVERY - 1] == pytest.approx(DECAY**2, rel=0.05)
