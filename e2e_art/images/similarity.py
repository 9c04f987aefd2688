"""How near a picture is to the true one, as papers on super-resolution measure it: PSNR and SSIM of the luma.

Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity,
IEEE Transactions on Image Processing 13, 2004.
"""

from __future__ import annotations

import numpy as np

from ..errors import OptionError

__all__ = ["luma", "psnr", "ssim"]

WINDOW = 11  # pixels of the Gaussian's sides, of standard deviation 1.5
# Of ITU-R BT.601, for R, G and B: the luma of white, 255, and of MATLAB's white above its black, 235 - 16.
_FULL, _STUDIO = (0.299, 0.587, 0.114), (65.481 / 255, 128.553 / 255, 24.966 / 255)


def luma(image: np.ndarray, full_range: bool = False) -> np.ndarray:
    """Returns Y of YCbCr, not rounded: float64 (H, W) of uint8 (H, W, 3).

    By default 16..235, as MATLAB's rgb2ycbcr has it and papers measure it; full_range: 0..255, as JPEG has it, which
    makes every PSNR 1.32 dB lower.
    """
    return image @ np.array(_FULL) if full_range else image @ np.array(_STUDIO) + 16


def psnr(picture: np.ndarray, truth: np.ndarray, border: int = 0) -> float:
    """Returns the peak signal-to-noise ratio in decibels, of levels whose peak is 255.

    It is inf for equal pictures, -inf for values that are endlessly far away.

    picture, truth: of one shape, (H, W) or (H, W, C).  border: how many pixels are left out on each side.
    """
    difference = _inside(picture, border).astype(np.float64) - _inside(truth, border)
    error = np.mean(np.square(difference))
    return float(20 * np.log10(255) - 10 * np.log10(error)) if error else float("inf")


def ssim(picture: np.ndarray, truth: np.ndarray, border: int = 0) -> float:
    """Returns the structural similarity, 1 for equal pictures: its mean over all windows of 11x11 that fit.

    picture, truth: (H, W), levels of 0..255.  border: how many pixels are left out on each side.
    Raises OptionError for pictures that no window fits into.
    """
    from skimage.metrics import structural_similarity

    picture, truth = (_inside(each, border).astype(np.float64) for each in (picture, truth))
    if min(truth.shape) < WINDOW:
        height, width = truth.shape
        raise OptionError(f"SSIM needs {WINDOW} pixels or more on each side, inside the border, not {width}x{height}")
    similarity = structural_similarity(
        picture, truth, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(similarity)


def _inside(levels: np.ndarray, border: int) -> np.ndarray:
    return levels[border : levels.shape[0] - border, border : levels.shape[1] - border]
