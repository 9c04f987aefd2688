"""Pictures as networks take them: float32 in VGG space, and back to 8 bits."""

from __future__ import annotations

import numpy as np

__all__ = ["CHANNEL_MEANS", "from_vgg_space", "no_picture", "rounded", "to_uint8", "to_vgg_space"]

# RGB means of ImageNet as the Oxford group subtracted them.
CHANNEL_MEANS = (123.68, 116.779, 103.939)


def no_picture(image: object) -> str:
    """Says what is given for a picture, as "float64 (40, 50)" or "str"; "" where it is one, uint8 (H, W, 3)."""
    if not isinstance(image, np.ndarray):
        return type(image).__name__
    fits = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size
    return "" if fits else f"{image.dtype} {image.shape}"


def to_vgg_space(image: np.ndarray) -> np.ndarray:
    """Turns uint8 RGB (H, W, 3) into float32 (1, 3, H, W): RGB, 0..255 minus CHANNEL_MEANS."""
    centered = image.astype(np.float32) - np.array(CHANNEL_MEANS, np.float32)  # (H, W, 3)
    return np.ascontiguousarray(centered.transpose(2, 0, 1)[np.newaxis])


def from_vgg_space(array: np.ndarray) -> np.ndarray:
    """Turns one picture in VGG space, (1, 3, H, W), into uint8 RGB (H, W, 3): rounded, and clipped to 0..255."""
    return to_uint8(np.asarray(array, np.float32) + np.reshape(CHANNEL_MEANS, (3, 1, 1)).astype(np.float32))


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """Turns a picture of 0..255, (1, 3, H, W) or (3, H, W), into uint8 (H, W, 3): rounded, and clipped."""
    levels = rounded(picture.reshape(picture.shape[-3:]))  # (3, H, W)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def rounded(levels: np.ndarray) -> np.ndarray:
    """Returns gray levels as uint8 of the same shape: rounded, and clipped to 0..255."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
