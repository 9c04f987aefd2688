"""Pictures in other sizes."""

from __future__ import annotations

import cv2
import numpy as np

from ..errors import ImageError, MemoryShortage

__all__ = ["resize", "resize_long_edge", "resize_short_edge", "with_long_edge", "with_most_pixels", "with_short_edge"]


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes (H, W, 3) to (height, width, 3): sides that shrink are averaged, sides that grow are interpolated.

    Raises ImageError for sides below one pixel, MemoryShortage for more pixels than memory holds.
    """
    if height < 1 or width < 1:
        raise ImageError(f"A picture cannot be resized to {width}x{height}: both sides need at least 1 pixel")
    rows, columns = image.shape[:2]
    try:
        image = cv2.resize(image, (min(width, columns), min(height, rows)), interpolation=cv2.INTER_AREA)
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    except (cv2.error, OverflowError) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem and max(height, width) < 2**31:
            raise
        raise MemoryShortage(f"{width}x{height} pixels take more memory than is free: choose a smaller size") from error


def resize_long_edge(image: np.ndarray, edge: int) -> np.ndarray:
    """Resizes so that the longer side has `edge` pixels, and the shorter one as many as keep the shape, at least 1."""
    return resize(image, *with_long_edge(image.shape, edge))


def resize_short_edge(image: np.ndarray, edge: int) -> np.ndarray:
    """Resizes so that the shorter side has `edge` pixels, and the longer one as many as keep the shape."""
    return resize(image, *with_short_edge(image.shape, edge))


def with_most_pixels(image: np.ndarray, pixels: int) -> np.ndarray:
    """Returns a picture as it is, or smaller where it has more pixels than that."""
    height, width = image.shape[:2]
    factor = (pixels / (height * width)) ** 0.5
    return image if factor >= 1 else resize_long_edge(image, max(1, int(max(height, width) * factor)))


def with_long_edge(shape: tuple[int, ...], edge: int) -> tuple[int, int]:
    """Returns height and width that `resize_long_edge` gives a picture; shape: its (H, W, ...)."""
    return _scaled(shape, edge, max(shape[:2]))


def with_short_edge(shape: tuple[int, ...], edge: int) -> tuple[int, int]:
    """Returns height and width that `resize_short_edge` gives a picture; shape: its (H, W, ...)."""
    return _scaled(shape, edge, min(shape[:2]))


def _scaled(shape: tuple[int, ...], numerator: int, denominator: int) -> tuple[int, int]:
    if numerator < 1:
        raise ImageError(f"A picture cannot be resized to an edge of {numerator}: give at least 1 pixel")
    height, width = (max(1, round(side * numerator / denominator)) for side in shape[:2])
    return height, width
