"""Pictures as networks take them: float32 in VGG space, and back to 8 bits."""

from __future__ import annotations

import numpy as np

__all__ = ["CHANNEL_MEANS", "from_vgg_space", "to_vgg_space"]

# RGB means of ImageNet as the Oxford group subtracted them.
CHANNEL_MEANS = (123.68, 116.779, 103.939)


def to_vgg_space(image: np.ndarray) -> np.ndarray:
    """Turns uint8 RGB (H, W, 3) into float32 (1, 3, H, W): RGB, 0..255 minus CHANNEL_MEANS."""
    centered = image.astype(np.float32) - np.array(CHANNEL_MEANS, np.float32)  # (H, W, 3)
    return np.ascontiguousarray(centered.transpose(2, 0, 1)[np.newaxis])


def from_vgg_space(array: np.ndarray) -> np.ndarray:
    """Turns one picture in VGG space, (1, 3, H, W), into uint8 RGB (H, W, 3): rounded, and clipped to 0..255."""
    (picture,) = np.asarray(array, np.float32)  # (3, H, W)
    colors = picture.transpose(1, 2, 0) + np.array(CHANNEL_MEANS, np.float32)
    return np.clip(np.rint(colors), 0, 255).astype(np.uint8)
