"""The losses of pictures, by the default weights and layers, whatever a model was trained with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engines.gluon import array, to_numpy
from ..errors import ModelError, OptionError, reason_of
from ..images.arrays import to_vgg_space
from ..losses.options import LossOptions
from ..losses.perceptual import SMALLEST, PerceptualLoss
from ..losses.regions import region_weights
from ..losses.style_target import StyleTarget
from ..machine import LOSSES, check_memory
from ..models.folder import STYLE_FILE, Model

__all__ = ["Evaluator", "StyleEvaluator"]


class StyleEvaluator:
    """Measures pictures by a style, whatever made them.

    target: that style, in the default layers.  options: of the loss.
    """

    def __init__(self, target: StyleTarget, options: LossOptions | None = None):
        self.target, self.options = target, options or LossOptions()
        self._loss = PerceptualLoss(self.options, target)

    def losses(self, photo: np.ndarray, pictures: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Returns the weighted terms of each picture, style, content and tv, and their total.

        photo: uint8 (H, W, 3).  pictures: of the same size.  Raises OptionError for pictures that are too small,
        UserError where memory would not suffice.
        """
        height, width = photo.shape[:2]
        check_memory(LOSSES, height, width, "{width}x{height}")
        if min(height, width) < SMALLEST:
            raise OptionError(f"Losses need pictures of {SMALLEST} pixels or more on each side, not {width}x{height}")
        content = self._loss.content_features(array(to_vgg_space(photo)))
        return [self._terms(picture, content) for picture in pictures]

    def total(self, picture: np.ndarray, regions: np.ndarray | None = None) -> float:
        """Returns the total of a picture made of noise.

        picture: uint8 (H, W, 3).  regions: of a doodle, (R, H, W), 1 inside; empty ones do not count.
        """
        weights = [] if regions is None else list(map(array, region_weights(regions, self.options)))
        return self._terms(picture, [], weights)["total"]

    def _terms(self, picture: np.ndarray, content: Sequence, weights: Sequence = ()) -> dict[str, float]:
        losses = self._loss(array(to_vgg_space(picture)), content, weights)
        terms = {name: float(to_numpy(term)[0]) for name, term in losses.items()}
        return {**terms, "total": sum(terms.values())}


class Evaluator(StyleEvaluator):
    """Measures pictures by the style of a model's painting; without content for textures and doodles.

    Raises ModelError where the model has no style file, or a damaged one.
    """

    def __init__(self, model: Model):
        path, regions = model.path(STYLE_FILE), 1
        if model.kind.paints_regions:
            regions = len(model.record["palette"])
        options = LossOptions() if model.kind.paints_photos else LossOptions(content_weight=0.0)
        try:
            target = StyleTarget.load(path.read_bytes())
            target.check(options.style_layers, regions)
        except Exception as error:  # zipfile and numpy each have their own kinds for damage
            raise ModelError(f"{path} holds no style ({reason_of(error)}): train the model again") from error
        super().__init__(target, options)
