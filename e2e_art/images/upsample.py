"""Guided upsampling: a painting at the size of its photo, as sharp as the photo where both have an edge.

K. He, J. Sun: Fast Guided Filter, arXiv 1505.00996.
"""

from __future__ import annotations

import cv2
import numpy as np

from .arrays import rounded
from .resize import resize

__all__ = ["upsample_guided"]

RADIUS = 2  # pixels of the small painting, of the window in which a line is fitted
SMOOTHNESS = 30.0  # squared gray levels: where the photo varies less, it has no effect
STRIP = 256  # rows upsampled at a time


def upsample_guided(painting: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Upsamples a painting to the size of a photo, and adds detail of the photo too fine for the painting.

    Around each pixel, and at the size of the painting, each of its colors is fitted as a linear function of the photo's
    luminance.  The luminance that the photo has in addition at its own size is added with that coefficient: an edge
    that both have becomes as sharp as in the photo, strokes stay.

    painting: uint8 (h, w, 3).  photo: uint8 (H, W, 3), larger.  Returns uint8 (H, W, 3).
    """
    # Differs from the paper, whose filter applies the whole function and keeps of the strokes what resembles the photo.
    height, width = photo.shape[:2]
    rows, columns = painting.shape[:2]
    luminance = _luminance(resize(photo, rows, columns))  # (h, w, 1)
    colors = painting.astype(np.float32)
    mean, mean_colors = _mean(luminance), _mean(colors)
    covariance, variance = _mean(luminance * colors) - mean * mean_colors, _mean(luminance * luminance) - mean * mean
    coefficients = _mean(covariance / (variance + SMOOTHNESS))
    upsampled = np.empty_like(photo)
    across = _places(width, columns)
    for begin in range(0, height, STRIP):
        end = min(begin + STRIP, height)
        x, y = np.meshgrid(across, _places(height, rows)[begin:end])
        large, slopes, known = (
            cv2.remap(field, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            for field in (colors, coefficients, luminance)
        )
        upsampled[begin:end] = rounded(large + slopes * (_luminance(photo[begin:end]) - known[..., np.newaxis]))
    return upsampled


def _luminance(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., np.newaxis].astype(np.float32)  # (H, W, 1)


def _mean(field: np.ndarray) -> np.ndarray:
    """Returns the mean in the window around each pixel, (h, w, C)."""
    edge = 2 * RADIUS + 1
    return cv2.blur(field, (edge, edge), borderType=cv2.BORDER_REFLECT_101).reshape(field.shape)


def _places(length: int, small: int) -> np.ndarray:
    """Returns the positions of `length` pixels among `small` ones."""
    return ((np.arange(length) + 0.5) * (small / length) - 0.5).astype(np.float32)
