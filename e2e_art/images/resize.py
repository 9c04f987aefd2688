"""Pictures in other sizes."""

from __future__ import annotations

import cv2
import numpy as np

from ..errors import ImageError

__all__ = ["resize", "resize_long_edge", "resize_short_edge", "with_long_edge", "with_short_edge"]


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes (H, W, 3) to (height, width, 3): sides that shrink are averaged, sides that grow are interpolated.

    Raises ImageError for sides below one pixel, and for more pixels than memory holds.
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
        raise ImageError(f"There is not enough memory for {width}x{height} pixels: choose a smaller size") from error


def resize_long_edge(image: np.ndarray, edge: int) -> np.ndarray:
    """Resizes so that the longer side has `edge` pixels, and the shorter one as many as keep the shape, at least 1."""
    return resize(image, *with_long_edge(*image.shape[:2], edge))


def resize_short_edge(image: np.ndarray, edge: int) -> np.ndarray:
    """Resizes so that the shorter side has `edge` pixels, and the longer one as many as keep the shape."""
    return resize(image, *with_short_edge(*image.shape[:2], edge))


def with_long_edge(height: int, width: int, edge: int) -> tuple[int, int]:
    """Returns height and width of a picture that `resize_long_edge` resizes."""
    return _scaled(height, width, edge, max(height, width))


def with_short_edge(height: int, width: int, edge: int) -> tuple[int, int]:
    """Returns height and width of a picture that `resize_short_edge` resizes."""
    return _scaled(height, width, edge, min(height, width))


def _scaled(height: int, width: int, numerator: int, denominator: int) -> tuple[int, int]:
    if numerator < 1:
        raise ImageError(f"A picture cannot be resized to an edge of {numerator}: give at least 1 pixel")
    return max(1, round(height * numerator / denominator)), max(1, round(width * numerator / denominator))
