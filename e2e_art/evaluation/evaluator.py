"""What a model's pictures are worth: their losses in the house's convention, whatever the recipe trained with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import OptionError
from ..images.arrays import to_vgg_space
from ..losses.options import LossOptions
from ..losses.style_target import StyleTarget
from ..models.folder import STYLE_FILE, Model

__all__ = ["Evaluator"]

SMALLEST = 16  # pixels, which four poolings bring down to one


class Evaluator:
    """Judges pictures by a model's painting, with the default weights and layers.

    `target`: its style.  `options`: of the loss, which for textures and doodles has no content.

    Raises EngineError where MXNet is not installed, ModelError where the model does not carry its style.
    """

    def __init__(self, model: Model):
        from ..losses.perceptual import PerceptualLoss

        self.target = StyleTarget.load(model.path(STYLE_FILE).read_bytes())
        self.options = LossOptions() if model.kind.paints_photos else LossOptions(content_weight=0.0)
        self._loss = PerceptualLoss(self.options, self.target)

    def losses(self, photo: np.ndarray, pictures: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Returns the weighted terms and the total of each picture.

        photo: uint8 (H, W, 3).  pictures: as large as the photo.  Terms: style, content, tv, total.
        Raises OptionError for pictures too small to look at.
        """
        from ..engines.mxnet import mx

        if min(photo.shape[:2]) < SMALLEST:
            raise OptionError(f"Losses need pictures of {SMALLEST} pixels or more on each side, not {photo.shape[:2]}")
        features = self._loss.content_features(mx.nd.array(to_vgg_space(photo)))
        results = []
        for picture in pictures:
            terms = self._loss(mx.nd.array(to_vgg_space(picture)), features)
            terms = {name: float(term.asscalar()) for name, term in terms.items()}
            results.append({**terms, "total": sum(terms.values())})
        return results

    def total(self, picture: np.ndarray, regions: np.ndarray | None = None) -> float:
        """Returns the total of a picture that was made of noise.

        picture: uint8 (H, W, 3).  regions: of a doodle, (R, H, W), 1 where each is; places with none do not count.
        """
        from ..engines.mxnet import mx
        from ..losses.regions import region_weights

        guides = [] if regions is None else region_weights(regions, self.options)
        return sum(
            float(term.asscalar()) for term in self._loss(mx.nd.array(to_vgg_space(picture)), [], guides).values()
        )
