"""Steady clips: each painting keeps to the last one, warped along the clip's motion, without losing its strokes."""

from __future__ import annotations

import cv2
import numpy as np

from ..images.arrays import rounded
from .flow import Motion

__all__ = ["blend"]

KEPT = 0.7  # of the last painting, warped
STROKE = 2.0  # pixels; what is finer fades where paintings are blended, and is brought back
MOST_GAIN = 2.5


def blend(moved: Motion, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Returns a painting that keeps to the last one where the motion is reliable, softly bordered.

    before, now: the last painting and this one, uint8 (H, W, 3).  Strokes are made as strong as those of `now`:
    averaged, they had faded.
    """
    trust = KEPT * _blurred(moved.reliable.astype(np.float32), 2.0)[..., np.newaxis]
    blend, painting = trust * moved.warp(before) + (1 - trust) * now, now.astype(np.float32)
    coarse = _blurred(blend, STROKE)
    strokes, wanted = blend - coarse, painting - _blurred(painting, STROKE)  # (H, W, 3)
    powers = [_blurred(np.square(part).mean(axis=2), 3 * STROKE) + 1 for part in (strokes, wanted)]  # (H, W)
    return rounded(coarse + np.clip(np.sqrt(powers[1] / powers[0]), 1, MOST_GAIN)[..., np.newaxis] * strokes)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma)
