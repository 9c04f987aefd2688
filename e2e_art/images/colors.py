"""Colors of a painting: those of its photo, and smoothed by total variation.

L. Gatys, M. Bethge, A. Hertzmann, E. Shechtman: Preserving Color in Neural Artistic Style Transfer, arXiv 1606.05897.
"""

from __future__ import annotations

import numpy as np

from .arrays import rounded
from .resize import resize

__all__ = ["denoise", "keep_colors", "recolor"]

STRIP = 256  # rows that get their colors at a time
_LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)


def keep_colors(painting: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Returns a painting with its own luminance, and the photo's Cb and Cr (YCbCr, full range).

    Where a color is out of range at its new luminance, its saturation is reduced: luminance and hue stay.
    painting, photo: uint8 RGB, (H, W, 3); the photo is resized to the painting.  Returns uint8 (H, W, 3).
    """
    photo = resize(photo, *painting.shape[:2])
    kept = np.empty_like(painting)
    for begin in range(0, len(painting), STRIP):
        rows = slice(begin, begin + STRIP)
        kept[rows] = _with_chroma(painting[rows], photo[rows].astype(np.float32))
    return kept


def _with_chroma(painting: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Returns rows of a painting, uint8 (h, W, 3), in the colors of those of a photo, float32 (h, W, 3)."""
    luminance = (painting @ _LUMINANCE)[..., np.newaxis]  # (h, W, 1)
    chroma = photo - (photo @ _LUMINANCE)[..., np.newaxis]  # (h, W, 3), of luminance 0
    limit = np.where(chroma > 0, 255 - luminance, luminance) / np.maximum(np.abs(chroma), 1e-6)
    saturation = np.minimum(limit.min(axis=-1, keepdims=True), 1)  # (h, W, 1)
    return rounded(luminance + saturation * chroma)


def recolor(picture: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Returns a picture with the mean and the covariance of the colors of another one.

    Of all linear maps that do so, this is the one that changes colors least.
    picture, like: uint8 RGB, (H, W, 3), of any sizes.  Returns uint8 (H, W, 3).
    """
    colors, target = (image.reshape(-1, 3).astype(np.float64) for image in (picture, like))

    def root(pixels: np.ndarray, power: float) -> np.ndarray:
        covariance = np.cov(pixels.T, bias=True) + 1e-3 * np.eye(3)  # which a gray picture has in one direction only
        values, vectors = np.linalg.eigh(covariance)
        return (vectors * values**power) @ vectors.T

    half = root(colors, 0.5)
    values, vectors = np.linalg.eigh(half @ np.linalg.matrix_power(root(target, 0.5), 2) @ half)
    inverse = root(colors, -0.5)
    matrix = inverse @ (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T @ inverse  # (3, 3), symmetric
    return rounded((colors - colors.mean(axis=0)) @ matrix + target.mean(axis=0)).reshape(picture.shape)


def denoise(image: np.ndarray, weight: float = 0.02) -> np.ndarray:
    """Smooths a picture by Chambolle's total variation filter, which keeps its edges.

    image: uint8 RGB, (H, W, 3).  weight: 0.02 is Bing Xu's; more is smoother, 0 changes nothing.
    """
    if weight <= 0:
        return image.copy()
    from skimage.restoration import denoise_tv_chambolle

    channels = [rounded(255 * denoise_tv_chambolle(channel, weight)) for channel in np.moveaxis(image, -1, 0)]
    return np.stack(channels, axis=-1)
