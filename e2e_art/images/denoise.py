"""Total variation denoising."""

from __future__ import annotations

import numpy as np

from .arrays import rounded

__all__ = ["denoise"]


def denoise(image: np.ndarray, weight: float = 0.02) -> np.ndarray:
    """Smooths a picture by Chambolle's total variation filter, which keeps its edges.

    image: uint8 RGB, (H, W, 3).  weight: 0.02 is Bing Xu's; more is smoother, 0 changes nothing.
    """
    if weight <= 0:
        return image.copy()
    from skimage.restoration import denoise_tv_chambolle

    return rounded(255 * denoise_tv_chambolle(image, weight, channel_axis=-1))
