"""Whether a picture has a grid: texture that follows pixel positions, as networks that write blocks of pixels leave."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["grid"]


def grid(levels: np.ndarray, period: int) -> float:
    """Returns how strong a grid is, in levels: 0 where a picture has none.

    It is the standard deviation, over the period x period places of a pixel in its block, of the median Laplacian
    (4-neighborhood) of all pixels at that place: a pattern that lies on the whole picture counts in full, edges and
    strokes of the picture itself, which fall on any place, hardly.

    levels: (H, W) of 0..255, such as luma; at least one block within a border of one block.
    """
    detail = cv2.Laplacian(levels.astype(np.float64), cv2.CV_64F)
    rows, columns = (side // period - 1 for side in detail.shape)  # without the border, whose neighbors are reflected
    blocks = detail[period : rows * period, period : columns * period]
    medians = np.median(blocks.reshape(rows - 1, period, columns - 1, period), axis=(0, 2))
    return float(medians.std())
