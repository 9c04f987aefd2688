"""The task of an upscaler: large pictures, shrunk, are to come out as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.photos import PatchStream
from ..engines.gluon import array, autograd, nd, to_numpy
from ..images.arrays import to_vgg_space
from ..images.io import read_image
from ..images.resize import resize_short_edge, with_most_pixels
from ..losses.reconstruction import ReconstructionLoss, pixel_error
from ..networks.chain import UpscaleChain
from .options import TrainingOptions
from .tasks import PREVIEW_PIXELS, PROBE_SIZE, VALIDATION_EDGE, Task, in_vgg_space

__all__ = ["UpscaleTask"]


class UpscaleTask(Task):
    """A chain enlarges pictures: its stages learn from pixels, from features of the loss network, from a critic."""

    term_names = ("pixel", "feature")
    chain: UpscaleChain

    def __init__(self, options: TrainingOptions, chain: UpscaleChain, devices: Sequence, bfloat16: bool | None = None):
        self.options, self.chain, self.devices = options, chain, devices
        self.loss = ReconstructionLoss(options.loss, devices, bfloat16)

    def batches(self, size: int, position: int, workers: int | None = None) -> PatchStream:
        chosen = {name: getattr(self.options, name) for name in ("batch", "seed", "limit", "list_file", "shrink")}
        return PatchStream(self.options.photos, size, position=position, workers=workers, **chosen)

    def arrays(self, batch: np.ndarray, position: int) -> list[list]:
        """Returns the small and the large pictures of a step, uint8 (N, H, W, 3), for each device."""
        small = np.stack([self._shrunk(large) for large in batch])
        shares = zip(*(np.array_split(part, len(self.devices)) for part in (small, batch)))
        return [[array(x, dtype=x.dtype) for x in share] for share in shares]

    def _shrunk(self, large: np.ndarray) -> np.ndarray:
        from PIL import Image

        height, width = (side // self.chain.factor for side in large.shape[:2])
        return np.asarray(Image.fromarray(large).resize((width, height), Image.Resampling.BICUBIC))

    def terms(self, arrays: Sequence, learning: Sequence[int]) -> list[dict[str, Any]]:
        with autograd.pause():
            small, large = map(in_vgg_space, arrays)
            seen = any(self.options.feature_weights[stage] for stage in learning)
            truths = self.loss.features(large) if seen else []
        terms = []
        for stage in learning:
            picture = self.chain.enlarge(stage, small, learning=True)
            pixel = pixel_error(nd, picture, large)
            feature = 0 * pixel
            if weight := self.options.feature_weights[stage]:
                feature = weight * self.loss.feature_error(self.loss.features(picture), truths)
            terms.append({"pixel": self.options.pixel_weights[stage] * pixel, "feature": feature})
        return terms

    def samples(self, photos: Sequence[Path]) -> dict[str, np.ndarray]:
        return {
            path.name: to_vgg_space(self._shrunk(with_most_pixels(read_image(path), PREVIEW_PIXELS))) for path in photos
        }

    def validation_samples(self, photos: Sequence[Path]) -> Iterator[np.ndarray]:
        for path in photos:
            picture = resize_short_edge(read_image(path), VALIDATION_EDGE)
            height, width = (side // self.chain.factor * self.chain.factor for side in picture.shape[:2])
            yield picture[:height, :width]

    def validate(self, photos: Sequence[Path], stages: Sequence[int], loss=None) -> list[dict[str, float]]:
        """Returns the mean errors of each of the stages, without their weights, their total, and PSNR in decibels."""
        results: list[list[tuple[float, float, float]]] = [[] for _ in stages]
        for large in self.validation_samples(photos):
            small, truth = (array(to_vgg_space(each), self.devices[0]) for each in (self._shrunk(large), large))
            features = self.loss.features(truth)
            for result, stage in zip(results, stages):
                picture = self.chain(small)[stage]
                errors = pixel_error(nd, picture, truth), self.loss.feature_error(self.loss.features(picture), features)
                square = np.square(to_numpy(picture - truth)).mean()
                result.append((*(to_numpy(error).item() for error in errors), float(10 * np.log10(255**2 / square))))
        names = ("pixel", "feature", "psnr")
        means = [dict(zip(names, np.mean(result, axis=0).tolist())) for result in results]
        return [{**mean, "total": mean["pixel"] + mean["feature"]} for mean in means]

    def probe(self) -> np.ndarray:
        return to_vgg_space(np.random.default_rng(0).integers(0, 256, (PROBE_SIZE, PROBE_SIZE, 3), np.uint8))
