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

from .backend import mx
from .descent import DESCENTS, Settled
from .errors import OptionError
from .images import CHANNEL_MEANS, from_vgg_space, resize, resize_long_edge, to_vgg_space
from .losses import PerceptualLoss, style_targets
from .options import DescentOptions
from .patches import patches_of
from .regions import carry, resize_regions
from .vgg import load_vgg

__all__ = ["Descent", "Evaluation", "noise_picture", "optimize"]

log = logging.getLogger(__name__)

SMALLEST = 16  # pixels, which four poolings bring down to one
PATIENCE = 10  # evaluations over which a descent has to pay
WRAP = 64  # pixels of the other side that a tileable texture sees at each border


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
    """Where a descent arrived.  reason: why it ended there: "settled", "steps", "interrupted" or "not finite"."""

    picture: np.ndarray  # uint8 (H, W, 3)
    losses: dict[str, float]
    total: float
    reason: str
    evaluations: list[Evaluation]


def noise_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Returns a picture of noise around middle gray to start from, uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    return np.clip(random.normal(118, 32, (height, width, 3)), 0, 255).astype(np.uint8)


def optimize(
    start: np.ndarray,
    styles: Sequence[np.ndarray],
    photo: np.ndarray | None = None,
    options: DescentOptions | None = None,
    *,
    blend: Sequence[float] = (),
    targets: Sequence[np.ndarray] | None = None,
    regions: tuple[np.ndarray, np.ndarray] | None = None,
    tileable: bool = False,
    on_evaluation: Callable[[Evaluation, np.ndarray], None] = lambda evaluation, picture: None,
    contexts: Sequence | None = None,
    bfloat16: bool | None = None,
) -> Descent:
    """Returns the picture that a descent from `start` arrives at.

    start: where to begin, and how large the result is.  styles: paintings, with their shares in `blend`; or none, and
    the Gram matrices to reach as `targets`, as `style_targets` returns them.
    photo: whose content to keep; None makes a texture.  tileable: the result continues at its other side.
    regions: of the one painting and of the result, each (R, H, W) float32: each region of the result takes its style
    from the painting's region of that number.  All pictures are uint8 RGB, (H, W, 3).

    on_evaluation is called after each evaluation with a report and the picture there, (1, 3, H, W) in VGG space; a
    KeyboardInterrupt raised by it ends the descent with the best picture so far.

    Raises OptionError for pictures too small to look at, and for regions of a tile or of several paintings.
    """
    if regions is not None and (tileable or len(styles) != 1):
        raise OptionError("Regions need one painting, and cannot be tiled: leave one of them out")
    if options is not None and options.loss.patch_weight and len(styles) != 1:
        raise OptionError("Patches are those of one painting: leave the others out, or --patch-weight")
    options = options or DescentOptions()
    if photo is None:
        options = replace(options, loss=replace(options.loss, content_weight=0.0))
    height, width = start.shape[:2]
    if min(height, width) < SMALLEST:
        raise OptionError(f"A picture needs {SMALLEST} pixels or more on each side, not {width}x{height}")
    picture, evaluations, began = start, [], time.perf_counter()
    for scale in range(options.scales):
        factor = math.sqrt(0.5) ** (options.scales - 1 - scale)
        size = [max(SMALLEST, round(edge * factor)) for edge in (height, width)]
        style_edge = max(SMALLEST, round(options.style_size * factor))
        paintings = [resize_long_edge(style, style_edge) for style in styles]
        guides = []
        if regions is not None:
            sizes = (paintings[0].shape[:2], tuple(size))
            guides = [_guides_of(part, edges, options.loss.style_layers) for part, edges in zip(regions, sizes)]
        slope = _Slope(
            targets or _targets_of(paintings, options, blend, guides[:1]),
            None if photo is None else resize(photo, *size),
            options, guides[1:], tileable, contexts, bfloat16,
            _patches_of(paintings, tuple(size), options, regions) if options.loss.patch_weight else [],
        )  # fmt: skip

        def report(losses: dict[str, float], best: float, x: np.ndarray, slope=slope, scale=scale, size=size) -> None:
            step, seconds = slope.evaluations, time.perf_counter() - began
            total = sum(losses.values())
            evaluation = Evaluation(
                scale, options.scales, tuple(size), step, options.steps, losses, total, best, seconds
            )
            evaluations.append(evaluation)
            on_evaluation(evaluation, x)

        slope.report = report
        reason = slope.descend(to_vgg_space(resize(picture, *size)))
        picture = from_vgg_space(slope.best)
        log.debug("scale %d of %d: %s after %d evaluations", scale + 1, options.scales, reason, slope.evaluations)
        if reason in ("interrupted", "not finite"):
            break
    return Descent(resize(picture, height, width), slope.best_losses, slope.best_total, reason, evaluations)


def _targets_of(paintings: Sequence[np.ndarray], options: DescentOptions, blend, guides) -> list[np.ndarray]:
    return style_targets(options.loss, [mx.nd.array(to_vgg_space(painting)) for painting in paintings], blend, *guides)


def _guides_of(regions: np.ndarray, size: tuple[int, int], layers: Sequence[str]) -> list:
    """Returns what each style layer sees of the regions (R, H, W) of a picture, as `gram_matrix` takes it."""
    carried = carry(resize_regions(regions, *size), layers)
    rows = [carried[layer].reshape(len(regions), 1, -1) for layer in layers]  # each (R, 1, H * W)
    return [mx.nd.array(row / np.linalg.norm(row, axis=2, keepdims=True)) for row in rows]


def _patches_of(paintings, size: tuple[int, int], options: DescentOptions, regions) -> list[tuple]:
    """Returns the painting's patches in each patch layer, with the result's regions there, or None."""
    loss = options.loss
    network = load_vgg(loss.patch_layers, loss.loss_network, pooling=loss.pooling, bfloat16=False)
    maps = network(mx.nd.array(to_vgg_space(paintings[0])))
    if regions is None:
        return [(patches_of(layer), None) for layer in maps]
    sizes = (paintings[0].shape[:2], size)
    own, other = (carry(resize_regions(part, *edges), loss.patch_layers) for part, edges in zip(regions, sizes))
    return [
        (patches_of(layer, own[name]), mx.nd.array(other[name][None])) for name, layer in zip(loss.patch_layers, maps)
    ]


class _Slope:
    """The loss of pictures of one size, and the best one seen on it."""

    def __init__(self, targets, photo, options: DescentOptions, guides, tileable: bool, contexts, bfloat16, patches):
        self.options, self.tileable, self._targets, self._patches = options, tileable, targets, patches
        self.context = (contexts or [mx.cpu()])[0]
        self._guides = [guide.as_in_context(self.context) for layers in guides for guide in layers]
        self._photo = None if photo is None else mx.nd.array(to_vgg_space(photo), ctx=self.context)
        self._look(bfloat16)
        self.report: Callable = lambda losses, best, x: None
        self.evaluations = 0
        self.best, self.best_total, self.best_losses = None, math.inf, {}
        self._last = None  # the picture evaluated before
        self._course: list[float] = []  # the best total after each evaluation

    def _look(self, bfloat16: bool | None) -> None:
        """Sets up the loss, in the precision asked for."""
        self.loss = PerceptualLoss(self.options.loss, self._targets, [self.context], bfloat16, self._patches)
        self._features = [] if self._photo is None else self.loss.content_features(self._photo)

    def descend(self, start: np.ndarray) -> str:
        """Descends from a picture (1, 3, H, W) in VGG space; returns why it ended."""
        means = np.array(CHANNEL_MEANS, np.float32).reshape(1, 3, 1, 1)
        low, high = (np.broadcast_to(edge - means, start.shape) for edge in (0, 255))
        walk = DESCENTS[self.options.optimizer]
        self.best = self._last = start
        point, precise = np.clip(start, low, high), False
        try:
            while True:  # L-BFGS ends by itself where no step along its line is lower: begin anew from there
                before = self.best_total
                walk(self.evaluate, point, low, high, self.options.learning_rate)
                if self.best_total >= before * (1 - 1e-6):
                    if precise:
                        return "settled"
                    precise = True  # bfloat16 may be what stood in the way
                    self._look(False)
                point = self.best
        except Settled as settled:
            return str(settled)
        except KeyboardInterrupt:
            return "interrupted"

    def evaluate(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns total loss and gradient of a picture (1, 3, H, W); raises Settled when it is time to end."""
        picture = mx.nd.array(x, ctx=self.context)
        picture.attach_grad()
        with mx.autograd.record():
            terms = self.loss(_wrapped(picture) if self.tileable else picture, self._features, self._guides)
            total = sum(term.sum() for term in terms.values())
        total.backward()
        losses = {name: float(term.asscalar()) for name, term in terms.items()}
        value, gradient = sum(losses.values()), picture.grad.asnumpy()
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            raise Settled("not finite")
        self.evaluations += 1
        change = np.linalg.norm(x - self._last) / max(np.linalg.norm(x), 1e-30)
        self._last = x.copy()
        if value < self.best_total:
            self.best, self.best_total, self.best_losses = x.copy(), value, losses
        self._course.append(self.best_total)
        self.report(losses, self.best_total, x)
        if self.evaluations >= self.options.steps:
            raise Settled("steps")
        if self._no_longer_pays(change):
            raise Settled("settled")
        return value, gradient

    def _no_longer_pays(self, change: float) -> bool:
        """Says whether to stop, by the rule of the options; change: of the picture in this step, as a share of it."""
        tolerance, course = self.options.tolerance, self._course
        if self.options.stop == "change":
            return self.evaluations > 1 and change < tolerance
        return len(course) > PATIENCE and course[-1 - PATIENCE] - course[-1] < tolerance * course[-1]


def _wrapped(picture):
    """Returns a picture (1, 3, H, W) with its own other side around it, WRAP pixels wide."""
    for axis in (2, 3):
        places = np.arange(-WRAP, picture.shape[axis] + WRAP) % picture.shape[axis]
        picture = mx.nd.take(picture, mx.nd.array(places, ctx=picture.context), axis=axis)
    return picture
