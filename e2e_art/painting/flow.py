"""How a clip moves: where each pixel of a frame was in the frame before, and where that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["Motion", "flicker", "motion"]

TOLERANCE = 1.0  # pixels by which the way back may miss where the way there began
LIKENESS = 20.0  # gray levels by which a pixel may differ from where it is said to come from


@dataclass
class Motion:
    """Where each pixel of a frame was in the frame before: columns and rows, (H, W) float32.

    reliable: (H, W) bool, False where something came into view, or where there and back do not meet.
    """

    columns: np.ndarray
    rows: np.ndarray
    reliable: np.ndarray

    def warp(self, picture: np.ndarray, interpolation: int = cv2.INTER_CUBIC) -> np.ndarray:
        """Returns a picture of the frame before, (H, W) or (H, W, C), warped to where its parts are now."""
        return cv2.remap(picture, self.columns, self.rows, interpolation, borderMode=cv2.BORDER_REPLICATE)

    def at(self, height: int, width: int) -> Motion:
        """Returns how pictures of another size move, which show what the frames do, as enlarged paintings."""
        if (height, width) == self.reliable.shape:
            return self
        old, new = _places(*self.reliable.shape), _places(height, width)
        scale = [side / own for side, own in zip((height, width), self.reliable.shape)]
        ways = [now - place for now, place in zip((self.rows, self.columns), old)]
        ways = [cv2.resize(way, (width, height)) * factor for way, factor in zip(ways, scale)]
        reliable = cv2.resize(self.reliable.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return Motion(new[1] + ways[1], new[0] + ways[0], reliable > 0)


def _places(height: int, width: int) -> np.ndarray:
    """Returns the row and the column of each pixel, (2, H, W)."""
    return np.mgrid[0:height, 0:width].astype(np.float32)


def motion(before: np.ndarray, now: np.ndarray) -> Motion:
    """Returns how the frame `before` became the frame `now`, both uint8 (H, W, 3).

    T. Kroeger, R. Timofte, D. Dai, L. Van Gool: Fast Optical Flow using Dense Inverse Search, arXiv 1603.03590.
    """
    height, width = now.shape[:2]
    rows, columns = _places(height, width)
    if min(height, width) < 16:  # too small to find anything in
        return Motion(columns, rows, np.abs(now.astype(int) - before).mean(axis=2) < LIKENESS)
    old, new = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, now))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    back = search.calc(new, old, None)  # type: ignore[call-overload]  # (H, W, 2): columns, rows; stubs know no None
    there = search.calc(old, new, None)  # type: ignore[call-overload]
    columns, rows = columns + back[..., 0], rows + back[..., 1]
    inside = (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    moved = Motion(columns, rows, inside)
    missed = back + moved.warp(there, cv2.INTER_LINEAR)
    alike = np.abs(moved.warp(old, cv2.INTER_LINEAR).astype(np.float32) - new) < LIKENESS
    moved.reliable &= alike & (np.hypot(*np.moveaxis(missed, -1, 0)) < TOLERANCE)
    return moved


def flicker(moved: Motion, before: np.ndarray, now: np.ndarray) -> float:
    """Returns how much a painting changed beyond what moved: the mean squared difference, in squared gray levels.

    before and now: the paintings of two frames, uint8 (H, W, 3).  Counts where the motion is reliable; 0 is steady.
    """
    if not moved.reliable.any():
        return 0.0
    change = moved.warp(before).astype(np.float32) - now
    return float(np.square(change[moved.reliable]).mean())
