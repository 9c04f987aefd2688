"""The task of any style in one chain: each step shows another painting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from ..data.paintings import PaintingStream, Pairs
from ..data.photos import Photos, PhotoStream
from ..engines.gluon import array, autograd, nd
from ..images.arrays import to_vgg_space
from ..images.io import list_images, read_image
from ..losses.options import LossOptions
from ..losses.perceptual import PerceptualLoss
from ..losses.style_target import StyleTarget, painting_at
from ..models.folder import read_model
from ..models.kinds import AUTOENCODER
from ..models.publish import load_chain
from ..networks.styled import AnyStyleChain
from ..networks.vgg import CHANNELS, block_of
from ..painting.describe import described_size
from .describing import fit_describer
from .options import TrainingOptions
from .styling import StyledTask
from .task import mean_terms

__all__ = ["AnyStyleTask"]

LARGE = 10.0  # a weighted style term, from which on it counts by its logarithm
SHOWN = 8  # paintings on contact sheets


class AnyStyleTask(StyledTask):
    """A chain paints photos in the style of whatever painting it is shown."""

    chain: AnyStyleChain

    def __init__(
        self,
        options: TrainingOptions,
        chain: AnyStyleChain,
        devices: Sequence,
        bfloat16: bool | None = None,
        photos: Photos | None = None,
    ):
        super().__init__(options, chain, devices, bfloat16, photos)
        self.paintings = Photos(options.paintings, seed=options.seed)
        self._unseen = list_images(Path(options.unseen)) if options.unseen else []
        learned = (Path(options.paintings, name) for name in self.paintings.names)
        self._validated = self._unseen or list(learned)  # by paintings that it has seen, where there are no others

    def begin(self, stages: Sequence[int]) -> None:
        """Lets the describer learn, before the first step, unless the chain that it starts from has one."""
        if not self.options.student:
            return
        student = load_chain(read_model(self.options.student, AUTOENCODER), self.devices)
        folder = Path(self.options.paintings)
        paintings = (described_size(read_image(folder / name)) for name in self.paintings.names)
        fit_describer(self.chain.describer, student.stage_weights(0), map(to_vgg_space, paintings), self.devices[0])

    def target(self, loss: LossOptions) -> StyleTarget:
        """Returns a style of nothing: each step has another."""
        channels = {layer: CHANNELS[block_of(layer) - 1] for layer in loss.style_layers}
        return StyleTarget({layer: np.zeros((1, count, count), np.float32) for layer, count in channels.items()})

    def batches(self, size: int, position: int, workers: int | None = None) -> Pairs:  # type: ignore[override]
        photos, paintings = (
            stream(listed, size, self.options.batch, position=position, workers=workers)
            for stream, listed in ((PhotoStream, self.photos), (PaintingStream, self.paintings))
        )
        return Pairs(photos, paintings)  # type: ignore[arg-type]

    def begin_chain(self, inputs, beside: Sequence, shifts: Sequence) -> tuple:
        with autograd.pause():
            numbers = range(len(beside[0]))
            descriptions = nd.concat(*(self.chain.describer(self._painting(beside, n)) for n in numbers), dim=0)
        return self.chain.begin(inputs, shifts, descriptions)

    def _painting(self, beside: Sequence, number: int):
        """Returns the painting of photo `number` of a batch, (1, 3, H, W) in VGG space."""
        return self.inputs(nd.slice_axis(beside[0], axis=0, begin=number, end=number + 1))

    def grams(self, loss: PerceptualLoss, beside: Sequence, number: int) -> list:
        return loss.grams_of(self._painting(beside, number))

    def losses(self, loss: PerceptualLoss, picture, features: Sequence) -> Mapping[str, Any]:
        """Returns the weighted terms of pictures, (N,) each; the style term has the gradient of its logarithm.

        For relative errors are many times as large for pale or dark paintings as for others, which are to count alike.
        """
        terms = super().losses(loss, picture, features)
        style = terms["style"]
        damped = style / (1 + nd.BlockGrad(style) / LARGE)
        return {**terms, "style": nd.BlockGrad(style - damped) + damped}

    def paint(self, sample: np.ndarray, stages: int, painting: np.ndarray | None = None) -> list:
        """Returns what `Task.paint` does, in the style of a painting, uint8 (H, W, 3); by default as all paintings."""
        device = self.devices[0]
        style = nd.zeros_like(array(np.empty((1, self.chain.describer.length)), device))
        if painting is not None:
            style = self.chain.describer(array(to_vgg_space(described_size(painting)), device))
        return self.chain(array(sample, device), 1.0, stages, style)

    def validate(
        self, photos: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None
    ) -> list[dict[str, float]]:
        """Returns what `StyleTask.validate` does, each photo in the style of another unseen painting."""
        results = []
        for sample, path in zip(self.validation_samples(photos), cycle(self._validated)):
            painting = read_image(path)
            pictures = self.paint(sample, max(stages) + 1, painting)
            shown = painting_at(painting, self.options.style_size, self.options.loss)
            beside = [shown[np.newaxis]]
            results.append(self._mean_losses([(sample, pictures, beside)], stages, loss or self.loss))
        return [mean_terms(each) for each in zip(*results)]

    def evaluate(self, photos: Sequence[Path]) -> tuple[Sequence[Mapping[str, float]], dict[str, bytes]]:
        loss, stages = LossOptions(), range(len(self.chain.generators))
        return self.validate(photos, stages, PerceptualLoss(loss, self.target(loss), self.devices)), {}

    def record(self) -> dict[str, Any]:
        """Returns how many paintings it has learned from, and is validated on."""
        return {"paintings": len(self.paintings.names), "unseen_paintings": len(self._unseen)}

    def shown(self, sample: np.ndarray) -> tuple[list[str], list]:
        """Returns what a contact sheet shows of a sample: what the last stage makes of it after some paintings."""
        paths = self._validated[:SHOWN]
        count = len(self.chain.generators)
        return [path.stem[:24] for path in paths], [self.paint(sample, count, read_image(path))[-1] for path in paths]
