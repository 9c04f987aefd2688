"""What a model's pictures are worth: their losses in the house's convention, whatever the recipe trained with."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from .errors import OptionError
from .images import to_vgg_space
from .models import Model
from .options import LossOptions

__all__ = ["Judge", "pack_targets", "unpack_targets"]

STYLE_FILE = "style.npz"
SMALLEST = 16  # pixels, which four poolings bring down to one


class Judge:
    """Judges pictures by a model's painting, with the default weights and layers.

    `targets`: its Gram matrices.  `options`: of the loss, which for textures and doodles has no content.

    Raises BackendError where MXNet is not installed, ModelError where the model does not carry its style.
    """

    def __init__(self, model: Model):
        from .losses import PerceptualLoss

        self.targets = unpack_targets(model.path(STYLE_FILE).read_bytes())
        self.options = LossOptions() if model.kind == "chain" else LossOptions(content_weight=0.0)
        self._loss = PerceptualLoss(self.options, self.targets)

    def losses(self, photo: np.ndarray, pictures: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Returns the weighted terms and the total of each picture.

        photo: uint8 (H, W, 3).  pictures: as large as the photo.  Terms: style, content, tv, total.
        Raises OptionError for pictures too small to look at.
        """
        from .backend import mx

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
        from .backend import mx
        from .slope import guides_of

        guides = [] if regions is None else guides_of(regions, self.options)
        return sum(
            float(term.asscalar()) for term in self._loss(mx.nd.array(to_vgg_space(picture)), [], guides).values()
        )


def pack_targets(targets: Sequence[np.ndarray]) -> bytes:
    """Returns Gram matrices as a file: they are symmetric, so one triangle in half precision will do."""
    arrays = {}
    for index, target in enumerate(targets):
        scale = np.abs(target).max()
        arrays[f"scale_{index}"] = scale
        rows, columns = np.triu_indices(target.shape[-1])
        triangles = (target[:, rows, columns] / scale).astype(np.float16)  # of each region, (R, C (C + 1) / 2)
        arrays[f"triangle_{index}"] = triangles if len(triangles) > 1 else triangles[0]
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unpack_targets(content: bytes) -> list[np.ndarray]:
    """Returns the Gram matrices that `pack_targets` packed, each (1, C, C) float32, or (R, C, C) for R regions."""
    targets = []
    with np.load(io.BytesIO(content)) as arrays:
        for index in range(len(arrays.files) // 2):
            triangles = np.atleast_2d(arrays[f"triangle_{index}"].astype(np.float32) * arrays[f"scale_{index}"])
            channels = int((2 * triangles.shape[1]) ** 0.5)
            rows, columns = np.triu_indices(channels)
            grams = np.empty((len(triangles), channels, channels), np.float32)
            grams[:, rows, columns] = grams[:, columns, rows] = triangles
            targets.append(grams)
    return targets
