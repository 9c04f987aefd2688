"""What a painting asks of a picture: shared by training, optimization and evaluation, and kept with every model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..engines.mxnet import mx
from ..errors import OptionError
from ..networks.vgg import load_vgg
from .options import LossOptions, check_shares
from .perceptual import gram_matrix, normalized
from .regions import region_weights

__all__ = ["StyleTarget"]


@dataclass(frozen=True)
class StyleTarget:
    """The style of one painting, or of a blend of several.

    grams: the Gram matrix to reach in each style layer, (1, C, C), or (R, C, C) for the R regions of a painting.
    """

    grams: tuple[np.ndarray, ...]

    @classmethod
    def of(
        cls,
        options: LossOptions,
        paintings: Sequence,
        blend: Sequence[float] = (),
        regions: np.ndarray | None = None,
    ) -> StyleTarget:
        """Returns the style of paintings, in the style layers of the loss: the mean of their Gram matrices.

        paintings: one or more, each (1, 3, H, W) in VGG space.  blend: what each counts; all alike by default.
        regions: of a single painting, (R, H, W); each then has Gram matrices of its own.
        """
        if blend and len(blend) != len(paintings):
            raise OptionError(f"There are {len(paintings)} paintings, but {len(blend)} shares to blend them by")
        check_shares(blend, "style blend")
        weights = [None] * len(options.style_layers) if regions is None else region_weights(regions, options)
        network = load_vgg(options.style_layers, options.loss_network, pooling=options.pooling, bfloat16=False)
        grams = [np.float32(0)] * len(options.style_layers)
        for painting, share in zip(paintings, normalized(blend, len(paintings))):
            for index, features in enumerate(network(mx.nd.array(painting))):
                gram = gram_matrix(mx.nd, features, options.covariance, weights[index])
                grams[index] = grams[index] + share * gram.asnumpy()
        return cls(tuple(grams))

    def save(self) -> bytes:
        """Returns the content of a file: the matrices are symmetric, so one triangle in half precision will do."""
        arrays = {}
        for index, gram in enumerate(self.grams):
            scale = np.abs(gram).max()
            arrays[f"scale_{index}"] = scale
            rows, columns = np.triu_indices(gram.shape[-1])
            triangles = (gram[:, rows, columns] / scale).astype(np.float16)  # of each region, (R, C (C + 1) / 2)
            arrays[f"triangle_{index}"] = triangles if len(triangles) > 1 else triangles[0]
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, content: bytes) -> StyleTarget:
        """Returns the style target that `save` saved."""
        grams = []
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            for index in range(len(arrays.files) // 2):
                triangles = np.atleast_2d(arrays[f"triangle_{index}"].astype(np.float32) * arrays[f"scale_{index}"])
                channels = int((2 * triangles.shape[1]) ** 0.5)
                rows, columns = np.triu_indices(channels)
                gram = np.empty((len(triangles), channels, channels), np.float32)
                gram[:, rows, columns] = gram[:, columns, rows] = triangles
                grams.append(gram)
        return cls(tuple(grams))
