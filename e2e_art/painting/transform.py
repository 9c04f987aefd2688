"""Feature transforms: the features of a photo get the mean and the covariance of those of a painting.

Three maps of a photo's covariance C to a painting's S, all affine, the same for every pixel:

- "wct": S^(1/2) C^(-1/2), whitening and coloring.  Y. Li and others, arXiv 1705.08086.
- "ost": C^(-1/2) (C^(1/2) S C^(1/2))^(1/2) C^(-1/2), the optimal transport between two Gaussians: of all maps that do
  so the one that moves features least.  M. Lu and others: A Closed-form Solution to Universal Style Transfer,
  arXiv 1906.00668.
- "adain": each channel by itself, by its variance.  X. Huang, S. Belongie, arXiv 1703.06868.

Differs from these in that small variances are raised to a share of the mean variance, and in that no identity is added
to covariances, which would weaken the transform wherever variances are small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import OptionError, unknown

__all__ = ["METHODS", "Affine", "Moments", "Statistics", "transform", "transform_regions"]

METHODS = ("ost", "wct", "adain")
FLOOR = 1e-5  # of the mean variance, which no variance in any direction lies below
ROUNDING = 1e-10  # of the squares of means: a variance of less is what single precision makes of none


@dataclass(frozen=True)
class Statistics:
    """Mean (C,) and covariance (C, C) of the features of so many pixels, float64."""

    mean: np.ndarray
    covariance: np.ndarray
    count: int = 0

    @classmethod
    def of(cls, features: np.ndarray) -> Statistics:
        """Returns the statistics of features (C, N)."""
        moments = Moments(len(features))
        moments.add(features)
        return moments.statistics()


class Moments:
    """Sums that the statistics of features of so many channels are made of, tile by tile."""

    def __init__(self, channels: int):
        self._count, self._sum, self._products = 0, np.zeros(channels), np.zeros((channels, channels))

    def add(self, features: np.ndarray) -> None:
        """Counts features (C, N) in."""
        features = features.astype(np.float64)
        self._count += features.shape[1]
        self._sum += features.sum(axis=1)
        self._products += features @ features.T

    def statistics(self) -> Statistics:
        """Returns the statistics of all features so far."""
        mean = self._sum / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        flat = np.trace(covariance) <= ROUNDING * (mean @ mean)
        return Statistics(mean, np.zeros_like(covariance) if flat else covariance, self._count)


@dataclass(frozen=True)
class Affine:
    """A map of features, float64: matrix (C, C) times features, plus offset (C,)."""

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Returns features (C, N), mapped, in the precision that they have."""
        matrix, offset = (each.astype(features.dtype) for each in (self.matrix, self.offset))
        return matrix @ features + offset[:, np.newaxis]

    def at_strength(self, strength: float) -> Affine:
        """Returns the map that goes a share of the way: at 0 features stay what they are."""
        return Affine(strength * self.matrix + (1 - strength) * np.eye(len(self.matrix)), strength * self.offset)


def transform(content: Statistics, style: Statistics, method: str = "ost", strength: float = 1.0) -> Affine:
    """Returns the map that gives features of some statistics those of a style; raises OptionError for a method.

    Features that do not vary become the style's mean.
    """
    if method not in METHODS:
        raise OptionError(unknown("method", method, METHODS))
    matrix = {"ost": _transport, "wct": _coloring, "adain": _scaling}[method](content.covariance, style.covariance)
    return Affine(matrix, style.mean - matrix @ content.mean).at_strength(strength)


def transform_regions(
    features: np.ndarray,
    regions: Sequence[np.ndarray],
    styles: Sequence[Statistics],
    method: str = "ost",
    strength: float = 1.0,
) -> np.ndarray:
    """Returns features (C, N) with a transform for each region, its pixels given as a mask (N,), to a style of its own.

    Regions of no more pixels than there are channels keep their features: their covariance says nothing; and so do
    pixels of no region.
    """
    result = features.copy()
    for region, style in zip(regions, styles):
        if min(np.count_nonzero(region), style.count) > len(features):
            own = features[:, region]
            result[:, region] = transform(Statistics.of(own), style, method, strength)(own)
    return result


def _coloring(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    return _power(style, 0.5) @ _power(content, -0.5)


def _transport(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    root, inverse = _power(content, 0.5), _power(content, -0.5)
    matrix = inverse @ _power(root @ _power(style, 1.0) @ root, 0.5, floor=0.0) @ inverse
    return (matrix + matrix.T) / 2


def _scaling(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    return np.diag(_raised(np.diag(style)) ** 0.5 * _inverse(_raised(np.diag(content)) ** 0.5))


def _power(covariance: np.ndarray, power: float, floor: float = FLOOR) -> np.ndarray:
    """Returns a power of a covariance (C, C) whose eigenvalues are raised; where all are 0, so is every power."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    values = _raised(values, floor)
    return (vectors * (values**power if power > 0 else _inverse(values**-power))) @ vectors.T


def _raised(variances: np.ndarray, floor: float = FLOOR) -> np.ndarray:
    return np.maximum(variances, floor * max(0.0, variances.mean()))


def _inverse(values: np.ndarray) -> np.ndarray:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
