"""A painting grown to the size of its photo, with the photo's own edges.

K. He, J. Sun: Fast Guided Filter, arXiv 1505.00996.
"""

from __future__ import annotations

import cv2
import numpy as np

from .images import resize

__all__ = ["upsample_guided"]

RADIUS = 2  # pixels of the small painting around each that a line is fitted in
SMOOTHNESS = 30.0  # squared gray levels: where the photo varies less, it has no say
STRIP = 256  # rows grown at a time


def upsample_guided(painting: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Grows a painting to a photo's size; where both have an edge, it becomes as sharp as the photo's.

    Around each pixel each color of the painting is fitted as a straight line of the photo's luminance, at the size of
    the painting; the lines are grown and applied to the photo at its own.  Strokes, which it has not, stay smooth.

    painting: uint8 (h, w, 3).  photo: uint8 (H, W, 3), larger.  Returns uint8 (H, W, 3).
    """
    height, width = photo.shape[:2]
    rows, columns = painting.shape[:2]
    guide = _luminance(resize(photo, rows, columns))  # (h, w, 1)
    colors = painting.astype(np.float32)
    mean, mean_colors = _mean(guide), _mean(colors)
    slope = (_mean(guide * colors) - mean * mean_colors) / (_mean(guide * guide) - mean * mean + SMOOTHNESS)
    slope, offset = _mean(slope), _mean(mean_colors - slope * mean)
    grown = np.empty_like(photo)
    across = _places(width, columns)
    for begin in range(0, height, STRIP):
        end = min(begin + STRIP, height)
        down = _places(height, rows)[begin:end]
        maps = np.meshgrid(across, down)  # columns, rows
        gain, base = (
            cv2.remap(field, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for field in (slope, offset)
        )
        grown[begin:end] = np.clip(np.rint(gain * _luminance(photo[begin:end]) + base), 0, 255)
    return grown


def _luminance(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., np.newaxis].astype(np.float32)  # (H, W, 1)


def _mean(field: np.ndarray) -> np.ndarray:
    """Returns the mean around each pixel, (h, w, C)."""
    edge = 2 * RADIUS + 1
    return cv2.blur(field, (edge, edge), borderType=cv2.BORDER_REFLECT_101).reshape(field.shape)


def _places(length: int, small: int) -> np.ndarray:
    """Returns where each of `length` pixels lies among `small` ones."""
    return ((np.arange(length) + 0.5) * (small / length) - 0.5).astype(np.float32)
