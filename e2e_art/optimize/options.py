"""Options of the optimization of one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import OptionError
from ..losses.options import LossOptions, check_choices, option

__all__ = ["OptimizeOptions"]

# Solvers, with their default learning rates; None for those that find one themselves.
LEARNING_RATES = {"lbfgs": None, "adam": 5.0, "sgd": None}


@dataclass(frozen=True)
class OptimizeOptions:
    """Options of the optimization of one picture: solver, stopping rule, sizes, loss."""

    optimizer: str = option("lbfgs", "solver", choices=tuple(LEARNING_RATES))
    steps: int = option(200, "evaluations of the loss at most, on each scale")
    learning_rate: float | None = option(
        None, "of adam: gray levels a step (5 by default); of sgd: factor on the gradient", kind=float
    )
    tolerance: float = option(0.01, "stop when 10 evaluations lower the loss by less than this share; 0 goes on")
    stop: str = option(
        "loss", "what the tolerance is of: the loss, or the change of the picture in a step", choices=("loss", "change")
    )
    scales: int = option(1, "sizes to go through from coarse to fine, each sqrt(2) times the one before; 4 from noise")
    style_size: int = option(400, "long edge of the painting, at the full size of the result")
    seed: int = option(0, "seed of the noise to start from")
    loss: LossOptions = LossOptions()

    def __post_init__(self):
        check_choices(self)
        for name in ("steps", "scales", "style_size"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name.replace('_', ' ')} must be at least 1, not {getattr(self, name)}")
        for name in ("tolerance", "seed"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.optimizer == "lbfgs" and self.learning_rate is not None:
            raise OptionError("lbfgs has no learning rate: leave it out, or choose adam or sgd")
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", LEARNING_RATES[self.optimizer])
        if self.loss.normalize_gradients and self.optimizer == "lbfgs":
            raise OptionError("Normalized gradients are not those of the loss, which lbfgs needs: choose adam or sgd")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise OptionError(f"learning rate must be above 0, not {self.learning_rate}")
