"""THE loss as a hill: its height and slope at pictures of one size, the best picture seen there, and when to stop.

What a painting asks for is worked out once for the size: Gram matrices, regions as each layer sees them, patches.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence

import numpy as np

from ..engines.mxnet import mx
from ..images.arrays import CHANNEL_MEANS, to_vgg_space
from ..images.regions import resize_regions
from ..losses.patches import Patches, patches_of
from ..losses.perceptual import PerceptualLoss
from ..losses.regions import carry, normalize_weights, region_weights
from ..losses.style_target import StyleTarget
from ..networks.vgg import convolutions_of, load_vgg
from .options import OptimizeOptions
from .solvers import DESCENTS, StopOptimization

__all__ = ["Objective"]

PATIENCE = 10  # evaluations over which a descent has to pay
WRAP = 64  # pixels of the other side that a tileable texture sees at each border


class Objective:
    """What a descent on pictures of one size sees.

    photo: whose content to keep, uint8 (H, W, 3), or None.  paintings: uint8, in the size that their style is taken at;
    or their `target` instead.  regions: of the one painting and of the picture, (R, H, W) each, or None.

    After a descent: `best`, (1, 3, H, W) in VGG space, its `total` and weighted `losses`; `evaluations`, how many.
    """

    def __init__(
        self,
        options: OptimizeOptions,
        size: tuple[int, int],
        photo: np.ndarray | None,
        paintings: Sequence[np.ndarray],
        *,
        blend: Sequence[float] = (),
        target: StyleTarget | None = None,
        regions: tuple[np.ndarray, np.ndarray] | None = None,
        tileable: bool = False,
        context=None,
        bfloat16: bool | None = None,
    ):
        self.options, self.tileable, self.context = options, tileable, context or mx.cpu()
        if regions is not None:
            guides = region_weights(resize_regions(regions[1], *size), options.loss)
        elif tileable:
            guides = _inside(size, options.loss.style_layers)
        else:
            guides = []
        self._guides = [guide.as_in_context(self.context) for guide in guides]
        arrays = [mx.nd.array(to_vgg_space(painting)) for painting in paintings]
        own = None if regions is None or target else resize_regions(regions[0], *paintings[0].shape[:2])
        self._target = target or StyleTarget.of(options.loss, arrays, blend, own)
        self._patches: list = []
        if options.loss.patch_weight:
            self._patches = _patches_of(paintings[0], size, options, regions, self.context)
        self._photo = None if photo is None else mx.nd.array(to_vgg_space(photo), ctx=self.context)
        self._look(bfloat16)
        self.report: Callable[[Objective, dict, np.ndarray], None] = lambda slope, losses, x: None
        self.evaluations = 0
        self.best, self.total, self.losses = None, math.inf, {}
        self._last = None  # the picture evaluated before
        self._course: list[float] = []  # the best total after each evaluation

    def _look(self, bfloat16: bool | None) -> None:
        """Sets up the loss, in the precision asked for, after the one before has given its memory back."""
        self._release()
        self.loss = PerceptualLoss(self.options.loss, self._target, [self.context], bfloat16, self._patches)
        self._features = [] if self._photo is None else self.loss.content_features(self._photo)

    def _release(self) -> None:
        """Lets go of the loss and all its maps, which would else wait for Python to find the blocks' circles."""
        self.loss = self._features = None
        gc.collect()

    def descend(self, start: np.ndarray) -> str:
        """Descends from a picture (1, 3, H, W) in VGG space; returns why it ended, as `Descent` names it."""
        means = np.array(CHANNEL_MEANS, np.float32).reshape(1, 3, 1, 1)
        low, high = (np.broadcast_to(edge - means, start.shape) for edge in (0, 255))
        walk = DESCENTS[self.options.optimizer]
        self.best = self._last = start
        point, precise = np.clip(start, low, high), False
        try:
            while True:  # L-BFGS ends by itself where no step along its line is lower: begin anew from there
                before = self.total
                walk(self.evaluate, point, low, high, self.options.learning_rate)
                if self.total >= before * (1 - 1e-6):
                    if precise:
                        return "settled"
                    precise = True  # bfloat16 may be what stood in the way; its totals are not those of float32
                    self._look(False)
                    self.total, self._course = math.inf, []
                point = self.best
        except StopOptimization as settled:
            return str(settled)
        except KeyboardInterrupt:
            return "interrupted"
        finally:
            self._release()

    def evaluate(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns total loss and gradient of a picture (1, 3, H, W); raises StopOptimization when it is time to end."""
        picture = mx.nd.array(x, ctx=self.context)
        picture.attach_grad()
        with mx.autograd.record():
            terms = self.loss(_wrapped(picture) if self.tileable else picture, self._features, self._guides)
            total = sum(term.sum() for term in terms.values())
        total.backward()
        losses = {name: float(term.asscalar()) for name, term in terms.items()}
        value, gradient = sum(losses.values()), picture.grad.asnumpy()
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            raise StopOptimization("not finite")
        self.evaluations += 1
        change = np.linalg.norm(x - self._last) / max(np.linalg.norm(x), 1e-30)
        self._last = x.copy()
        if value < self.total:
            self.best, self.total, self.losses = x.copy(), value, losses
        self._course.append(self.total)
        self.report(self, losses, x)
        if self.evaluations >= self.options.steps:
            raise StopOptimization("steps")
        if self._no_longer_pays(change):
            raise StopOptimization("settled")
        return value, gradient

    def _no_longer_pays(self, change: float) -> bool:
        """Says whether to stop, by the rule of the options; change: of the picture in this step, as a share of it."""
        tolerance, course = self.options.tolerance, self._course
        if self.options.stop == "change":
            return self.evaluations > 1 and change < tolerance
        return len(course) > PATIENCE and course[-1 - PATIENCE] - course[-1] < tolerance * course[-1]


def _patches_of(painting: np.ndarray, size, options: OptimizeOptions, regions, context) -> list[tuple[Patches, object]]:
    """Returns the painting's patches in each patch layer, with the picture's regions there, or None."""
    loss = options.loss
    network = load_vgg(loss.patch_layers, loss.loss_network, pooling=loss.pooling, bfloat16=False, contexts=[context])
    maps = network(mx.nd.array(to_vgg_space(painting), ctx=context))
    if regions is None:
        return [(patches_of(layer), None) for layer in maps]
    pairs = []
    own, other = (
        carry(resize_regions(part, *edges), loss.patch_layers, convolutions_of(loss.loss_network))
        for part, edges in zip(regions, (painting.shape[:2], size))
    )
    for name, layer in zip(loss.patch_layers, maps):
        # Each place belongs to one region: with shares, the places deepest within a region would win every match.
        mine, its = ((part[name] == part[name].max(axis=0)).astype(np.float32) for part in (own, other))
        pairs.append((patches_of(layer, mine), mx.nd.array(its[None], ctx=context)))
    return pairs


def _inside(size: tuple[int, int], layers: Sequence[str]) -> list:
    """Returns guides that count each place of a wrapped picture once: its frame is there to be seen, not judged."""
    guides = []
    for layer in layers:
        shrink = 2 ** (int(layer.removeprefix("relu")[0]) - 1)
        inside = np.zeros((1, *((edge + 2 * WRAP) // shrink for edge in size)), np.float32)
        rows, columns = (slice(WRAP // shrink, WRAP // shrink + edge // shrink) for edge in size)
        inside[:, rows, columns] = 1
        guides.append(normalize_weights(inside))
    return guides


def _wrapped(picture):
    """Returns a picture (1, 3, H, W) with its own other side around it, WRAP pixels wide."""
    for axis in (2, 3):
        places = np.arange(-WRAP, picture.shape[axis] + WRAP) % picture.shape[axis]
        picture = mx.nd.take(picture, mx.nd.array(places, ctx=picture.context), axis=axis)
    return picture
