"""Options of the optimization of one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..errors import OptionError
from ..losses.options import LossOptions, Number, check_options, option
from ..networks.inputs import SEEDS

__all__ = ["OptimizeOptions"]

MaybeNumber = Optional[float]  # which are evaluated, and Python 3.9 knows no float | None
ABOVE_0 = Number(float, above=True)
# Solvers, with their default learning rates; None for those that find one themselves.
LEARNING_RATES = {"lbfgs": None, "adam": 5.0, "sgd": None}


@dataclass(frozen=True)
class OptimizeOptions:
    """Options of the optimization of one picture: solver, stopping rule, sizes, loss."""

    optimizer: str = option("lbfgs", "solver", choices=tuple(LEARNING_RATES))
    steps: int = option(200, "evaluations of the loss at most, on each scale", kind=Number(int, 1))
    learning_rate: MaybeNumber = option(
        None, "of adam: gray levels a step (5 by default); of sgd: factor on the gradient", kind=ABOVE_0
    )
    tolerance: float = option(
        0.01, "stop when 10 evaluations lower the loss by less than this share; 0 goes on", kind=Number(float)
    )
    stop: str = option(
        "loss", "what the tolerance is of: the loss, or the change of the picture in a step", choices=("loss", "change")
    )
    scales: int = option(
        1,
        "sizes to go through from coarse to fine, each sqrt(2) times the one before; 4 from noise",
        kind=Number(int, 1),
    )
    style_size: int = option(400, "long edge of the painting, at the full size of the result", kind=Number(int, 1))
    seed: int = option(0, "seed of the noise to start from", kind=Number(int, 0, SEEDS - 1))
    loss: LossOptions = LossOptions()

    def __post_init__(self):
        check_options(self)
        if self.optimizer == "lbfgs" and self.learning_rate is not None:
            raise OptionError("--learning-rate is for --optimizer adam or sgd: leave it out for lbfgs")
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", LEARNING_RATES[self.optimizer])
        if self.loss.normalize_gradients and self.optimizer == "lbfgs":
            raise OptionError("--normalize-gradients is for --optimizer adam or sgd: leave it out for lbfgs")
