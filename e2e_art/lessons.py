"""What a chain learns from: what each step shows it, what is asked of its pictures, and how it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .backend import mx
from .chain import Chain
from .frame import NOISE_PERIOD
from .images import read_image, resize_long_edge, resize_short_edge, to_vgg_space
from .losses import PerceptualLoss, style_targets
from .options import TrainingOptions
from .photos import PhotoStream

__all__ = ["Lesson", "PhotoLesson"]

VALIDATION_EDGE = 320  # short edge of the validation photos


class Lesson:
    """A chain learns a painting.

    options: which paintings, and what the loss weighs.  contexts: where to compute.

    Subclasses say what it is shown: `batches`, `prepare`, `features`, `paint`, `validate`.
    """

    keeps_best = False  # whether the best weights by validation count, rather than the last

    def __init__(self, options: TrainingOptions, chain: Chain, contexts: Sequence, bfloat16: bool | None = None):
        self.options, self.chain, self.contexts = options, chain, contexts
        styles = [to_vgg_space(resize_long_edge(read_image(path), options.style_size)) for path in options.styles]
        self.styles = [mx.nd.array(style) for style in styles]  # each (1, 3, H, W)
        targets = self.targets(options.loss)
        self.loss = PerceptualLoss(options.loss, targets, contexts, bfloat16)

    def targets(self, loss) -> list[np.ndarray]:
        """Returns the Gram matrices to reach, for the layers that loss options name."""
        return style_targets(loss, self.styles, self.options.style_blend)

    def features(self, given, position: int | None = None) -> list:
        """Returns what the pictures should keep of what was given; position: in training, its first crop's number."""
        return []

    def losses(self, picture, features) -> dict:
        """Returns the weighted terms of pictures, (N,) each."""
        return self.loss(picture, features)

    def terms(self, given, learning: Sequence[int], position: int) -> list[dict]:
        """Returns the weighted terms of each learning stage; gradients flow as the coupling says.

        given: of `prepare`.  position: the number of its first crop, which the noise follows.
        """
        coupling, boosts = self.options.coupling, self.options.style_boosts
        # Other noise each step, or else the stages would learn this one by heart; from the position, so as to resume.
        shift = int(np.random.RandomState(position % 2**32).randint(NOISE_PERIOD**2))
        with mx.autograd.pause():
            features = self.features(given, position)
            picture, guide = self.chain.begin(given, shift)
            for stage in range(learning[0]):  # stages that have learned before
                picture = self.chain.paint(stage, picture, guide)
        terms = []
        for stage in learning:
            before = picture
            below = before if coupling == "joint" else before.detach()
            picture = self.chain.paint(stage, below, guide, learning=True)
            if coupling == "straight-through" and stage > 0:  # later image gradients pass as if this stage did nothing
                picture = picture + (before - before.detach())
            losses = self.losses(self.chain.unframe(picture, given), features)
            boost = boosts[stage] if len(boosts) > 1 else boosts[0]
            terms.append({**losses, "style": losses["style"] * boost})
        return terms


class PhotoLesson(Lesson):
    """A chain paints crops of photos in the style of a painting."""

    def batches(self, size: int, position: int, workers: int = 1) -> PhotoStream:
        """Returns the stream of what the steps show, from the crop of that number on, each (N, size, size, 3)."""
        options = self.options
        return PhotoStream(
            options.photos,
            size,
            options.batch,
            seed=options.seed,
            limit=options.limit,
            list_file=options.list_file,
            position=position,
            workers=workers,
        )

    def prepare(self, batch: np.ndarray):
        """Returns a batch as networks take it, (N, 3, size, size)."""
        return mx.nd.array(np.concatenate([to_vgg_space(crop) for crop in batch]))

    def features(self, photo, position: int | None = None) -> list:
        """Returns the photo's content features."""
        return self.loss.content_features(photo)

    def paint(self, photo: np.ndarray, stages: int) -> list:
        """Returns what the first stages make of a photo, (1, 3, H, W) in VGG space, as it stands."""
        return self.chain(mx.nd.array(photo, ctx=self.contexts[0]), 1.0, stages)

    def validate(self, paths: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None) -> list[dict]:
        """Returns the mean weighted terms of each of the stages, and their total, over photos at short edge 320.

        loss: what to judge by, the training's own by default.
        """
        loss = loss or self.loss
        means: list[dict] = [{} for _ in stages]
        for path in paths:
            photo = to_vgg_space(resize_short_edge(read_image(path), VALIDATION_EDGE))
            pictures = self.paint(photo, max(stages) + 1)
            features = loss.content_features(mx.nd.array(photo, ctx=self.contexts[0]))
            for mean, stage in zip(means, stages):
                for name, term in loss(pictures[stage], features).items():
                    mean[name] = mean.get(name, 0.0) + float(term.asscalar()) / len(paths)
        return [{**mean, "total": sum(mean.values())} for mean in means]
