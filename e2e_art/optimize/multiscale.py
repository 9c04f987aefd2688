"""Optimization of one picture, from coarse to fine: the perceptual loss, minimized over its pixels.

No network learns here.  A picture is changed step by step until its features are those that the loss asks for: the
content of the photo in the style of the painting, or, without a photo, the texture of the painting.  It takes minutes a
picture instead of a second, and reaches the lowest loss; so it is the baseline of trained models.

L. Gatys, A. Ecker, M. Bethge: A Neural Algorithm of Artistic Style, arXiv 1508.06576; the same: Texture Synthesis Using
Convolutional Neural Networks, arXiv 1505.07376.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..errors import OptionError
from ..images.arrays import CHANNEL_MEANS, from_vgg_space, to_vgg_space
from ..images.regions import resize_regions
from ..images.resize import resize
from ..losses.style_target import StyleTarget, painting_at, smallest_side
from .objective import Objective
from .options import OptimizeOptions
from .solvers import SOLVERS, StopOptimization

__all__ = ["Evaluation", "Result", "noise_picture", "optimize"]

log = logging.getLogger(__name__)

MOST_SCALES = 4  # of the smallest pictures: as many as what begins with noise has by default
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


@dataclass(frozen=True)
class Result:
    """The result of an optimization.

    reason: why it ended: "settled", "steps", "interrupted", "not finite", or the words of a StopOptimization.
    losses and total: of the picture; empty and infinite where not even the start had a finite loss.
    """

    picture: np.ndarray  # uint8 (H, W, 3)
    losses: dict[str, float]
    total: float
    reason: str
    evaluations: list[Evaluation]


def noise_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Returns noise around middle gray to start from, uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    return np.clip(random.normal(118, 32, (height, width, 3)), 0, 255).astype(np.uint8)


class _Minimizer:
    """Minimizes the objectives of one scale after the other.

    Afterwards: `evaluations`, all reports; `best`, the best picture of the last scale, and its weighted `losses`.
    """

    def __init__(self, options: OptimizeOptions, on_evaluation: Callable[[Evaluation, np.ndarray], None]):
        self.options, self.on_evaluation = options, on_evaluation
        self.evaluations: list[Evaluation] = []
        self.losses: dict[str, float] = {}
        self._began = time.perf_counter()

    def minimize(self, make: Callable[..., Objective], start: np.ndarray, scale: int, bfloat16: bool | None) -> str:
        """Begins at a picture (1, 3, H, W) in VGG space; returns why it ended, as `Result` names it.

        make: returns the objective, given whether it computes in bfloat16.
        """
        means = np.array(CHANNEL_MEANS, np.float32).reshape(1, 3, 1, 1)
        low, high = (np.broadcast_to(limit - means, start.shape) for limit in (0, 255))
        solve, point = SOLVERS[self.options.optimizer], np.clip(start, low, high)
        self._step, self._previous = 0, start
        try:
            for precision in (bfloat16, False):  # bfloat16 may be why it settles; its totals differ from float32's
                evaluate = None  # frees the memory of the objective before
                evaluate = partial(self._evaluate, make(bfloat16=precision), scale)
                self._lowest, before = [math.inf], math.inf  # total, at first and after each evaluation
                while before == math.inf or self._lowest[-1] < before * (1 - 1e-6):
                    before = self._lowest[-1]
                    solve(evaluate, point, low, high, self.options.learning_rate)
                    point = self.best  # L-BFGS returns where no step along its line is lower: restart it from there
            return "settled"
        except StopOptimization as stop:
            return str(stop)
        except KeyboardInterrupt:
            return "interrupted"

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


def optimize(
    start: np.ndarray,
    styles: Sequence[np.ndarray],
    photo: np.ndarray | None = None,
    options: OptimizeOptions | None = None,
    *,
    blend: Sequence[float] = (),
    target: StyleTarget | None = None,
    regions: tuple[np.ndarray, np.ndarray] | None = None,
    tileable: bool = False,
    on_evaluation: Callable[[Evaluation, np.ndarray], None] = lambda evaluation, picture: None,
    device=None,
    bfloat16: bool | None = None,
) -> Result:
    """Minimizes the loss over the pixels of a picture.

    All pictures are uint8 RGB, (H, W, 3).  start: where to begin, in the size of the result.
    styles: paintings, with their shares in `blend`; or none, and their style as `target`.
    photo: whose content to keep; None makes a texture.  tileable: the texture continues at its other side.
    regions: of the one painting and of the result, each (R, H, W) float32: each region of the result takes the style of
    the painting's region of the same number; with a target of regions only the second is used.
    on_evaluation: called after each evaluation with its report and the picture, (1, 3, H, W) in VGG space.  What it
    raises ends the optimization: after KeyboardInterrupt or StopOptimization the result is the best picture so far.
    device: to compute on, the CPU by default.  bfloat16: None takes it where the device is fast at it.

    Raises OptionError for pictures too small for the loss, and for what does not go together.
    """
    options = options or OptimizeOptions()
    if regions is not None and (tileable or (len(styles) != 1 and not target)):
        raise OptionError("Regions need one painting, and cannot be tiled: leave one of them out")
    if tileable and photo is not None:
        raise OptionError("Only a texture tiles: leave the photo out, or --tileable")
    if photo is None:
        options = replace(options, loss=replace(options.loss, content_weight=0.0))
    height, width = start.shape[:2]
    smallest = smallest_side(options.loss)
    if min(height, width) < smallest:
        raise OptionError(
            f"A picture needs {smallest} pixels or more on each side, not {width}x{height}: give a larger --size, or "
            "another picture"
        )
    most = max(MOST_SCALES, 1 + math.floor(2 * math.log2(min(height, width) / smallest)))
    if options.scales > most:
        raise OptionError(f"Of {width}x{height} pixels there are {most} --scales at most, not {options.scales}")
    minimizer, picture = _Minimizer(options, on_evaluation), start
    for scale in range(options.scales):
        factor = math.sqrt(0.5) ** (options.scales - 1 - scale)
        size = (max(smallest, round(height * factor)), max(smallest, round(width * factor)))
        edge, name = max(1, round(options.style_size * factor)), "The painting" if factor == 1 else ""
        paintings = [painting_at(style, edge, options.loss, name) for style in styles]

        def make(bfloat16: bool | None, size=size, paintings=paintings) -> Objective:
            parts = None if target or not regions else resize_regions(regions[0], *paintings[0].shape[:2])
            return Objective(
                options.loss,
                target or StyleTarget.of(options.loss, [*map(to_vgg_space, paintings)], blend, parts),
                size,
                None if photo is None else resize(photo, *size),
                regions=resize_regions(regions[1], *size) if regions else None,
                tileable=tileable,
                device=device,
                bfloat16=bfloat16,
            )

        reason = minimizer.minimize(make, to_vgg_space(resize(picture, *size)), scale, bfloat16)
        if reason == "interrupted" and not minimizer.evaluations:
            raise KeyboardInterrupt
        if minimizer.losses:
            picture = from_vgg_space(minimizer.best)
        log.debug("Scale %d of %d ended: %s", scale + 1, options.scales, reason)
        if reason in ("interrupted", "not finite"):
            break
    total = sum(minimizer.losses.values()) if minimizer.losses else math.inf
    return Result(resize(picture, height, width), minimizer.losses, total, reason, minimizer.evaluations)
