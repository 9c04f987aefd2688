"""A painting in the colors of a photo: its strokes afterwards, or its palette beforehand.

L. Gatys, M. Bethge, A. Hertzmann, E. Shechtman: Preserving Color in Neural Artistic Style Transfer, arXiv 1606.05897.
"""

from __future__ import annotations

import numpy as np

from .resize import resize

__all__ = ["keep_colors", "recolor"]

_LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)


def keep_colors(painting: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Gives the painting the photo's colors: its own luminance, and the photo's Cb and Cr (YCbCr, full range).

    Where a color is too strong for the luminance it gets, it is paled until it fits, so that luminance and hue stay.
    painting, photo: uint8 RGB, (H, W, 3); the photo is resized where it has another size.  Returns the same.
    """
    photo = resize(photo, *painting.shape[:2]).astype(np.float32)
    luminance = (painting @ _LUMINANCE)[..., np.newaxis]  # (H, W, 1)
    chroma = photo - (photo @ _LUMINANCE)[..., np.newaxis]  # (H, W, 3), of luminance 0
    room = np.where(chroma > 0, 255 - luminance, luminance) / np.maximum(np.abs(chroma), 1e-6)
    fitting = np.minimum(room.min(axis=-1, keepdims=True), 1)  # (H, W, 1)
    return np.clip(np.rint(luminance + fitting * chroma), 0, 255).astype(np.uint8)


def recolor(picture: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Gives a picture the mean and the covariance of another one's colors.

    Of all linear maps that do so, the one that moves colors least.  picture, like: uint8 RGB, (H, W, 3), of any sizes.
    """
    colors, wanted = (image.reshape(-1, 3).astype(np.float64) for image in (picture, like))

    def root(pixels: np.ndarray, power: float) -> np.ndarray:
        covariance = np.cov(pixels.T, bias=True) + 1e-3 * np.eye(3)  # a grey picture has no second direction
        values, vectors = np.linalg.eigh(covariance)
        return (vectors * values**power) @ vectors.T

    half = root(colors, 0.5)
    values, vectors = np.linalg.eigh(half @ np.linalg.matrix_power(root(wanted, 0.5), 2) @ half)
    inverse = root(colors, -0.5)
    change = inverse @ (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T @ inverse  # (3, 3), symmetric
    moved = (colors - colors.mean(axis=0)) @ change + wanted.mean(axis=0)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8).reshape(picture.shape)
