"""The task of an upscaler: large pictures, shrunk, are to come out as they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.degradation import Degradation, degrade
from ..data.photos import PatchStream, Photos
from ..data.randomness import DEGRADATION
from ..engines.gluon import array, autograd, nd, to_numpy
from ..images.arrays import to_vgg_space
from ..images.bicubic import shrink_bicubic
from ..images.resize import resize
from ..images.similarity import psnr
from ..losses.reconstruction import FeatureLoss, grid_error, pixel_error
from ..networks.chain import UpscaleChain
from .critic import Critic, Pair
from .options import TrainingOptions
from .task import Task, as_it_is, in_vgg_space, mean_terms, preview_photo, validation_photo

__all__ = ["UpscaleTask"]

BORDER = 4  # pixels of small crops that do not count
DECIBELS = 0.0, 108.0  # that PSNR lies within, in records too, which know no infinite or negative numbers


class UpscaleTask(Task):
    """A chain enlarges pictures: its stages learn from pixels, from features of the loss network, from a critic."""

    term_names = ("pixel", "feature", "grid")
    critic_layer = "relu1_2"  # before the first pooling, which hides grids from the layers after it
    chain: UpscaleChain

    photos: Photos

    def __init__(
        self,
        options: TrainingOptions,
        chain: UpscaleChain,
        devices: Sequence,
        bfloat16: bool | None = None,
        photos: Photos | None = None,
    ):
        super().__init__(options, chain, devices, photos)
        self.loss = FeatureLoss(options.loss, devices, bfloat16, self.seen_layers)
        self.network = self.loss.network

    def batches(self, size: int, position: int, workers: int | None = None) -> PatchStream:
        batch, (least, most) = self.options.batch, self.options.photo_scales
        return PatchStream(self.photos, size, batch, photo_scales=(least, most), position=position, workers=workers)

    def arrays(self, batch: np.ndarray | Sequence[np.ndarray], position: int) -> list[list]:
        """Returns the small and the large pictures of a step, uint8 (N, H, W, 3), for each device."""
        options, factor = self.options, self.chain.factor
        faults = Degradation(blurred=options.blurred, noisy=options.noisy, compressed=options.compressed)
        randoms = (np.random.default_rng((options.seed, DEGRADATION, position + n)) for n in range(len(batch)))
        small = np.stack([degrade(large, factor, faults, random) for large, random in zip(batch, randoms)])
        return self._shares([small, np.asarray(batch)])

    def terms(
        self,
        arrays: Sequence,
        learning: Sequence[int],
        critic: Critic | None = None,
        cut: Callable = as_it_is,
        looked_at: Sequence[int] | None = None,
    ) -> tuple[list[dict[str, Any]], list[Pair]]:
        learning = learning if looked_at is None else looked_at
        seen = critic or any(self.options.feature_weights[stage] for stage in learning)
        with autograd.pause():
            small, large = map(in_vgg_space, arrays)
            large = self._inside(large)
            truths = self.loss.features(large) if seen else {}
        terms, pairs = [], []
        for stage in learning:
            picture = cut(self._inside(self.chain.enlarge_padded(stage, small, learning=True)))
            pixel = pixel_error(nd, picture, large)
            own = {"pixel": self.options.pixel_weights[stage] * pixel, "feature": 0 * pixel, "grid": 0 * pixel}
            if weight := self.options.grid_weights[stage]:
                own["grid"] = weight * grid_error(nd, picture, large, self.chain.factor)
            if seen:
                features = self.loss.features(picture)
                own["feature"] = self.options.feature_weights[stage] * self.loss.error(features, truths)
            if critic:
                fake, real = (each[self.critic_layer] for each in (features, truths))
                own["gan"] = critic.term(stage, fake)
                pairs.append(Pair(fake.detach(), real))
            terms.append(own)
        return terms, pairs

    def _inside(self, pictures):
        """Returns pictures without their borders, where the network sees zeros instead of what lies beyond."""
        border = BORDER * self.chain.factor
        return nd.slice(pictures, begin=(None, None, border, border), end=(None, None, -border, -border))

    def samples(self, photos: Sequence[Path]) -> dict[str, np.ndarray]:
        """Returns photos, shrunk, so that previews have the photos' size, and that of one small pixel at least."""
        factor, samples = self.chain.factor, {}
        for path in photos:
            photo = preview_photo(path)
            sides = (max(side, factor) for side in photo.shape[:2])
            samples[path.name] = to_vgg_space(shrink_bicubic(resize(photo, *sides), factor))
        return samples

    def validate(self, photos: Sequence[Path], stages: Sequence[int]) -> list[dict[str, float]]:
        """Returns the mean errors of each of the stages, without their weights, their total, and PSNR in decibels."""
        results: list[list[dict[str, float]]] = [[] for _ in stages]
        for photo in map(validation_photo, photos):
            height, width = (side // self.chain.factor * self.chain.factor for side in photo.shape[:2])
            truth = array(to_vgg_space(photo[:height, :width]), self.devices[0])
            truths = self.loss.features(truth)
            pictures = self.paint(to_vgg_space(shrink_bicubic(photo, self.chain.factor)), max(stages) + 1)
            for result, stage in zip(results, stages):
                result.append(self._errors(pictures[stage], truth, truths))
        return [{**mean, "total": mean["pixel"] + mean["feature"]} for mean in map(mean_terms, results)]

    def _errors(self, picture, truth, truths: Mapping[str, Any]) -> dict[str, float]:
        """Returns the errors of a picture (1, 3, H, W) by the true one and its features, and PSNR in decibels."""
        pixel, feature = pixel_error(nd, picture, truth), self.loss.error(self.loss.features(picture), truths)
        decibels = float(np.clip(psnr(to_numpy(picture), to_numpy(truth)), *DECIBELS))
        return {"pixel": to_numpy(pixel).item(), "feature": to_numpy(feature).item(), "psnr": decibels}

    def evaluate(self, photos: Sequence[Path]) -> tuple[Sequence[Mapping[str, float]], dict[str, bytes]]:
        stages = range(len(self.chain.generators))
        return (self.validate(photos, stages) if photos else ()), {}

    def part(self, sample: np.ndarray, edge: int) -> np.ndarray:
        """Returns the middle of a sample, so that a contact sheet shows the large pictures pixel by pixel."""
        most = edge // self.chain.factor
        rows, columns = (slice(max(0, (side - most) // 2), (side + most) // 2) for side in sample.shape[2:])
        return sample[:, :, rows, columns]
