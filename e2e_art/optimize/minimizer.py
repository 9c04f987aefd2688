"""The minimization of objectives by a solver: the best picture so far, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..images.arrays import CHANNEL_MEANS
from .objective import Objective
from .options import OptimizeOptions
from .solvers import SOLVERS, StopOptimization

__all__ = ["Evaluation", "Minimizer"]

PATIENCE = 10  # evaluations within which the loss has to fall


@dataclass(frozen=True)
class Evaluation:
    """The report of one evaluation of the loss."""

    scale: int  # counted from 0
    scales: int
    size: tuple[int, int]  # H, W
    step: int  # evaluations on this scale so far
    steps: int  # at most
    losses: dict[str, float]  # style, content, tv, weighted
    total: float
    best: float  # the lowest total on this scale
    seconds: float  # since the beginning


class Minimizer:
    """Minimizes the objectives of one scale after the other.

    on_evaluation: called after each evaluation with its report and the picture, (1, 3, H, W) in VGG space.

    Afterwards: `evaluations`, all reports; `best`, the best picture of the last scale, and its weighted `losses`.
    """

    def __init__(self, options: OptimizeOptions, on_evaluation: Callable[[Evaluation, np.ndarray], None]):
        self.options, self.on_evaluation = options, on_evaluation
        self.evaluations: list[Evaluation] = []
        self.losses: dict[str, float] = {}
        self._began = time.perf_counter()

    def minimize(self, objective: Objective, start: np.ndarray, scale: int) -> str:
        """Begins at a picture (1, 3, H, W) in VGG space; returns why it ended, as `Result` names it."""
        means = np.array(CHANNEL_MEANS, np.float32).reshape(1, 3, 1, 1)
        low, high = (np.broadcast_to(limit - means, start.shape) for limit in (0, 255))
        evaluate, solve = partial(self._evaluate, objective, scale), SOLVERS[self.options.optimizer]
        self._step, self._previous = 0, start
        self._lowest = [math.inf]  # total, at first and after each evaluation
        point, precise = np.clip(start, low, high), False
        try:
            while True:  # L-BFGS returns where no step along its line is lower: restart it from there
                before = self._lowest[-1]
                solve(evaluate, point, low, high, self.options.learning_rate)
                if self._lowest[-1] >= before * (1 - 1e-6):
                    if precise:
                        return "settled"
                    precise = True  # bfloat16 may be the reason; its totals differ from those of float32
                    objective.set_precision(bfloat16=False)
                    self._lowest = [math.inf]
                point = self.best
        except StopOptimization as stop:
            return str(stop)
        except KeyboardInterrupt:
            return "interrupted"
        finally:
            objective.release()

    def _evaluate(self, objective: Objective, scale: int, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns total loss and gradient of a picture (1, 3, H, W); raises StopOptimization when it is time to end."""
        options = self.options
        losses, gradient = objective(x)
        total = sum(losses.values())
        if not (math.isfinite(total) and np.isfinite(gradient).all()):
            raise StopOptimization("not finite")
        self._step += 1
        change = float(np.linalg.norm(x - self._previous)) / max(float(np.linalg.norm(x)), 1e-30)
        self._previous = x.copy()
        if total < self._lowest[-1]:
            self.best, self.losses = self._previous, losses
        self._lowest.append(min(total, self._lowest[-1]))
        place = (scale, options.scales, (x.shape[2], x.shape[3]), self._step, options.steps)
        seconds = time.perf_counter() - self._began
        self.evaluations.append(Evaluation(*place, losses, total, self._lowest[-1], seconds))
        self.on_evaluation(self.evaluations[-1], x)
        if self._step >= options.steps:
            raise StopOptimization("steps")
        if options.stop == "change":
            settled = self._step > 1 and change < options.tolerance
        else:
            fallen = self._lowest[max(0, len(self._lowest) - 1 - PATIENCE)] - self._lowest[-1]
            settled = fallen < options.tolerance * self._lowest[-1]
        if settled:
            raise StopOptimization("settled")
        return total, gradient
