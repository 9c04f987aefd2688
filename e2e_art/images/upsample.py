"""A painting grown to the size of its photo, as sharp as the photo where both have an edge.

K. He, J. Sun: Fast Guided Filter, arXiv 1505.00996.
"""

from __future__ import annotations

import cv2
import numpy as np

from .resize import resize

__all__ = ["upsample_guided"]

RADIUS = 2  # pixels of the small painting around each that a line is fitted in
SMOOTHNESS = 30.0  # squared gray levels: where the photo varies less, it has no say
STRIP = 256  # rows grown at a time


def upsample_guided(painting: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Grows a painting to a photo's size, and adds what the photo has that is too fine for the painting.

    Around each pixel each color of the painting is fitted as a straight line of the photo's luminance, at the size of
    the painting.  What the photo's luminance gains at its own size is added with the slope of that line: an edge that
    both have becomes as sharp as the photo's, the strokes stay.  (The filter of the paper applies the whole line, which
    would leave of the strokes only what resembles the photo.)

    painting: uint8 (h, w, 3).  photo: uint8 (H, W, 3), larger.  Returns uint8 (H, W, 3).
    """
    height, width = photo.shape[:2]
    rows, columns = painting.shape[:2]
    guide = _luminance(resize(photo, rows, columns))  # (h, w, 1)
    colors = painting.astype(np.float32)
    mean, mean_colors = _mean(guide), _mean(colors)
    slope = _mean((_mean(guide * colors) - mean * mean_colors) / (_mean(guide * guide) - mean * mean + SMOOTHNESS))
    fields = np.concatenate([colors, slope, guide], axis=2)  # (h, w, 3 + 3 + 1)
    grown = np.empty_like(photo)
    across = _places(width, columns)
    for begin in range(0, height, STRIP):
        end = min(begin + STRIP, height)
        maps = np.meshgrid(across, _places(height, rows)[begin:end])  # columns, rows
        parts = [
            cv2.remap(fields[..., part], *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            for part in (slice(0, 3), slice(3, 6), slice(6, 7))
        ]
        gained = _luminance(photo[begin:end]) - parts[2][..., np.newaxis]
        grown[begin:end] = np.clip(np.rint(parts[0] + parts[1] * gained), 0, 255)
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
