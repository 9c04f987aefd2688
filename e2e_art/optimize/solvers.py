"""Solvers for the pixels of one picture: L-BFGS, Adam, and gradient descent with momentum.

Each takes a function that returns value and gradient at a point, and evaluates it at one point after the other.  It
returns nothing: the function sees all points, and ends the optimization by raising `StopOptimization`.

C. Zhu, R. Byrd, P. Lu, J. Nocedal: L-BFGS-B, ACM TOMS 23 (1997).  D. Kingma, J. Ba: Adam, arXiv 1412.6980.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["SOLVERS", "StopOptimization"]

MEMORY = 10  # pairs of steps and gradients that L-BFGS remembers
FIRST_MOVE = 0.01  # gray levels
FIRST_GAIN = 0.25  # share of the value that the first step of L-BFGS would take away, were the function linear
MOMENTUM, WEIGHT_DECAY, DECAY, DECAY_EVERY = 0.95, 1e-4, 0.9, 75  # of the MXNet example of 2016, nstyle.py

Array = np.ndarray
Evaluate = Callable[[Array], tuple[float, Array]]


class StopOptimization(Exception):
    """Ends an optimization from within the function that a solver evaluates."""


def lbfgs(evaluate: Evaluate, start: Array, low: Array, high: Array, learning_rate: float | None) -> None:
    """L-BFGS within bounds, which needs by far the fewest evaluations; it has no learning rate.

    By default its first step would be the gradient itself, here far shorter than a gray level, and the first
    evaluations would be spent on lengthening it.  So pixels are given to it in a unit in which that step would take
    FIRST_GAIN of the value away, were the function linear.
    """
    from scipy.optimize import Bounds, minimize

    known = [evaluate(start)]
    value, gradient = known[0]
    unit = np.sqrt(FIRST_GAIN * value) / max(np.linalg.norm(gradient), 1e-30)

    def scaled(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = known.pop() if known else evaluate((x * unit).reshape(start.shape).astype(np.float32))
        return value, unit * gradient.astype(np.float64).ravel()

    bounds = Bounds(low.ravel() / unit, high.ravel() / unit)
    options = {"maxcor": MEMORY, "ftol": 0, "gtol": 0, "maxiter": 10**9, "maxfun": 10**9}
    minimize(scaled, start.ravel() / unit, jac=True, method="L-BFGS-B", bounds=bounds, options=options)


def adam(evaluate: Evaluate, start: Array, low: Array, high: Array, learning_rate: float) -> None:
    """Adam, clipped to the bounds after each step of about `learning_rate` gray levels; it never ends by itself."""
    x, mean, square, step = start.copy(), np.zeros_like(start), np.zeros_like(start), 0
    while True:
        _, gradient = evaluate(x)
        step += 1
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        direction = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-16)
        x = np.clip(x - learning_rate * direction, low, high)


def sgd(evaluate: Evaluate, start: Array, low: Array, high: Array, learning_rate: float | None) -> None:
    """Gradient descent with Nesterov's momentum as in the MXNet example of 2016; it never ends by itself.

    The gradient is clipped to the norm of a picture of ones, pixels decay toward the mean color, and the learning rate
    is multiplied by 0.9 every 75 steps.  By default it is such that the first gradient alone moves pixels by FIRST_MOVE
    gray levels.
    """
    x, velocity, step = start.copy(), np.zeros_like(start), 0
    decay = WEIGHT_DECAY if learning_rate else 0.0  # which belongs to the learning rate of the example
    while True:
        _, gradient = evaluate(x)
        norm = max(float(np.linalg.norm(gradient)), 1e-30)
        learning_rate = learning_rate or FIRST_MOVE * np.sqrt(x.size) / norm
        gradient = gradient * min(1.0, x.size / norm) + decay * x
        velocity = MOMENTUM * velocity + gradient
        x = np.clip(x - learning_rate * DECAY ** (step // DECAY_EVERY) * (gradient + MOMENTUM * velocity), low, high)
        step += 1


SOLVERS: dict[str, Callable[..., None]] = {"lbfgs": lbfgs, "adam": adam, "sgd": sgd}
