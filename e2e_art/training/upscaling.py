"""The task of an upscaler: large pictures, shrunk, are to come out as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.degradation import Degradation, degrade
from ..data.photos import PatchStream
from ..engines.gluon import array, autograd, nd, to_numpy
from ..images.arrays import to_vgg_space
from ..images.bicubic import shrink_bicubic
from ..images.io import read_image
from ..images.resize import resize_short_edge, with_most_pixels
from ..losses.reconstruction import ReconstructionLoss, pixel_error
from ..networks.chain import UpscaleChain
from .critic import Critic
from .options import TrainingOptions
from .tasks import PREVIEW_PIXELS, PROBE_SIZE, VALIDATION_EDGE, Task, as_it_is, in_vgg_space

__all__ = ["UpscaleTask"]

BORDER = 4  # pixels of small crops that do not count
DEGRADED = 3  # the use of randomness that faults are drawn with, beside those of data/photos.py


class UpscaleTask(Task):
    """A chain enlarges pictures: its stages learn from pixels, from features of the loss network, from a critic."""

    term_names = ("pixel", "feature")
    critic_layer = "relu2_2"
    chain: UpscaleChain
    loss: Any

    def __init__(self, options: TrainingOptions, chain: UpscaleChain, devices: Sequence, bfloat16: bool | None = None):
        self.options, self.chain, self.devices = options, chain, devices
        self.loss = ReconstructionLoss(options.loss, devices, bfloat16, self.seen_layers)

    def batches(self, size: int, position: int, workers: int | None = None) -> PatchStream:
        chosen = {name: getattr(self.options, name) for name in ("batch", "seed", "limit", "list_file", "photo_scales")}
        return PatchStream(self.options.photos, size, position=position, workers=workers, **chosen)

    def arrays(self, batch: np.ndarray | Sequence[np.ndarray], position: int) -> list[list]:
        """Returns the small and the large pictures of a step, uint8 (N, H, W, 3), for each device."""
        options, factor = self.options, self.chain.factor
        faults = Degradation(blurred=options.blurred, noisy=options.noisy, compressed=options.compressed)
        randoms = (np.random.default_rng((options.seed, DEGRADED, position + n)) for n in range(len(batch)))
        small = np.stack([degrade(large, factor, faults, random) for large, random in zip(batch, randoms)])
        shares = zip(*(np.array_split(part, len(self.devices)) for part in (small, np.asarray(batch))))
        return [[array(x, dtype=x.dtype) for x in share] for share in shares]

    def terms(
        self, arrays: Sequence, learning: Sequence[int], critic: Critic | None = None, cut: Callable = as_it_is
    ) -> list[dict[str, Any]]:
        seen = critic or any(self.options.feature_weights[stage] for stage in learning)
        with autograd.pause():
            small, large = map(in_vgg_space, arrays)
            large = self._inside(large)
            truths = self.loss.features(large) if seen else {}
        terms = []
        for stage in learning:
            picture = cut(self._inside(self.chain.enlarge(stage, small, learning=True)))
            pixel = pixel_error(nd, picture, large)
            own = {"pixel": self.options.pixel_weights[stage] * pixel, "feature": 0 * pixel}
            if seen:
                features = self.loss.features(picture)
                own["feature"] = self.options.feature_weights[stage] * self.loss.feature_error(features, truths)
            if critic:
                own |= critic.terms(stage, features[self.critic_layer], truths[self.critic_layer])
            terms.append(own)
        return terms

    def _inside(self, pictures):
        """Returns pictures without their borders, where the network sees zeros instead of what lies beyond."""
        border = BORDER * self.chain.factor
        return nd.slice(pictures, begin=(None, None, border, border), end=(None, None, -border, -border))

    def samples(self, photos: Sequence[Path]) -> dict[str, np.ndarray]:
        return {path.name: to_vgg_space(self._small(path)) for path in photos}

    def _small(self, path: Path) -> np.ndarray:
        """Returns a photo, shrunk, with at most as many pixels as a preview may have when it has grown again."""
        return shrink_bicubic(with_most_pixels(read_image(path), PREVIEW_PIXELS), self.chain.factor)

    def validation_samples(self, photos: Sequence[Path]) -> Iterator[np.ndarray]:
        for path in photos:
            picture = resize_short_edge(read_image(path), VALIDATION_EDGE)
            height, width = (side // self.chain.factor * self.chain.factor for side in picture.shape[:2])
            yield picture[:height, :width]

    def validate(self, photos: Sequence[Path], stages: Sequence[int], loss=None) -> list[dict[str, float]]:
        """Returns the mean errors of each of the stages, without their weights, their total, and PSNR in decibels."""
        results: list[list[tuple[float, float, float]]] = [[] for _ in stages]
        for large in self.validation_samples(photos):
            small = shrink_bicubic(large, self.chain.factor)
            x, truth = (array(to_vgg_space(each), self.devices[0]) for each in (small, large))
            features = self.loss.features(truth)
            pictures = self.chain(x, 1.0, max(stages) + 1)
            for result, stage in zip(results, stages):
                picture = pictures[stage]
                errors = pixel_error(nd, picture, truth), self.loss.feature_error(self.loss.features(picture), features)
                square = np.square(to_numpy(picture - truth)).mean()
                result.append((*(to_numpy(error).item() for error in errors), float(10 * np.log10(255**2 / square))))
        names = ("pixel", "feature", "psnr")
        means = [dict(zip(names, np.mean(result, axis=0).tolist())) for result in results]
        return [{**mean, "total": mean["pixel"] + mean["feature"]} for mean in means]

    def evaluate(self, photos: Sequence[Path]) -> tuple[Sequence[Mapping[str, float]], dict[str, bytes]]:
        return self.validate(photos, range(len(self.chain.generators))) if photos else (), {}

    def part(self, sample: np.ndarray, edge: int) -> np.ndarray:
        """Returns the middle of a sample, so that a contact sheet shows the large pictures pixel by pixel."""
        most = edge // self.chain.factor
        rows, columns = (slice(max(0, (side - most) // 2), (side + most) // 2) for side in sample.shape[2:])
        return sample[:, :, rows, columns]

    def probe(self) -> np.ndarray:
        return to_vgg_space(np.random.default_rng(0).integers(0, 256, (PROBE_SIZE, PROBE_SIZE, 3), np.uint8))
