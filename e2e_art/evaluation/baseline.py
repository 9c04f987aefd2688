"""The baseline, L-BFGS on the pixels, and how many of its evaluations a total loss is equivalent to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..losses.style_target import StyleTarget

__all__ = ["baseline_curve", "equivalent_evaluations", "equivalent_evaluations_text"]


def baseline_curve(
    photo: np.ndarray, target: StyleTarget, evaluations: int
) -> tuple[list[float], list[float], np.ndarray]:
    """Minimizes the default loss by L-BFGS, from the photo on.

    photo: uint8 (H, W, 3).  target: the style of the painting.  evaluations: how many at most, after that of the photo.
    Returns the lowest total after 0, 1, 2 ... evaluations, the seconds until then, and the resulting picture.
    """
    from ..optimize.multiscale import optimize
    from ..optimize.options import OptimizeOptions

    result = optimize(photo, [], photo, OptimizeOptions(steps=evaluations + 1, tolerance=0), target=target)
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    reports = result.evaluations
    return [report.best for report in reports], [report.seconds for report in reports], result.picture


def equivalent_evaluations(curve: Sequence[float], total: float) -> float:
    """Returns how many evaluations the baseline needs to reach a total, interpolated linearly; inf where it does not.

    curve: the lowest total after 0, 1, 2 ... evaluations.

    >>> equivalent_evaluations([13.0, 9.0, 5.0], 7.0)
    1.5
    """
    for count, (before, after) in enumerate(zip(curve, curve[1:])):
        if after <= total:
            return count + (max(0.0, before - total) / (before - after) if before > after else 0.0)
    return math.inf if not curve or curve[0] > total else 0.0


def equivalent_evaluations_text(curve: Sequence[float], total: float) -> str:
    """Returns `equivalent_evaluations` as text.

    >>> equivalent_evaluations_text([13.0, 9.0, 5.0], 7.0), equivalent_evaluations_text([13.0, 9.0, 5.0], 4.0)
    ('1.5', 'more than 2')
    """
    worth = equivalent_evaluations(curve, total)
    return f"more than {len(curve) - 1}" if math.isinf(worth) else f"{worth:.1f}"
