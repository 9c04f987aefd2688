"""Pictures with an opacity: as they look on white, their own colors, and colors where nothing is seen."""

from __future__ import annotations

import cv2
import numpy as np

from ..errors import ImageError
from .arrays import rounded

__all__ = ["check_opacity", "neighborhood", "off_white", "on_white", "spread_colors"]

KNOWN = 32  # opacity from which on 8 bits tell a color to 4 levels, of a picture that lies on white


def check_opacity(image: np.ndarray, opacity: np.ndarray | None) -> None:
    """Raises ImageError for an opacity that is none of a picture (H, W, 3): it is uint8 (H, W), or None."""
    if opacity is None:
        return
    given, size = np.asarray(opacity), image.shape[:2]
    if (given.dtype, given.shape) != (np.uint8, size):
        what = f"{given.dtype} {given.shape}"
        raise ImageError(f"An opacity is uint8 {size} for such a picture, not {what}: use read_picture")


def off_white(image: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Returns the colors of a picture that lies on white with an opacity; all uint8, (H, W, 3) and (H, W)."""
    share = np.maximum(opacity, 1)[..., np.newaxis] / np.float32(255)
    return rounded(255 - (255 - image.astype(np.float32)) / share)


def on_white(colors: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Returns a picture as it looks on white; all uint8, (H, W, 3) and (H, W)."""
    share = opacity[..., np.newaxis] / np.float32(255)
    return rounded(255 - (255 - colors.astype(np.float32)) * share)


def neighborhood(opacity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the least and the most opacity that each pixel and its eight neighbors have; all uint8, (H, W)."""
    square = np.ones((3, 3), np.uint8)
    return cv2.erode(opacity, square), cv2.dilate(opacity, square)


def spread_colors(colors: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Returns colors that go on where a picture is nearly clear, from the nearest pixel that is not.

    So an edge of the opacity is none of the colors.  All uint8, (H, W, 3) and (H, W).
    """
    known = opacity >= min(KNOWN, max(1, opacity.max()))
    if not known.any():
        return colors
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    palette = np.zeros((nearest.max() + 1, 3), np.uint8)
    palette[nearest[known]] = colors[known]
    return np.where(known[..., np.newaxis], colors, palette[nearest])
