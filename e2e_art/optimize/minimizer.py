"""The minimization of an objective by a solver: the best picture, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..images.arrays import CHANNEL_MEANS
from .objective import Objective
from .options import OptimizeOptions
from .solvers import SOLVERS, StopOptimization

__all__ = ["Minimizer"]

PATIENCE = 10  # evaluations within which the loss has to fall


class Minimizer:
    """Minimizes an objective over pictures of one size.

    on_evaluation: called after each evaluation with this, the weighted terms and the picture, (1, 3, H, W).

    Afterwards: `best`, the best picture, (1, 3, H, W), its weighted `losses` and `total`; `evaluations`, how many.
    """

    def __init__(self, objective: Objective, options: OptimizeOptions, on_evaluation: Callable[..., None]):
        self.objective, self.options, self.on_evaluation = objective, options, on_evaluation
        self.evaluations, self.total = 0, math.inf
        self.losses: dict[str, float] = {}
        self._totals: list[float] = []  # the best one after each evaluation

    def minimize(self, start: np.ndarray) -> str:
        """Begins at a picture (1, 3, H, W) in VGG space; returns why it ended, as `Result` names it."""
        means = np.array(CHANNEL_MEANS, np.float32).reshape(1, 3, 1, 1)
        low, high = (np.broadcast_to(limit - means, start.shape) for limit in (0, 255))
        solve = SOLVERS[self.options.optimizer]
        self.best = self._previous = start
        point, precise = np.clip(start, low, high), False
        try:
            while True:  # L-BFGS returns where no step along its line is lower: restart it from there
                before = self.total
                solve(self._evaluate, point, low, high, self.options.learning_rate)
                if self.total >= before * (1 - 1e-6):
                    if precise:
                        return "settled"
                    precise = True  # bfloat16 may be the reason; its totals differ from those of float32
                    self.objective.set_precision(bfloat16=False)
                    self.total, self._totals = math.inf, []
                point = self.best
        except StopOptimization as stop:
            return str(stop)
        except KeyboardInterrupt:
            return "interrupted"
        finally:
            self.objective.release()

    def _evaluate(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns total loss and gradient of a picture (1, 3, H, W); raises StopOptimization when it is time to end."""
        losses, gradient = self.objective(x)
        value = sum(losses.values())
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            raise StopOptimization("not finite")
        self.evaluations += 1
        change = float(np.linalg.norm(x - self._previous)) / max(float(np.linalg.norm(x)), 1e-30)
        self._previous = x.copy()
        if value < self.total:
            self.best, self.total, self.losses = self._previous, value, losses
        self._totals.append(self.total)
        self.on_evaluation(self, losses, x)
        if self.evaluations >= self.options.steps:
            raise StopOptimization("steps")
        if self._has_settled(change):
            raise StopOptimization("settled")
        return value, gradient

    def _has_settled(self, change: float) -> bool:
        """Applies the stopping rule of the options; change: of the picture in this step, relative to its norm."""
        tolerance, totals = self.options.tolerance, self._totals
        if self.options.stop == "change":
            return self.evaluations > 1 and change < tolerance
        return len(totals) > PATIENCE and totals[-1 - PATIENCE] - totals[-1] < tolerance * totals[-1]
