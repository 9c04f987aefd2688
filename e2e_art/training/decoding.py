"""The task of an autoencoder: a student is to see as VGG does, and decoders are to bring its features back to pictures.

It learns from photos alone: no painting is needed for what later paints in the style of any.  Decoders are judged by
the student's own features, up to their level: that takes a tenth of what VGG's take, and it is the student who sees the
pictures next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.photos import PatchStream, Photos
from ..engines.gluon import array, autograd, nd, to_numpy
from ..images.arrays import to_vgg_space
from ..losses.perceptual import relative_error
from ..losses.reconstruction import pixel_error
from ..networks.autoencoder import Autoencoder
from ..networks.vgg import load_vgg
from ..networks.wct import LAYERS
from .critic import Critic, Pair
from .distillation import fit_decoder, fit_student
from .options import TrainingOptions
from .task import Task, as_it_is, in_vgg_space, mean_terms, preview_photo, validation_photo

__all__ = ["DecodingTask"]

FITTED, FITTED_SIZE = 16, 192  # photos that weights are fitted to before the first step, and pixels of their crops
SCALES = 50.0, 170.0, 140.0, 360.0  # about the root mean squares of VGG-19's features of photos, which maps begin near


class DecodingTask(Task):
    """Stage 0, the student, learns the features of VGG; the others, its decoders, what pictures they came from."""

    term_names = ("embedding", "pixel", "feature")
    chain: Autoencoder
    photos: Photos

    def __init__(
        self,
        options: TrainingOptions,
        chain: Autoencoder,
        devices: Sequence,
        bfloat16: bool | None = None,
        photos: Photos | None = None,
    ):
        super().__init__(options, chain, devices, photos)
        self.network = load_vgg(LAYERS, options.loss.loss_network, options.loss.pooling, bfloat16, devices)

    def begin(self, stages: Sequence[int]) -> None:
        """Fits the weights of a student or decoder to a few photos, where they come from no other model."""
        if self.options.start_from:
            return
        size = min(FITTED_SIZE, *self.options.sizes)
        with PatchStream(self.photos, size, photo_scales=self.options.photo_scales) as photos:
            pictures = [array(to_vgg_space(next(photos)[0]), self.devices[0]) for _ in range(FITTED)]
        for stage in stages:
            if stage:
                fit_decoder(self.chain.decoder(stage), self.chain.student, pictures)
            else:
                network = self.network.of_layers([f"relu{position}" for position in self.network.positions])
                fit_student(self.chain.student, network, pictures, SCALES)

    def batches(self, size: int, position: int, workers: int | None = None) -> PatchStream:
        batch, (least, most) = self.options.batch, self.options.photo_scales
        return PatchStream(self.photos, size, batch, photo_scales=(least, most), position=position, workers=workers)

    def arrays(self, batch: np.ndarray | Sequence[np.ndarray], position: int) -> list[list]:
        """Returns the photos of a step, uint8 (N, H, W, 3), for each device."""
        return self._shares([np.asarray(batch)])

    def terms(
        self,
        arrays: Sequence,
        learning: Sequence[int],
        critic: Critic | None = None,
        cut: Callable = as_it_is,
        looked_at: Sequence[int] | None = None,
    ) -> tuple[list[dict[str, Any]], list[Pair]]:
        with autograd.pause():
            pictures = in_vgg_space(arrays[0])
        return [self._errors(stage, pictures, cut) for stage in (learning if looked_at is None else looked_at)], []

    def _errors(self, stage: int, pictures, cut: Callable = as_it_is) -> dict[str, Any]:
        """Returns the weighted terms of a stage, (N,) each, for pictures whose sides are multiples of the chain's."""
        if stage == 0:
            embedding = self._embedding_error(pictures)
            return {"embedding": embedding, "pixel": 0 * embedding, "feature": 0 * embedding}
        with autograd.pause():
            truths = self.chain.student(pictures)[:stage]
        decoded = cut(self.chain.decoder(stage)(truths[-1]))
        pixel = self.options.pixel_weights[stage] * pixel_error(nd, decoded, pictures)
        errors = [relative_error(nd, *pair) for pair in zip(self.chain.student(decoded), truths)]
        feature = self.options.feature_weights[stage] / len(errors) * nd.add_n(*errors)
        return {"embedding": 0 * pixel, "pixel": pixel, "feature": feature}

    def _embedding_error(self, pictures):
        """Returns how far VGG's features are from what maps make of the student's, relative, mean over levels: (N,)."""
        with autograd.pause():
            truths = self.network(pictures)
        errors = []
        for features, each, scale, truth in zip(self.chain.student(pictures), self.chain.student.maps, SCALES, truths):
            errors.append(relative_error(nd, scale * each(features), truth))
        return nd.add_n(*errors) / len(errors)

    def validate(self, photos: Sequence[Path], stages: Sequence[int]) -> list[dict[str, float]]:
        """Returns the mean terms of each of the stages, weighted as in training, and their total."""
        results: list[list[dict[str, float]]] = [[] for _ in stages]
        for photo in map(validation_photo, photos):
            pictures = self.chain.pad(array(to_vgg_space(photo), self.devices[0]))
            for result, stage in zip(results, stages):
                terms = self._errors(stage, pictures)
                result.append({name: to_numpy(term).item() for name, term in terms.items()})
        return [{**mean, "total": sum(mean.values())} for mean in map(mean_terms, results)]

    def evaluate(self, photos: Sequence[Path]) -> tuple[Sequence[Mapping[str, float]], dict[str, bytes]]:
        stages = range(len(self.chain.generators))
        return (self.validate(photos, stages) if photos else ()), {}

    def samples(self, photos: Sequence[Path]) -> dict[str, np.ndarray]:
        return {path.name: to_vgg_space(preview_photo(path)) for path in photos}
