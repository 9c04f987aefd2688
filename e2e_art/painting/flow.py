"""How a clip moves: where each pixel of a frame was in the frame before, and where that can be trusted."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["Motion", "flicker", "motion"]

TOLERANCE = 1.0  # pixels by which the way back may miss where the way there began
LIKENESS = 20.0  # gray levels by which a pixel may differ from where it is said to come from


class Motion:
    """Where each pixel of a frame was in the frame before.

    reliable: (H, W) bool, False where something came into view, or where there and back do not meet.
    """

    def __init__(self, columns: np.ndarray, rows: np.ndarray, reliable: np.ndarray):
        self._columns, self._rows, self.reliable = columns, rows, reliable

    def warp(self, picture: np.ndarray) -> np.ndarray:
        """Returns a picture of the frame before, (H, W, 3), warped to where its parts are now."""
        return cv2.remap(picture, self._columns, self._rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def motion(before: np.ndarray, now: np.ndarray) -> Motion:
    """Returns how the frame `before` became the frame `now`, both uint8 (H, W, 3).

    T. Kroeger, R. Timofte, D. Dai, L. Van Gool: Fast Optical Flow using Dense Inverse Search, arXiv 1603.03590.
    """
    height, width = now.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    if min(height, width) < 16:  # too small to find anything in
        return Motion(columns, rows, np.abs(now.astype(int) - before).mean(axis=2) < LIKENESS)
    old, new = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, now))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    back, there = (  # (H, W, 2): columns, rows
        search.calc(start, end, None)  # type: ignore[call-overload]  # its stubs know no None
        for start, end in ((new, old), (old, new))
    )
    columns, rows = columns + back[..., 0], rows + back[..., 1]
    missed = back + cv2.remap(there, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    warped = cv2.remap(old, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alike = np.abs(warped.astype(np.float32) - new) < LIKENESS
    return Motion(columns, rows, inside & alike & (np.hypot(*np.moveaxis(missed, -1, 0)) < TOLERANCE))


def flicker(moved: Motion, before: np.ndarray, now: np.ndarray) -> float:
    """Returns how much a painting changed beyond what moved: the mean squared difference, in squared gray levels.

    before and now: the paintings of two frames, uint8 (H, W, 3).  Counts where the motion is reliable; 0 is steady.
    """
    if not moved.reliable.any():
        return 0.0
    change = moved.warp(before).astype(np.float32) - now
    return float(np.square(change[moved.reliable]).mean())
