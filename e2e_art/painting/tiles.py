"""Pictures of any size in bounded memory: painted stage by stage, in tiles, with the statistics of a smaller copy.

A generator sees but some 80 pixels far, so tiles that overlap by more join without a seam: but for instance
normalization, which looks at the whole picture.  So every mean and variance is measured on a smaller copy first, and
given to all tiles alike (thumbnail instance normalization: Z. Chen, W. Wang, E. Xie, T. Lu, P. Luo: Towards
Ultra-Resolution Neural Style Transfer via Thumbnail Instance Normalization, arXiv 2103.11784).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..engines.onnxruntime import open_session, out_of_memory
from ..images.arrays import CHANNEL_MEANS
from ..images.resize import resize_long_edge
from ..models.folder import Model, tile_file
from ..networks.inputs import NOISE_PERIOD, PADDING, noise_tile, reflect

__all__ = ["TILE", "TiledPainter"]

TILE = 512  # pixels of a tile's edge, its overlap aside
OVERLAP = 96  # pixels on each side; the deepest generator, the pyramid, sees 82 far
MULTIPLE = 8  # what the sides of a tile divide by
THUMBNAIL_EDGE = 1024  # of the copy that statistics are measured on
MEANS = np.reshape(CHANNEL_MEANS, (3, 1, 1)).astype(np.float32)


class TiledPainter:
    """A trained model that paints in tiles.

    model: a verified model.  threads, gpu: as for `stylize.load`.
    """

    def __init__(self, model: Model, threads: int | None = None, gpu: int | None = None):
        self.model = model
        files = [model.path(tile_file(stage)) for stage in range(len(model.stages))]
        self._sessions = [open_session(file, threads, gpu, thrifty=True) for file in files]
        self._noise = noise_tile()[0, 0]

    def statistics(self, photo: np.ndarray, strength: float = 1.0, last: int | None = None) -> list[np.ndarray]:
        """Returns what the normalizations of each stage measure on a copy of a photo at long edge 1024, (2, S) each.

        photo: uint8 (H, W, 3).  last: the last stage to look at.
        """
        small = resize_long_edge(photo, THUMBNAIL_EDGE) if max(photo.shape) > THUMBNAIL_EDGE else photo
        frame = _Frame(small, self._noise)
        measured, picture = [], frame.photo(frame.whole)
        for session in self._sessions[: None if last is None else last + 1]:
            picture, found = _run(session, picture, frame, frame.whole, strength)
            measured.append(found)
        return measured

    def paint(
        self,
        photo: np.ndarray,
        stages: Sequence[int],
        strength: float = 1.0,
        tile: int = TILE,
        statistics: Sequence[np.ndarray] | None = None,
        on_tile: Callable[[int, int], None] = lambda done, count: None,
    ) -> list[np.ndarray]:
        """Returns the pictures of stages, uint8 (H, W, 3) each.

        photo: uint8 (H, W, 3).  tile: pixels of a tile's edge, at least OVERLAP.  statistics: what `statistics` gave,
        if it was asked before.  on_tile: told how many tiles are done, and how many there are.

        Raises MemoryError where not even the tiles fit.
        """
        last = max(stages)
        statistics = statistics or self.statistics(photo, strength, last)
        frame = _Frame(photo, self._noise)
        edge = max(OVERLAP, tile // MULTIPLE * MULTIPLE)
        count, done = (last + 1) * len(frame.rows(edge)) * len(frame.columns(edge)), 0
        results = {stage: np.empty_like(photo) for stage in stages}
        picture: np.ndarray | None = None  # the last stage's, (3, H', W') float16 in VGG space; None is the photo
        for stage, session in enumerate(self._sessions[: last + 1]):
            after = picture if stage < last else None
            if stage < last and after is None:
                after = np.empty((3, *frame.size), np.float16)
            above = None  # the last row of tiles, while the next one still reads what it replaces
            for rows in frame.rows(edge):
                strip = np.empty((3, rows.stop - rows.start, frame.size[1]), np.float16)
                for columns in frame.columns(edge):
                    outer, inner = frame.around(rows, columns)
                    before = frame.photo(outer) if picture is None else picture[(slice(None), *outer)]
                    painted, _ = _run(session, before, frame, outer, strength, statistics[stage])
                    strip[:, :, columns] = painted[(slice(None), *inner)]
                    done += 1
                    on_tile(done, count)
                if stage in results:
                    frame.crop(strip, rows, results[stage])
                if above:
                    after[:, above[0]] = above[1]
                above = (rows, strip) if after is not None else None
            if above:
                after[:, above[0]] = above[1]
            picture = after
        return [results[stage] for stage in stages]


class _Frame:
    """A photo in its frame, part by part: `chain.Chain.frame` and `chain.Chain.guide` without ever holding it whole."""

    def __init__(self, photo: np.ndarray, noise: np.ndarray):
        self._image, self._noise = photo, noise
        self._places = [reflect(length, PADDING, PADDING + -length % MULTIPLE) for length in photo.shape[:2]]
        self.size = tuple(map(len, self._places))
        self.whole = (slice(0, self.size[0]), slice(0, self.size[1]))

    def photo(self, part: tuple[slice, slice]) -> np.ndarray:
        """Returns a part of the framed photo, (3, h, w) float32 in VGG space."""
        rows, columns = (places[side] for places, side in zip(self._places, part))
        return self._image[np.ix_(rows, columns)].transpose(2, 0, 1).astype(np.float32) - MEANS

    def guide(self, part: tuple[slice, slice]) -> np.ndarray:
        """Returns a part of the guide: photo and noise, (4, h, w)."""
        rows, columns = (np.arange(side.start, side.stop) % NOISE_PERIOD for side in part)
        return np.concatenate([self.photo(part), self._noise[np.ix_(rows, columns)][np.newaxis].astype(np.float32)])

    def rows(self, edge: int) -> list[slice]:
        return _cuts(self.size[0], edge)

    def columns(self, edge: int) -> list[slice]:
        return _cuts(self.size[1], edge)

    def around(self, *tile: slice) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Returns a tile with its overlap, and where in that it lies."""
        outer = [
            slice(max(0, side.start - OVERLAP), min(length, side.stop + OVERLAP))
            for side, length in zip(tile, self.size)
        ]
        inner = [slice(side.start - wide.start, side.stop - wide.start) for side, wide in zip(tile, outer)]
        return tuple(outer), tuple(inner)

    def crop(self, strip: np.ndarray, rows: slice, image: np.ndarray) -> None:
        """Puts rows of the framed picture, (3, h, W'), where they belong in an image, uint8 (H, W, 3)."""
        height, width = image.shape[:2]
        begin, end = max(rows.start - PADDING, 0), min(rows.stop - PADDING, height)
        if begin < end:
            inside = strip[:, begin + PADDING - rows.start : end + PADDING - rows.start, PADDING : PADDING + width]
            image[begin:end] = np.clip(np.rint(inside + MEANS), 0, 255).transpose(1, 2, 0)


def _cuts(length: int, edge: int) -> list[slice]:
    return [slice(begin, min(begin + edge, length)) for begin in range(0, length, edge)]


def _run(session, picture: np.ndarray, frame: _Frame, part, strength: float, statistics: np.ndarray | None = None):
    """Returns what a stage makes of a part of a picture, (3, h, w), and what its normalizations measured there."""
    places = {place.name: place.shape for place in session.get_inputs()}
    if places["picture"][1] > 3:
        picture = np.concatenate([picture, frame.guide(part)])
    feeds = {"picture": picture[np.newaxis].astype(np.float32), "strength": np.array([strength], np.float32)}
    if "statistics" in places:
        feeds["statistics"] = np.zeros(places["statistics"], np.float32) if statistics is None else statistics
        feeds["own"] = np.array([statistics is None], np.float32)
    try:
        painting, *measured = session.run(None, feeds)
    except Exception as error:
        if out_of_memory(error):
            raise MemoryError from error
        raise
    return painting[0], measured[0] if measured else np.empty((2, 0), np.float32)
