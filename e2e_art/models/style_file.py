"""The style targets of a painting as a file."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

__all__ = ["pack_targets", "unpack_targets"]

STYLE_FILE = "style.npz"


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
