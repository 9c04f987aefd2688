"""The tasks of styles: photos, textures and doodles are to look like a painting."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.masks import Masks, jitter_edges
from ..data.noise import VALIDATION_SEEDS, NoiseStream
from ..data.photos import Photos, PhotoStream
from ..engines.gluon import array, autograd, nd, to_numpy
from ..images.arrays import to_vgg_space
from ..images.io import read_image
from ..images.regions import color_name, style_regions
from ..losses.options import LossOptions
from ..losses.perceptual import PerceptualLoss
from ..losses.regions import region_weights
from ..losses.style_target import StyleTarget, painting_at
from ..models.folder import STYLE_FILE
from ..models.kinds import DOODLE, KINDS, TEXTURE
from ..networks.chain import Chain
from ..networks.inputs import NOISE_PERIOD, seeded_noise
from .critic import Critic, Pair
from .options import TrainingOptions
from .paintings import PaintingFeatures
from .task import PROBE_SIZE, Task, as_it_is, in_vgg_space, mean_terms, preview_photo, validation_photo

__all__ = ["DoodleTask", "PhotoTask", "StyleTask", "StyledTask", "TextureTask"]

log = logging.getLogger(__name__)

VALIDATION_SIZE = 256  # of validation noise and masks
VALIDATION_MASKS = 2**31  # their seed: training has other ones
COLLAPSED = 0.1  # diversity below which a texture network all but ignores its noise


class StyleTask(Task):
    """A chain learns to make pictures in the style of paintings, by the perceptual loss.

    It says what networks take of a batch (`inputs`), what is asked of their pictures (`features`, `losses`), and what
    they are validated on (`validation_samples`).
    """

    term_names = ("style", "content", "tv")
    critic_layer = "relu3_1"

    def __init__(
        self,
        options: TrainingOptions,
        chain: Chain,
        devices: Sequence,
        bfloat16: bool | None = None,
        photos: Photos | None = None,
    ):
        super().__init__(options, chain, devices, photos)
        styles = [painting_at(read_image(path), options.style_size, options.loss, path) for path in options.styles]
        self.styles = [to_vgg_space(style) for style in styles]  # each (1, 3, H, W)
        self.loss = PerceptualLoss(options.loss, self.target(options.loss), devices, bfloat16, self.seen_layers)
        self.network = self.loss.network
        self.real: PaintingFeatures | None = None
        if self.seen_layers:
            self.real = PaintingFeatures(options, self.network, self.critic_layer, devices[0])

    @abstractmethod
    def validation_samples(self, photos: Sequence[Path]) -> Iterator[np.ndarray]:
        """Yields what the chain is validated on, (1, C, H, W) each: photos, or noise where there are none."""

    def arrays(self, batch: np.ndarray | Sequence[np.ndarray], position: int) -> list[list]:
        """Returns the arrays that a step is computed from, for each device: its share of a batch, and a shift of noise.

        batch: as a stream yields it.  position: the number of its first crop.
        """
        parts = [batch] if isinstance(batch, np.ndarray) else batch
        if self.real:
            parts = [*parts, self.real.parts(len(parts[0]), parts[0].shape[2], position)]
        # Other noise each step, or else the stages would learn this one by heart; from the position, so as to resume.
        shift = int(np.random.RandomState(position % 2**32).randint(NOISE_PERIOD**2))
        return [[*share, array(divmod(shift, NOISE_PERIOD)[::-1])] for share in self._shares(parts)]

    def inputs(self, samples):
        """Returns samples of a batch as networks take them, (N, C, H, W)."""
        return samples

    def features(self, loss: PerceptualLoss, inputs, beside: Sequence = ()) -> list:
        """Returns what the pictures should keep of the inputs; beside: the arrays that go with them, (N, ...) each."""
        return []

    def beside(self, sample: np.ndarray, loss: LossOptions, number: int | None = None) -> list[np.ndarray]:
        """Returns the arrays that go with a sample (C, H, W); number: which one it is, in training."""
        return []

    def losses(self, loss: PerceptualLoss, picture, features: Sequence) -> Mapping[str, Any]:
        """Returns the weighted terms of pictures (N, 3, H, W), (N,) each."""
        return loss(picture, features)

    def target(self, loss: LossOptions) -> StyleTarget:
        """Returns the style to reach, in the layers that loss options name."""
        return StyleTarget.of(loss, self.styles, self.options.style_blend)

    def evaluate(self, photos: Sequence[Path]) -> tuple[Sequence[Mapping[str, float]], dict[str, bytes]]:
        """Returns what `Task.evaluate` does: whatever weights were trained with, by the default ones, which compare."""
        loss = LossOptions(content_weight=LossOptions().content_weight * (self.options.loss.content_weight > 0))
        target = self.target(loss)
        results: Sequence[Mapping[str, float]] = ()
        if photos or self.keeps_best:
            stages = range(len(self.chain.generators))
            results = self.validate(photos, stages, PerceptualLoss(loss, target, self.devices))
        return results, {STYLE_FILE: target.save()}

    def validate(
        self, photos: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None
    ) -> list[dict[str, float]]:
        """Returns the mean weighted terms of each of the stages, and their total; loss: the training's by default."""
        loss = loss or self.loss
        painted = (
            (
                sample,
                self.paint(sample, max(stages) + 1),
                [each[np.newaxis] for each in self.beside(sample[0], loss.options)],
            )
            for sample in self.validation_samples(photos)
        )
        return self._mean_losses(painted, stages, loss)

    def _mean_losses(
        self, painted: Iterable[tuple[np.ndarray, list, list]], stages: Sequence[int], loss: PerceptualLoss
    ) -> list[dict[str, float]]:
        """Returns the mean weighted terms of each of the stages, and their total.

        painted: samples, with their pictures, and the arrays that go with them, (1, ...) each.
        """
        results: list[list[dict[str, float]]] = [[] for _ in stages]
        for sample, pictures, others in painted:
            beside = [array(each, self.devices[0]) for each in others]
            features = self.features(loss, array(sample, self.devices[0]), beside)
            for result, stage in zip(results, stages):
                terms = self.losses(loss, pictures[stage], features)
                result.append({name: to_numpy(term).item() for name, term in terms.items()})
        return [{**mean, "total": sum(mean.values())} for mean in map(mean_terms, results)]

    def begin_chain(self, inputs, beside: Sequence, shifts: Sequence) -> tuple:
        """Returns what the first stage of the chain paints on, and the conditioning input of all (`Chain.begin`).

        beside: the arrays that go with the inputs, (N, ...) each.
        """
        return self.chain.begin(inputs, shifts)

    def terms(
        self,
        arrays: Sequence,
        learning: Sequence[int],
        critic: Critic | None = None,
        cut: Callable = as_it_is,
        looked_at: Sequence[int] | None = None,
    ) -> tuple[list[dict[str, Any]], list[Pair]]:
        """Returns what `Task.terms` does; gradients flow as the coupling says."""
        coupling, (samples, *beside, shift) = self.options.coupling, arrays
        looked_at = list(learning) if looked_at is None else looked_at
        *beside, real = beside if self.real else (*beside, None)
        with autograd.pause():
            inputs = self.inputs(samples)
            features = self.features(self.loss, inputs, beside)
        picture, conditioning = self.begin_chain(inputs, beside, (shift[:1], shift[1:]))
        with autograd.pause():
            for stage in range(learning[0]):  # stages that have learned before
                picture = self.chain.paint(stage, picture, conditioning)
        terms, pairs = [], []
        for stage in range(learning[0], max(looked_at) + 1):
            before = picture
            below = before if coupling == "joint" else before.detach()
            picture = self.chain.paint(stage, below, conditioning, learning=True)
            if coupling == "straight-through" and stage > 0:  # later image gradients pass as if this stage did nothing
                picture = picture + (before - before.detach())
            if stage not in looked_at:
                continue
            shown = cut(self.chain.crop(picture, inputs))
            if critic:
                losses, (seen,) = self.loss.look(shown, features)
                losses["gan"] = critic.term(stage, seen)
                pairs.append(Pair(seen.detach(), real))
            else:
                losses = self.losses(self.loss, shown, features)
            terms.append({**losses, "style": losses["style"] * self.options.style_boosts[stage]})
        return terms, pairs


class PhotoTask(StyleTask):
    """A chain paints photos in the style of a painting."""

    photos: Photos

    def batches(self, size: int, position: int, workers: int | None = None) -> PhotoStream:
        return PhotoStream(self.photos, size, self.options.batch, position=position, workers=workers)

    def samples(self, photos: Sequence[Path]) -> dict[str, np.ndarray]:
        return {path.name: to_vgg_space(preview_photo(path)) for path in photos}

    def validation_samples(self, photos: Sequence[Path]) -> Iterator[np.ndarray]:
        return (to_vgg_space(validation_photo(path)) for path in photos)

    def inputs(self, samples):
        return in_vgg_space(samples)

    def features(self, loss: PerceptualLoss, inputs, beside: Sequence = ()) -> list:
        return loss.content_features(inputs)


class StyledTask(PhotoTask):
    """What the tasks share whose styles differ from photo to photo: each has Gram matrices of its own to reach."""

    @abstractmethod
    def grams(self, loss: PerceptualLoss, beside: Sequence, number: int) -> list:
        """Returns the Gram matrices that photo `number` of a batch is to reach; beside: what goes with the batch."""

    def features(self, loss: PerceptualLoss, inputs, beside: Sequence = ()) -> list:
        """Returns the content of each photo, and the Gram matrices that it is to reach."""
        content = super().features(loss, inputs)
        numbers = range(len(inputs))
        return [([layer[n : n + 1] for layer in content], self.grams(loss, beside, n)) for n in numbers]

    def losses(self, loss: PerceptualLoss, picture, features: Sequence) -> Mapping[str, Any]:
        """Returns the weighted terms of pictures, (N,) each."""
        terms = [loss.look(picture[n : n + 1], content, grams=grams)[0] for n, (content, grams) in enumerate(features)]
        return {name: nd.concat(*(term[name] for term in terms), dim=0) for name in terms[0]}


class _NoiseTask(StyleTask):
    """What the tasks share whose pictures are made of noise: there is no photo to keep."""

    keeps_best = True  # "optimizing for too long" degrades, Ulyanov's readme says

    @abstractmethod
    def noise(self, seed: int) -> np.ndarray:
        """Returns what pictures are validated on, by its seed: (1, C, 256, 256)."""

    def batches(self, size: int, position: int, workers: int | None = None) -> NoiseStream:
        options = self.options

        def beside(number: int, sample: np.ndarray) -> list[np.ndarray]:
            return self.beside(sample, options.loss, number)

        masks = Masks(options.regions, options.seed) if options.regions else None
        planes = KINDS[options.kind].noise_planes
        return NoiseStream(planes, size, options.batch, options.seed, position, masks, workers, beside)

    def samples(self, photos: Sequence[Path]) -> dict[str, np.ndarray]:
        return {"seed-0": self.noise(0)}

    def validation_samples(self, photos: Sequence[Path]) -> Iterator[np.ndarray]:
        return map(self.noise, VALIDATION_SEEDS)

    def begins_with(self, name: str, sample: np.ndarray) -> tuple[str, np.ndarray]:
        return "", self.styles[0]

    def probe(self) -> np.ndarray:
        regions = np.zeros((1, self.options.regions, PROBE_SIZE, PROBE_SIZE), np.float32)
        regions[:, :1] = 1
        noise = seeded_noise(0, KINDS[self.options.kind].noise_planes, PROBE_SIZE, PROBE_SIZE)
        return np.concatenate([regions, noise], axis=1)


class TextureTask(_NoiseTask):
    """A chain makes textures of noise that look like a painting everywhere."""

    def noise(self, seed: int) -> np.ndarray:
        return seeded_noise(seed, TEXTURE.noise_planes, VALIDATION_SIZE, VALIDATION_SIZE)

    def validate(
        self, photos: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None
    ) -> list[dict[str, float]]:
        """Returns what other tasks do, and the diversity of each stage's textures.

        Diversity is the variance of a pixel across the textures, as a share of that across the painting: 0 is a
        collapse, all seeds make one texture; about 1 is as it should be.
        """
        textures: list[tuple[np.ndarray, list, list]] = [
            (noise, self.paint(noise, max(stages) + 1), []) for noise in self.validation_samples(photos)
        ]
        results = self._mean_losses(textures, stages, loss or self.loss)
        painted = float(np.mean([style.var(axis=(2, 3)).mean() for style in self.styles]))
        for result, stage in zip(results, stages):
            across = (
                np.concatenate([to_numpy(pictures[stage]) for _, pictures, _ in textures]).var(axis=0, ddof=1).mean()
            )
            result["diversity"] = diversity = float(across) / max(painted, 1e-9)
            if diversity < COLLAPSED:
                log.warning("All seeds make nearly one texture (diversity %.2f): lower --learning-rate", diversity)
        return results


class DoodleTask(_NoiseTask):
    """A chain paints regions, each like its own part of the painting."""

    def target(self, loss: LossOptions) -> StyleTarget:
        """Returns the style of the painting's regions, in the layers that loss options name."""
        options = self.options
        painting = painting_at(read_image(options.styles[0]), options.style_size, loss)
        self.palette, regions = style_regions(painting, read_image(options.style_mask), options.style_mask)
        return StyleTarget.of(loss, self.styles, regions=regions)

    def record(self) -> dict[str, Any]:
        """Returns the palette of the regions."""
        return {"palette": [{"color": "#" + bytes(color).hex(), "name": color_name(color)} for color in self.palette]}

    def noise(self, seed: int) -> np.ndarray:
        """Returns a mask and noise, by their seed: (1, R + 16, 256, 256)."""
        masks = Masks(self.options.regions, VALIDATION_MASKS + seed)
        with NoiseStream(DOODLE.noise_planes, VALIDATION_SIZE, 1, seed, 0, masks) as stream:
            return next(stream)[0]

    def beside(self, sample: np.ndarray, loss: LossOptions, number: int | None = None) -> list[np.ndarray]:
        """Returns the region weights of a sample in each style layer; in training, of regions with moved edges."""
        regions, jitter = sample[: self.options.regions], self.options.edge_jitter
        if number is not None and jitter:
            regions = jitter_edges(regions, jitter, number)
        return region_weights(regions, loss)

    def features(self, loss: PerceptualLoss, inputs, beside: Sequence = ()) -> list:
        """Returns the region weights of each sample."""
        return [[layer[n] for layer in beside] for n in range(len(inputs))]

    def losses(self, loss: PerceptualLoss, picture, features: Sequence) -> Mapping[str, Any]:
        """Returns the weighted terms of pictures, (N,) each; each region of a picture counts alike."""
        terms = [loss(picture[n : n + 1], [], weights) for n, weights in enumerate(features)]
        return {name: nd.concat(*(term[name] for term in terms), dim=0) for name in terms[0]}
