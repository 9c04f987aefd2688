"""The task of several styles in one chain, each step one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.randomness import STYLE
from ..engines.gluon import array, nd
from ..losses.options import LossOptions
from ..losses.perceptual import PerceptualLoss
from ..losses.style_target import StyleTarget
from ..networks.styled import MultiStyleChain
from .options import TrainingOptions
from .styling import StyledTask
from .task import mean_terms

__all__ = ["MultiStyleTask"]


class MultiStyleTask(StyledTask):
    """A chain paints photos in several styles, whose kernels are shared.

    What goes with each photo are the weights of the styles, (N, styles): in training 1 for one of them, by turns.
    """

    chain: MultiStyleChain
    _by_style: Sequence[Mapping[str, float]] = ()

    def __init__(self, options: TrainingOptions, chain: MultiStyleChain, *others: Any):
        super().__init__(options, chain, *others)
        chain.kept_kernels = options.kept_styles > 0

    def target(self, loss: LossOptions) -> StyleTarget:
        """Returns the styles to reach, one after another, in the layers that loss options name."""
        targets = [StyleTarget.of(loss, [style]) for style in self.styles]
        return StyleTarget(
            {layer: np.concatenate([each.grams[layer] for each in targets]) for layer in targets[0].grams}
        )

    def arrays(self, batch: np.ndarray | Sequence[np.ndarray], position: int) -> list[list]:
        """Returns what `StyleTask.arrays` does, with the weights of the styles after the crops."""
        numbers = range(position, position + len(batch))
        weights = np.concatenate([self._one(self.style_of(number)) for number in numbers])
        return super().arrays([np.asarray(batch), weights], position)

    def style_of(self, number: int) -> int:
        """Returns the style that crop `number` is painted in: each has its turn, in an order drawn anew each round."""
        count = len(self.styles)
        turn, place = divmod(number, count)
        return int(np.random.default_rng((self.options.seed, STYLE, turn)).permutation(count)[place])

    def _one(self, style: int) -> np.ndarray:
        """Returns the weights of one style alone, (1, styles)."""
        return np.eye(len(self.styles), dtype=np.float32)[style : style + 1]

    def begin_chain(self, inputs, beside: Sequence, shifts: Sequence) -> tuple:
        return self.chain.begin(inputs, shifts, self._of_all(beside[0]))

    def _of_all(self, weights):
        """Returns the weights of all styles of the chain, of those that learn (N, styles): the others have 0."""
        if not (kept := self.options.kept_styles):
            return weights
        others = nd.broadcast_axis(nd.zeros_like(nd.slice_axis(weights, axis=1, begin=0, end=1)), axis=1, size=kept)
        return nd.concat(others, weights, dim=1)

    def grams(self, loss: PerceptualLoss, beside: Sequence, number: int) -> list:
        return loss.mixed_grams(beside[0][number : number + 1])

    def paint(self, sample: np.ndarray, stages: int, style: int = 0) -> list:
        """Returns what `Task.paint` does, in one of the styles."""
        device = self.devices[0]
        return self.chain(array(sample, device), 1.0, stages, self._of_all(array(self._one(style), device)))

    def validate(
        self, photos: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None
    ) -> list[dict[str, float]]:
        """Returns what `StyleTask.validate` does, each photo painted in another style."""
        samples = enumerate(self.validation_samples(photos))
        pairs = ((sample, n % len(self.styles)) for n, sample in samples)
        return self._mean_of(pairs, stages, loss or self.loss)

    def _mean_of(self, pairs, stages: Sequence[int], loss: PerceptualLoss) -> list[dict[str, float]]:
        """Returns the mean weighted terms of each stage, and their total; pairs: samples, each with a style."""
        results = [
            self._mean_losses([(sample, self.paint(sample, max(stages) + 1, style), [self._one(style)])], stages, loss)
            for sample, style in pairs
        ]
        return [mean_terms(each) for each in zip(*results)]

    def evaluate(self, photos: Sequence[Path]) -> tuple[Sequence[Mapping[str, float]], dict[str, bytes]]:
        """Returns what `Task.evaluate` does: the mean over all styles."""
        loss = LossOptions()
        loss = PerceptualLoss(loss, self.target(loss), self.devices)
        stages, results = range(len(self.chain.generators)), []
        for style in range(len(self.styles)):
            results.append(self._mean_of(((each, style) for each in self.validation_samples(photos)), stages, loss))
        self._by_style = [stages[-1] for stages in results if stages]
        return [mean_terms(each) for each in zip(*results)], {}

    def record(self) -> dict[str, Any]:
        """Returns the terms of the last stage in each style."""
        names = (Path(style).stem for style in self.options.styles)
        return {"validation_by_style": dict(zip(names, self._by_style))}

    def shown(self, sample: np.ndarray) -> tuple[list[str], list]:
        """Returns what a contact sheet shows of a sample: what the last stage makes of it in each style."""
        count = len(self.chain.generators)
        pictures = [self.paint(sample, count, style)[-1] for style in range(len(self.styles))]
        return [Path(style).stem for style in self.options.styles], pictures
