"""The baseline: THE loss, descended on the pixels themselves.

No network learns here.  A picture is changed little by little until its features are those that the loss wants:
the photo's content in the painting's style, or, without a photo, the painting's texture.  Minutes a picture instead
of a second, and the best there is.

L. Gatys, A. Ecker, M. Bethge: A Neural Algorithm of Artistic Style, arXiv 1508.06576; the same: Texture Synthesis Using
Convolutional Neural Networks, arXiv 1505.07376.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import OptionError
from ..images.arrays import from_vgg_space, to_vgg_space
from ..images.resize import resize, resize_long_edge, resize_short_edge
from ..losses.patches import EDGE
from ..losses.style_target import StyleTarget
from .objective import Objective
from .options import OptimizeOptions

__all__ = ["Descent", "Evaluation", "fitting_edge", "memory_needed", "noise_picture", "optimize"]

log = logging.getLogger(__name__)

# Bytes of memory that a descent takes, measured (docs/optimize.md): at all; for each pixel; with patches, more for it.
BYTES = 0.45e9
PIXEL_BYTES = {"lbfgs": 6300, "adam": 4600, "sgd": 4600}
PATCH_BYTES = 2300

SMALLEST = 16  # pixels, which four poolings bring down to one


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation of the loss reports."""

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
class Descent:
    """Where a descent arrived.

    reason: why it ended there: "settled", "steps", "interrupted", "not finite", or what a StopOptimization said.
    losses and total: of the picture; empty and infinite where not even the start had a finite loss.
    """

    picture: np.ndarray  # uint8 (H, W, 3)
    losses: dict[str, float]
    total: float
    reason: str
    evaluations: list[Evaluation]


def memory_needed(options: OptimizeOptions, height: int, width: int) -> float:
    """Returns about how many bytes of memory a descent on a picture of that size takes."""
    return BYTES + height * width * _pixel_bytes(options)


def fitting_edge(options: OptimizeOptions, height: int, width: int, free: float) -> int:
    """Returns the long edge at which a picture of that shape fits into the free bytes; 0 where none does."""
    return math.floor(max(height, width) * math.sqrt(max(0, free - BYTES) / (height * width * _pixel_bytes(options))))


def _pixel_bytes(options: OptimizeOptions) -> int:
    return PIXEL_BYTES[options.optimizer] + (PATCH_BYTES if options.loss.patch_weight else 0)


def noise_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Returns a picture of noise around middle gray to start from, uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    return np.clip(random.normal(118, 32, (height, width, 3)), 0, 255).astype(np.uint8)


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
    contexts: Sequence | None = None,
    bfloat16: bool | None = None,
) -> Descent:
    """Returns the picture that a descent from `start` arrives at.

    start: where to begin, and how large the result is.  styles: paintings, with their shares in `blend`; or none, and
    their style as `target`.
    photo: whose content to keep; None makes a texture.  tileable: the result continues at its other side.
    regions: of the one painting and of the result, each (R, H, W) float32: each region of the result takes its style
    from the painting's region of that number; with a target, that of each region.  All pictures are uint8 RGB,
    (H, W, 3).

    on_evaluation is called after each evaluation with a report and the picture there, (1, 3, H, W) in VGG space.  What
    it raises ends the descent: after KeyboardInterrupt or StopOptimization the result is the best picture so far.

    Raises OptionError for pictures too small to look at, and for what does not go together.
    """
    options = options or OptimizeOptions()
    _check(options, len(styles), photo, regions, tileable, target is not None)
    if photo is None:
        options = replace(options, loss=replace(options.loss, content_weight=0.0))
    height, width = start.shape[:2]
    smallest = _smallest(options)
    if min(height, width) < smallest:
        raise OptionError(f"A picture needs {smallest} pixels or more on each side, not {width}x{height}")
    best, evaluations, began = None, [], time.perf_counter()
    picture = start
    for scale in range(options.scales):
        factor = math.sqrt(0.5) ** (options.scales - 1 - scale)
        size = tuple(max(smallest, round(edge * factor)) for edge in (height, width))

        def report(slope: Objective, losses: dict[str, float], x: np.ndarray, scale=scale, size=size) -> None:
            seconds = time.perf_counter() - began
            place = (scale, options.scales, size, slope.evaluations, options.steps)
            evaluations.append(Evaluation(*place, losses, sum(losses.values()), slope.total, seconds))
            on_evaluation(evaluations[-1], x)

        try:
            slope = Objective(
                options,
                size,
                None if photo is None else resize(photo, *size),
                [_scaled(style, round(options.style_size * factor), smallest) for style in styles],
                blend=blend,
                target=target,
                regions=regions,
                tileable=tileable,
                context=contexts[0] if contexts else None,
                bfloat16=bfloat16,
            )
            slope.report = report
            reason = slope.descend(to_vgg_space(resize(picture, *size)))
        except KeyboardInterrupt:  # between two scales
            if best is None:
                raise
            reason = "interrupted"
            break
        if slope.losses:
            best, picture = slope, from_vgg_space(slope.best)
        log.debug("scale %d of %d: %s after %d evaluations", scale + 1, options.scales, reason, slope.evaluations)
        if reason in ("interrupted", "not finite"):
            break
    losses, total = (best.losses, best.total) if best else ({}, math.inf)
    return Descent(resize(picture, height, width), losses, total, reason, evaluations)


def _check(options: OptimizeOptions, paintings: int, photo, regions, tileable: bool, told: bool) -> None:
    if regions is not None and (tileable or (paintings != 1 and not told)):
        raise OptionError("Regions need one painting, and cannot be tiled: leave one of them out")
    if options.loss.patch_weight and paintings != 1:
        raise OptionError("Patches are those of one painting: leave the others out, or --patch-weight")
    if tileable and photo is not None:
        raise OptionError("Only a texture tiles: leave the photo out, or --tileable")


def _smallest(options: OptimizeOptions) -> int:
    """Returns how many pixels each side of a picture needs, so that every layer has something to see."""
    if not options.loss.patch_weight:
        return SMALLEST
    blocks = [int(layer.removeprefix("relu")[0]) for layer in options.loss.patch_layers]
    return max(SMALLEST, *(EDGE * 2 ** (block - 1) for block in blocks))


def _scaled(style: np.ndarray, edge: int, smallest: int) -> np.ndarray:
    """Returns a painting with its long edge as asked, but its short one large enough to look at."""
    small = resize_long_edge(style, max(smallest, edge))
    return small if min(small.shape[:2]) >= smallest else resize_short_edge(style, smallest)
