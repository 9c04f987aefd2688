"""How the small picture that an upscaler sees is made of a large one: shrunk, and with the faults of real pictures.

X. Wang and others: Real-ESRGAN, arXiv 2107.10833.  Differs from the paper in one round instead of two, in round
Gaussians, and in shrinking always the same way.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from ..errors import OptionError
from ..images.arrays import rounded
from ..images.bicubic import shrink_bicubic

__all__ = ["Degradation", "degrade"]


@dataclass(frozen=True)
class Degradation:
    """Which share of the pictures has each fault, 0..1, and how strong it is there: evenly drawn from a range.

    By default no picture has any, and all are shrunk as the benchmarks do.  Raises OptionError for what cannot be.
    """

    blurred: float = 0.0
    blur: tuple[float, float] = (0.2, 1.0)  # standard deviation of a Gaussian, in small pixels
    noisy: float = 0.0
    noise: tuple[float, float] = (1.0, 10.0)  # standard deviation of normal noise, in gray levels
    compressed: float = 0.0
    quality: tuple[float, float] = (60.0, 95.0)  # of JPEG, its colors subsampled

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in (self.blurred, self.noisy, self.compressed)):
            raise OptionError("The shares of blurred, noisy and compressed pictures lie between 0 and 1")
        if not all(0 <= low <= high for low, high in (self.blur, self.noise, self.quality)):
            raise OptionError("The ranges of blur, noise and quality go from a number of 0 or more to one no smaller")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise OptionError("The quality of JPEG lies between 1 and 100")


def degrade(image: np.ndarray, factor: int, degradation: Degradation, random: np.random.Generator) -> np.ndarray:
    """Returns a picture blurred, shrunk, with noise, and compressed as JPEG, each by chance.

    Whether a picture has one fault, and how strong, does not depend on its others.
    image: uint8 (H, W, 3).  Returns uint8 (H // factor, W // factor, 3).  Raises ImageError as `shrink_bicubic` does.
    """
    shares = np.array((degradation.blurred, degradation.noisy, degradation.compressed))
    blurred, noisy, compressed = random.random(3) < shares
    low, high = zip(degradation.blur, degradation.noise, degradation.quality)
    blur, noise, quality = random.uniform(low, high)
    if blurred and blur > 0:
        image = cv2.GaussianBlur(image, (0, 0), blur * factor)
    small = shrink_bicubic(image, factor)
    if noisy:
        small = rounded(small + random.normal(0, noise, small.shape))
    return _through_jpeg(small, round(quality)) if compressed else small


def _through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
