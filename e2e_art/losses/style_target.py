"""The style of a painting, as a perceptual loss needs it: shared by training, optimization and evaluation."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engines.gluon import array, nd, to_numpy
from ..errors import OptionError
from ..files import load_arrays
from ..images.resize import resize, with_long_edge, with_short_edge
from ..machine import STYLE, check_memory
from ..networks.vgg import CHANNELS, block_of, load_vgg
from .options import LossOptions, check_blend
from .patches import PATCH_SIZE, Patches, extract_patches
from .perceptual import SMALLEST, gram_matrix, normalized
from .regions import patch_regions, region_weights

__all__ = ["StyleTarget", "painting_at", "smallest_side"]

log = logging.getLogger(__name__)

MOST_BYTES = 2**27  # that the arrays of a file may take


def smallest_side(options: LossOptions) -> int:
    """Returns how many pixels a picture's sides need at least, so that the loss can see it in all its layers."""
    layers = options.patch_layers if options.patch_weight else ()
    return max([SMALLEST, *(PATCH_SIZE * 2 ** (block_of(layer) - 1) for layer in layers)])


def painting_at(painting: np.ndarray, edge: int, options: LossOptions, name: str = "") -> np.ndarray:
    """Returns a painting with that long edge, or larger where a narrow one would be too small for the loss.

    painting: uint8 (H, W, 3).  name: what the log calls it where it is larger; without one it says nothing.
    Raises UserError where memory would not suffice.
    """
    height, width = with_long_edge(painting.shape, edge)
    least = smallest_side(options)
    if min(height, width) < least:
        asked = f"{width}x{height}"
        height, width = with_short_edge(painting.shape, least)
        if name:
            log.info(
                "%s is taken at %dx%d pixels, as its style cannot be seen in %s; a larger --style-size shows more",
                *(name, width, height, asked),
            )
    check_memory(STYLE, height, width, "--style-size {long}")
    return resize(painting, height, width)


@dataclass(frozen=True)
class StyleTarget:
    """The style of one painting, or of a blend of several.

    grams: for each style layer the Gram matrix, (1, C, C), or those of the R regions of a painting, (R, C, C).
    patches: for each patch layer the patches of the painting, where the loss has a patch weight.
    """

    grams: Mapping[str, np.ndarray]
    patches: Mapping[str, Patches] = field(default_factory=dict)

    @classmethod
    def of(
        cls, options: LossOptions, paintings: Sequence, blend: Sequence[float] = (), regions: np.ndarray | None = None
    ) -> StyleTarget:
        """Returns the style of paintings in the layers of the loss: the mean of their Gram matrices, and patches.

        paintings: one or more, each (1, 3, H, W) in VGG space.  blend: their shares; equal by default.
        regions: of a single painting, (R, H, W); each then has Gram matrices of its own.
        Raises OptionError for shares that do not fit, and for patches of several paintings.
        """
        check_blend(blend, len(paintings))
        if options.patch_weight and len(paintings) != 1:
            raise OptionError("Patches are those of one painting: leave the others out, or --patch-weight")
        patch_layers = options.patch_layers if options.patch_weight else ()
        layers = list(dict.fromkeys((*options.style_layers, *patch_layers)))
        network = load_vgg(layers, options.loss_network, pooling=options.pooling, bfloat16=False)
        weights: dict[str, Any] = {}
        parts: dict[str, np.ndarray] = {}
        if regions is not None:
            weights = dict(zip(options.style_layers, map(array, region_weights(regions, options))))
            parts = dict(zip(patch_layers, patch_regions(regions, options) if patch_layers else ()))
        grams: dict[str, Any] = dict.fromkeys(options.style_layers, np.float32(0))
        for painting, share in zip(paintings, normalized(blend, len(paintings))):
            features = dict(zip(layers, network(array(painting))))
            for layer in grams:
                gram = gram_matrix(nd, features[layer], options.covariance, weights.get(layer))
                grams[layer] = grams[layer] + share * to_numpy(gram)
        patches = {layer: extract_patches(to_numpy(features[layer]), parts.get(layer)) for layer in patch_layers}
        return cls(grams, patches)

    def save(self) -> bytes:
        """Returns the content of a file of the Gram matrices: one triangle of each, in half precision."""
        arrays = {"layers": np.array(list(self.grams))}
        for index, gram in enumerate(self.grams.values()):
            arrays[f"scale_{index}"] = scale = np.abs(gram).max()
            rows, columns = np.triu_indices(gram.shape[-1])
            triangles = (gram[:, rows, columns] / scale).astype(np.float16)  # of each region, (R, C (C + 1) / 2)
            arrays[f"triangle_{index}"] = triangles if len(triangles) > 1 else triangles[0]
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, content: bytes) -> StyleTarget:
        """Returns the style target that `save` saved; files of before layers had names have the default ones.

        Raises ValueError or the like for a file that holds no Gram matrices.
        """
        grams = {}
        arrays = load_arrays(content, MOST_BYTES)
        layers = arrays["layers"].tolist() if "layers" in arrays else LossOptions().style_layers
        for index, layer in enumerate(layers):
            scale = float(arrays[f"scale_{index}"])
            triangles = np.atleast_2d(arrays[f"triangle_{index}"].astype(np.float32) * scale)
            channels = int((2 * triangles.shape[1]) ** 0.5)
            rows, columns = np.triu_indices(channels)
            if triangles.ndim != 2 or triangles.shape[1] != len(rows) or not np.isfinite(triangles).all():
                raise ValueError(f"{layer} has no Gram matrices")
            gram = np.empty((len(triangles), channels, channels), np.float32)
            gram[:, rows, columns] = gram[:, columns, rows] = triangles
            grams[layer] = gram
        return cls(grams)

    def check(self, layers: Sequence[str], regions: int = 1) -> None:
        """Raises ValueError where it is not of these layers of VGG, and of so many regions."""
        channels = {layer: CHANNELS[block_of(layer) - 1] for layer in layers}
        shapes = {layer: gram.shape for layer, gram in self.grams.items()}
        if shapes != {layer: (regions, count, count) for layer, count in channels.items()}:
            raise ValueError("its Gram matrices are of other layers or regions")
