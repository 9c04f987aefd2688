"""Masks to learn doodles on: height maps by the diamond-square algorithm, cut at a few heights into regions.

Three maps of different roughness are summed, cut into regions by K-means, the regions smoothed, and their numbers
shuffled: else only neighbors in height would ever touch.  A region that is drawn at all is large enough for a texture.
Mask number i depends on the seed and on i alone.

After D. Ulyanov: Feed-forward neural doodle, 2016, whose code had but one map, and whose regions could vanish.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from ..errors import OptionError
from ..images.regions import one_hot

__all__ = ["MASKS", "MOST_REGIONS", "Masks", "height_map", "make_mask"]

MASKS = 1000  # that a training goes through, again and again
ROUGHNESS = (0.35, 0.55, 0.75)  # of the maps that are summed, up to 1: as rough at a distance of one as of many
EDGE = 200  # pixels of height maps and masks
SMOOTHING = 11  # pixels of the window that regions are smoothed in
LEAST = 0.03  # of the mask, that each of its regions has
MOST_REGIONS = math.floor(0.5 / LEAST)
WAVE = 16  # pixels from one bend to the next of edges that are moved
FEWER = 0.4  # share of the masks in which some regions are missing: people draw such, too


def height_map(edge: int, roughness: float, random: np.random.RandomState) -> np.ndarray:
    """Returns heights by the diamond-square algorithm, float64 (edge, edge).

    Each point is the mean of its neighbors on the grid of twice the distance, mixed with a random height whose share,
    1 at first, falls to `roughness` times itself with each halving.
    """

    def mixed(means: np.ndarray) -> np.ndarray:
        return share * random.uniform(0, 1, means.shape) + (1 - share) * means

    heights, share = random.uniform(0, 1, (3, 3)), 1.0
    while len(heights) < edge:
        share *= roughness
        last = 2 * len(heights) - 1
        finer = np.zeros((last, last))
        finer[::2, ::2] = heights
        corners = (heights[:-1, :-1] + heights[:-1, 1:] + heights[1:, :-1] + heights[1:, 1:]) / 4
        finer[1::2, 1::2] = mixed(corners)
        padded = (np.pad(finer, 1), np.pad(np.ones_like(finer), 1))  # at a border there are three neighbors
        sums, counts = (each[:-2, 1:-1] + each[2:, 1:-1] + each[1:-1, :-2] + each[1:-1, 2:] for each in padded)
        for rows, columns in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
            finer[rows, columns] = mixed(sums[rows, columns] / counts[rows, columns])
        heights = finer
    return heights[:edge, :edge]


def make_mask(seed: int, number: int, regions: int) -> np.ndarray:
    """Returns a mask, uint8 (200, 200): the number of each pixel's region, 0..regions - 1.

    Each region that is there covers 3 % or more; in some masks there are fewer than `regions`.
    """
    random = np.random.RandomState([seed % 2**32, number, regions])
    count = random.randint(1, regions + 1) if random.uniform() < FEWER else regions
    numbers = random.permutation(regions)[:count].astype(np.uint8)
    while True:
        heights = np.sum([height_map(EDGE, roughness, random) for roughness in ROUGHNESS], axis=0)
        bands = cv2.medianBlur(_bands(heights, count), SMOOTHING)
        if np.bincount(bands.ravel(), minlength=count).min() >= LEAST * bands.size:
            return numbers[bands]


def _bands(heights: np.ndarray, count: int) -> np.ndarray:
    """Returns which of `count` bands each height lies in, uint8, the lowest first: K-means, one dimension."""
    if count == 1:
        return np.zeros(heights.shape, np.uint8)
    cv2.setRNGSeed(count)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-4)
    samples = heights.astype(np.float32).reshape(-1, 1)
    _, labels, centers = cv2.kmeans(samples, count, np.empty(0, np.int32), stop, 1, cv2.KMEANS_PP_CENTERS)
    ranks = np.argsort(np.argsort(centers.ravel())).astype(np.uint8)
    return ranks[labels].reshape(heights.shape)


class Masks:
    """The masks of a training, each kept once it is made.

    regions: how many a mask has at most.  count: how many masks there are.  Raises OptionError where none can be made.
    """

    def __init__(self, regions: int, seed: int = 0, count: int = MASKS):
        if count < 1 or not 1 <= regions <= MOST_REGIONS:
            raise OptionError(f"{count} masks of {regions} regions cannot be made: there can be {MOST_REGIONS} regions")
        self.regions, self.seed, self.count = regions, seed, count
        self._made: dict[int, np.ndarray] = {}

    def __getitem__(self, number: int) -> np.ndarray:
        """Returns mask `number`, uint8 (200, 200); of numbers beyond the count, those from the first again."""
        place = number % self.count
        if place not in self._made:
            self._made[place] = make_mask(self.seed, place, self.regions)
        return self._made[place]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[number] for number in range(self.count))


def one_hot_planes(mask: np.ndarray, regions: int, size: int) -> np.ndarray:
    """Returns a mask of region numbers as planes, (1, R, size, size)."""
    return one_hot(cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST), regions)[np.newaxis]


def jitter_edges(planes: np.ndarray, pixels: float, seed: int) -> np.ndarray:
    """Returns regions (R, H, W) whose places were moved, smoothly, by about so many pixels: a partition as before."""
    height, width = planes.shape[1:]
    coarse = np.random.RandomState(seed % 2**32).normal(0, pixels, (2, -(-height // WAVE), -(-width // WAVE)))
    shifts = [cv2.resize(shift, (width, height), interpolation=cv2.INTER_CUBIC) for shift in coarse]
    rows, columns = (np.mgrid[:height, :width] + shifts).astype(np.float32)
    moved = [cv2.remap(each, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT) for each in planes]
    return np.stack(moved)
