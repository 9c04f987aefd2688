"""An endless, seeded, resumable stream of training crops.

Which photo crop number i shows, and which part of it, depends on the seed, on i and on the list of photos alone.
So one number, how many crops were delivered, resumes the stream exactly, whatever the number of workers.
"""

from __future__ import annotations

import logging
import math
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import ImageError
from ..images.io import read_image
from ..images.resize import resize, resize_short_edge
from .listing import PhotoError, list_photos
from .randomness import CROP, ORDER, SAMPLE
from .stream import Stream

__all__ = ["PatchStream", "PhotoStream", "Photos"]

log = logging.getLogger(__name__)

SCALES = 1.0, 1.25  # of the short edge of a photo, to the size of its crop: 1 is the largest crop
LARGEST_EDGE = 512  # pixels of the short edge of a photo that patches are cut from: larger ones have little detail
_TOLERATED, _FEW = 0.05, 20  # the share of unreadable photos, and how many have to be tried before it counts


class Photos:
    """The photos of a training, listed once, whatever streams show them.

    folder, list_file: as in list_photos.  limit: keep only so many, chosen by the seed, an integer of 0 or more.
    names: of the photos.  skipped: why, of those that could not be read.
    """

    def __init__(
        self, folder: Path | str, list_file: Path | str | None = None, limit: int | None = None, seed: int = 0
    ):
        if seed < 0 or (limit is not None and limit < 1):
            raise PhotoError("limit must be 1 or more, seed 0 or more")
        self.folder, self.seed = Path(folder), seed
        self.names = list_photos(folder, list_file)
        if limit is not None and limit < len(self.names):
            chosen = np.random.default_rng((seed, SAMPLE, 0)).choice(len(self.names), limit, replace=False)
            self.names = [self.names[index] for index in np.sort(chosen)]
        self.skipped: dict[str, str] = {}
        self._tried = np.zeros(len(self.names), bool)
        self._lock = threading.Lock()  # guards `skipped`

    def read(self, number: int, edge: int | None) -> np.ndarray | None:
        """Reads a photo, its short edge no shorter than `edge` where it has so many pixels; None where it cannot.

        Raises PhotoError where all cannot be read, or clearly more than 5 % of those tried: three standard deviations
        more, once 20 have been tried.
        """
        name = self.names[number]
        self._tried[number] = True
        if name not in self.skipped:
            try:
                return read_image(self.folder / name, at_least=edge)
            except ImageError as error:
                self._skip(name, str(error))
        self._check_readable()
        return None

    def _skip(self, name: str, why: str) -> None:
        with self._lock:
            if name not in self.skipped:
                self.skipped[name] = why
                log.warning("Skipped a photo: %s", why)

    def _check_readable(self) -> None:
        with self._lock:
            skipped, first = len(self.skipped), next(iter(self.skipped.values()))
        tried = int(self._tried.sum())
        most = tried * _TOLERATED + 3 * math.sqrt(tried * _TOLERATED * (1 - _TOLERATED))
        if skipped == len(self.names) or (tried >= _FEW and skipped > most):
            raise PhotoError(
                f"{self.folder}: {skipped} of the {tried} photos tried cannot be read, remove them or copy them again "
                f"(the first: {first})"
            )


class PhotoStream(Stream[np.ndarray]):
    """Random crops of random photos, batch after batch, without end: an iterator, and a context manager.

    photos: what to show, by the seed that they have.  size: the side of the crops, in pixels.
    batch, position, workers: as for `Stream`; position is how many crops were delivered before.

    Yields uint8 RGB, (batch, size, size, 3).  Every photo is shown once, in an order drawn anew, before any is shown
    again.  A photo that cannot be read is replaced by another one, drawn at random.  Raises PhotoError where `Photos`
    does.
    """

    scales = SCALES

    def __init__(self, photos: Photos, size: int, batch: int = 1, *, position: int = 0, workers: int | None = None):
        if min(size, batch, 1 if workers is None else workers) < 1 or position < 0:
            raise PhotoError("size, batch and workers must be 1 or more, position 0 or more")
        super().__init__(batch, position, workers)
        self.photos, self.size = photos, size

    def __iter__(self) -> PhotoStream:
        return self

    def __next__(self) -> np.ndarray:
        return np.stack(self._take())  # (batch, size, size, 3)

    def _make(self, number: int) -> np.ndarray:
        """Cuts crop `number` from its photo, or from another one if that cannot be read: (size, size, 3)."""
        count, seed = len(self.photos.names), self.photos.seed
        epoch, place = divmod(number, count)
        photo = int(_order(seed, epoch, count)[place])
        random = np.random.default_rng((seed, CROP, number))
        scale = random.uniform(*self.scales)
        across, down, flip = random.random(3)
        while (image := self.photos.read(photo, self._edge(scale))) is None:
            photo = int(random.integers(count))
        crop = self._cut(image, scale, down, across)
        return crop[:, ::-1] if flip < 0.5 else crop

    def _edge(self, scale: float) -> int | None:
        """Returns how many pixels the short edge of a photo should keep when it is read, None for all."""
        return math.ceil(scale * self.size)

    def _cut(self, image: np.ndarray, scale: float, down: float, across: float) -> np.ndarray:
        """Cuts a crop out of a photo, (size, size, 3); down, across: where, 0..1 of the places that there are."""
        height, width = image.shape[:2]
        side = max(1, round(min(height, width) / scale))  # in the photo's own pixels; resized once cut out
        top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
        return resize(image[top : top + side, left : left + side], self.size, self.size)


class PatchStream(PhotoStream):
    """Small crops that show a photo's details: a photo is shrunk by a little only, and a part of it is cut out.

    photo_scales: the least and the greatest factor that its sides are taken times: below 1 the blocks and the noise of
    JPEG files go, above 1 it is as soft as large photos are.  A short edge then has 512 pixels at most, or `size`.
    All else as for `PhotoStream`.
    """

    def __init__(self, photos: Photos, size: int, batch: int = 1, *, photo_scales: tuple[float, float], **options):
        self.scales = photo_scales
        super().__init__(photos, size, batch, **options)

    def _edge(self, scale: float) -> None:
        return None

    def _cut(self, image: np.ndarray, scale: float, down: float, across: float) -> np.ndarray:
        short = min(image.shape[:2])
        edge = max(self.size, min(LARGEST_EDGE, round(scale * short)))
        image = image if edge == short else resize_short_edge(image, edge)
        height, width = image.shape[:2]
        top, left = int(down * (height - self.size + 1)), int(across * (width - self.size + 1))
        return image[top : top + self.size, left : left + self.size]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    """Returns the order in which an epoch shows the photos."""
    return np.random.default_rng((seed, ORDER, epoch)).permutation(count)
