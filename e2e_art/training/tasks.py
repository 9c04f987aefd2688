"""What a chain learns from: what each step shows it, what is asked of its pictures, and how it is judged."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data.masks import Masks, jitter_edges
from ..data.noise import VALIDATION_SEEDS, NoiseStream
from ..data.photos import PhotoStream
from ..engines.mxnet import mx
from ..images.arrays import to_vgg_space
from ..images.io import read_image
from ..images.regions import color_name, style_regions
from ..images.resize import resize_long_edge, resize_short_edge
from ..losses.options import LossOptions
from ..losses.perceptual import PerceptualLoss
from ..losses.regions import region_weights
from ..losses.style_target import StyleTarget
from ..models.kinds import KINDS
from ..networks.chain import Chain
from ..networks.doodle import NOISE
from ..networks.inputs import NOISE_PERIOD, seeded_noise
from .options import TrainingOptions

__all__ = ["DoodleTask", "Task", "PhotoTask", "TextureTask", "make_task"]

VALIDATION_EDGE = 320  # short edge of the validation photos


class Task:
    """A chain learns a painting.

    options: which paintings, and what the loss weighs.  contexts: where to compute.

    Subclasses say what it is shown: `batches`, `prepare`, `features`, `paint`, `validate`.
    """

    keeps_best = False  # whether the best weights by validation count, rather than the last

    def __init__(self, options: TrainingOptions, chain: Chain, contexts: Sequence, bfloat16: bool | None = None):
        self.options, self.chain, self.contexts = options, chain, contexts
        styles = [to_vgg_space(resize_long_edge(read_image(path), options.style_size)) for path in options.styles]
        self.styles = [mx.nd.array(style) for style in styles]  # each (1, 3, H, W)
        self.loss = PerceptualLoss(options.loss, self.target(options.loss), contexts, bfloat16)

    def target(self, loss: LossOptions) -> StyleTarget:
        """Returns the style to reach, in the layers that loss options name."""
        return StyleTarget.of(loss, self.styles, self.options.style_blend)

    def record(self) -> dict:
        """Returns what the record of a model has to hold for this task."""
        return {}

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
            losses = self.losses(self.chain.crop(picture, given), features)
            boost = boosts[stage] if len(boosts) > 1 else boosts[0]
            terms.append({**losses, "style": losses["style"] * boost})
        return terms


class PhotoTask(Task):
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


log = logging.getLogger(__name__)

COLLAPSED = 0.1  # diversity below which a texture network has all but stopped to listen to its noise
VALIDATION_SIZE = 256  # of what is judged; training has other masks
VALIDATION_MASKS = 2**31  # their seed


class TextureTask(Task):
    """A chain makes textures of noise that look like a painting everywhere: there is no scene to keep."""

    keeps_best = True  # "optimizing for too long" degrades, Ulyanov's readme says

    def batches(self, size: int, position: int, workers: int = 1) -> NoiseStream:
        """Returns the stream of noise that the steps show."""
        channels = self.chain.generators[0].conditioning_channels
        return NoiseStream(channels, size, self.options.batch, self.options.seed, position)

    def prepare(self, batch: np.ndarray):
        """Returns a batch as networks take it."""
        return mx.nd.array(batch)

    def noise(self, seed: int) -> np.ndarray:
        """Returns the noise that textures are judged on, by its seed: (1, channels, 256, 256)."""
        return seeded_noise(seed, self.chain.generators[0].conditioning_channels, VALIDATION_SIZE, VALIDATION_SIZE)

    def paint(self, noise: np.ndarray, stages: int) -> list:
        """Returns what the first stages make of noise, (1, 3, H, W) in VGG space each, as it stands."""
        return self.chain(mx.nd.array(noise, ctx=self.contexts[0]), 1.0, stages)

    def validate(self, paths: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None) -> list[dict]:
        """Returns the mean weighted terms of each of the stages over four textures, their total, and their diversity.

        Diversity is the variance of a pixel across the textures, as a share of that across the painting: 0 is a
        collapse, all seeds make one texture; about 1 is as it should be.  loss: what to judge by.
        """
        loss = loss or self.loss
        made: list[list] = [[] for _ in stages]
        for seed in VALIDATION_SEEDS:
            pictures = self.paint(self.noise(seed), max(stages) + 1)
            for textures, stage in zip(made, stages):
                textures.append(pictures[stage])
        painted = float(np.mean([style.asnumpy().var(axis=(2, 3)).mean() for style in self.styles]))
        results = []
        for textures in made:
            judged = [{name: float(term.asscalar()) for name, term in loss(each, []).items()} for each in textures]
            mean = {name: float(np.mean([terms[name] for terms in judged])) for name in judged[0]}
            across = np.concatenate([texture.asnumpy() for texture in textures]).var(axis=0, ddof=1).mean()
            diversity = float(across) / max(painted, 1e-9)
            if diversity < COLLAPSED:
                log.warning("All seeds make nearly one texture (diversity %.2f): lower --learning-rate", diversity)
            results.append({**mean, "total": sum(mean.values()), "diversity": diversity})
        return results


class DoodleTask(Task):
    """A chain paints regions, each after its own part of the painting: there is nothing else to keep."""

    keeps_best = True

    def target(self, loss: LossOptions) -> StyleTarget:
        """Returns the style of the painting's regions, in the layers that loss options name."""
        options = self.options
        painting = resize_long_edge(read_image(options.styles[0]), options.style_size)
        self.palette, regions = style_regions(painting, read_image(options.style_mask), options.style_mask)
        return StyleTarget.of(loss, self.styles, regions=regions)

    def record(self) -> dict:
        """Returns the palette of the regions."""
        palette = [{"color": "#" + bytes(color).hex(), "name": color_name(color)} for color in self.palette]
        return {"palette": palette}

    def batches(self, size: int, position: int, workers: int = 1) -> NoiseStream:
        """Returns the stream of masks and noise that the steps show."""
        options = self.options
        masks = Masks(options.regions, options.seed, workers=workers)
        return NoiseStream(2 * NOISE, size, options.batch, options.seed, position, masks)

    def prepare(self, batch: np.ndarray):
        """Returns a batch as networks take it."""
        return mx.nd.array(batch)

    def features(self, given, position: int | None = None) -> list:
        """Returns for each sample what every style layer sees of its regions; in training, with their edges moved."""
        planes = given[:, : self.options.regions].asnumpy()
        if position is not None and self.options.edge_jitter:
            planes = [jitter_edges(each, self.options.edge_jitter, position + n) for n, each in enumerate(planes)]
        weights = [region_weights(each, self.loss.options) for each in planes]
        return [[mx.nd.array(layer, ctx=given.context) for layer in each] for each in weights]

    def losses(self, picture, features) -> dict:
        """Returns the weighted terms of pictures, (N,) each; each region of a picture counts alike."""
        terms = [self.loss(picture[n : n + 1], [], guides) for n, guides in enumerate(features)]
        return {name: mx.nd.concat(*(term[name] for term in terms), dim=0) for name in terms[0]}

    def noise(self, seed: int) -> np.ndarray:
        """Returns a mask and noise that doodles are judged on, by their seed: (1, R + 16, 256, 256)."""
        count = self.options.regions
        with NoiseStream(2 * NOISE, VALIDATION_SIZE, 1, seed, 0, Masks(count, VALIDATION_MASKS + seed)) as stream:
            return next(stream)

    def paint(self, given: np.ndarray, stages: int) -> list:
        """Returns what the first stages make of regions and noise, (1, 3, H, W) in VGG space each, as it stands."""
        return self.chain(mx.nd.array(given, ctx=self.contexts[0]), 1.0, stages)

    def validate(self, paths: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None) -> list[dict]:
        """Returns the mean weighted terms of each of the stages on four masks, and their total; loss: to judge by."""
        kept, self.loss = self.loss, loss or self.loss
        judged: list[list[dict]] = [[] for _ in stages]
        try:
            for seed in VALIDATION_SEEDS:
                given = self.noise(seed)
                features = self.features(mx.nd.array(given, ctx=self.contexts[0]))
                pictures = self.paint(given, max(stages) + 1)
                for terms, stage in zip(judged, stages):
                    terms.append(
                        {name: float(term.asscalar()) for name, term in self.losses(pictures[stage], features).items()}
                    )
        finally:
            self.loss = kept
        means = [{name: float(np.mean([each[name] for each in terms])) for name in terms[0]} for terms in judged]
        return [{**mean, "total": sum(mean.values())} for mean in means]


def make_task(options: TrainingOptions, chain, contexts: Sequence, bfloat16: bool | None = None) -> Task:
    """Returns the lesson of a training, by its kind."""
    return KINDS[options.kind].task(options, chain, contexts, bfloat16)
