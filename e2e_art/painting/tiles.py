"""Tiled inference: pictures of any size in bounded memory, stage by stage, with the statistics of a smaller copy.

A generator sees but some 80 pixels far, so tiles that overlap by more join without a seam: but for instance
normalization, whose means and variances are measured on a smaller copy and given to all tiles alike.
Z. Chen, W. Wang, E. Xie, T. Lu, P. Luo: Thumbnail Instance Normalization, arXiv 2103.11784.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.onnxruntime import open_session, run_session
from ..errors import ModelError
from ..images.arrays import CHANNEL_MEANS, to_uint8
from ..images.resize import resize_long_edge
from ..models.folder import Model, tile_file
from ..networks.inputs import NOISE_PERIOD, PADDING, noise_tile, reflect

__all__ = ["OVERLAP", "THUMBNAIL_EDGE", "TILE", "TiledPainter"]

TILE = 512  # pixels of a tile's edge, its overlap aside
OVERLAP = 96  # pixels on each side; the deepest generator, the pyramid, sees 82 far
MULTIPLE = 8  # what the sides of a tile divide by
MOST_STATISTICS = 2**16  # means that a stage measures: the largest has thousands
THUMBNAIL_EDGE = 1024  # of the copy that statistics are measured on
MEANS = np.reshape(CHANNEL_MEANS, (3, 1, 1)).astype(np.float32)
Part = tuple[slice, ...]  # rows and columns of a picture


class TiledPainter:
    """A trained model that paints in tiles; threads, gpu: as for `e2e_art.load`."""

    def __init__(self, model: Model, threads: int | None = None, gpu: int | str | None = None):
        files = [model.path(tile_file(stage)) for stage in range(len(model.stages))]
        self._stages = [_Stage(file, threads, gpu) for file in files]

    def statistics(
        self, photo: np.ndarray, strength: float, count: int, beside: Mapping[str, np.ndarray] = {}
    ) -> list[np.ndarray]:
        """Returns what the normalizations of the first stages measure on a copy at long edge 1024, (2, S) each."""
        small = resize_long_edge(photo, THUMBNAIL_EDGE) if max(photo.shape) > THUMBNAIL_EDGE else photo
        padded = _PaddedPhoto(small)
        whole = slice(0, padded.size[0]), slice(0, padded.size[1])
        measured, picture = [], padded.photo(whole)
        for stage in self._stages[:count]:
            picture, found = stage.run(picture, padded, whole, strength, beside=beside)
            measured.append(found)
        return measured

    def paint(
        self,
        photo: np.ndarray,
        stages: Sequence[int],
        strength: float = 1.0,
        tile: int = TILE,
        on_tile: Callable[[int, int], None] = lambda done, count: None,
        beside: Mapping[str, np.ndarray] = {},
    ) -> list[np.ndarray]:
        """Returns the pictures of stages, uint8 (H, W, 3) each.

        photo: uint8 (H, W, 3).  tile: pixels of a tile's edge, at least OVERLAP.  on_tile: called after each tile with
        how many are done, and how many there are.  beside: what the graphs take beside picture and strength, by name.
        Raises MemoryError where not even the tiles fit.
        """
        last = max(stages)
        statistics, padded = self.statistics(photo, strength, last + 1, beside), _PaddedPhoto(photo)
        edge = max(OVERLAP, tile // MULTIPLE * MULTIPLE)
        grid = [[slice(n, min(n + edge, length)) for n in range(0, length, edge)] for length in padded.size]
        count, done = (last + 1) * len(grid[0]) * len(grid[1]), 0
        results = {stage: np.empty_like(photo) for stage in stages}
        seen = np.empty((3, *(padded.size if last else (0, 0))), np.float16)  # the last stage's picture, in VGG space
        for number, stage in enumerate(self._stages[: last + 1]):
            above = slice(0, 0), seen[:, :0]  # rows that are painted, which the tiles below still read as they were
            for rows in grid[0]:
                strip = np.empty((3, rows.stop - rows.start, padded.size[1]), np.float16)
                for columns in grid[1]:
                    outer, inner = padded.around(rows, columns)
                    before = seen[(slice(None), *outer)] if number else padded.photo(outer)
                    painted, _ = stage.run(before, padded, outer, strength, statistics[number], beside)
                    strip[:, :, columns] = painted[(slice(None), *inner)]
                    done += 1
                    on_tile(done, count)
                if number in results:
                    padded.crop(strip, rows, results[number])
                seen[:, above[0]] = above[1]
                above = (rows, strip) if number < last else above
            seen[:, above[0]] = above[1]
        return [results[stage] for stage in stages]


class _PaddedPhoto:
    """A photo with its reflect padding, part by part: what `Chain.begin` returns, without ever holding it whole."""

    def __init__(self, photo: np.ndarray):
        self._image, self._noise = photo, noise_tile()[0, 0]
        self._places = [reflect(length, PADDING, PADDING + -length % MULTIPLE) for length in photo.shape[:2]]
        self.size = (len(self._places[0]), len(self._places[1]))

    def photo(self, part: Part) -> np.ndarray:
        """Returns a part of the padded photo, (3, h, w) float32 in VGG space."""
        rows, columns = (places[side] for places, side in zip(self._places, part))
        return self._image[np.ix_(rows, columns)].transpose(2, 0, 1).astype(np.float32) - MEANS

    def conditioning(self, part: Part) -> np.ndarray:
        """Returns a part of the conditioning input: photo and noise, (4, h, w)."""
        rows, columns = (np.arange(side.start, side.stop) % NOISE_PERIOD for side in part)
        return np.concatenate([self.photo(part), self._noise[np.ix_(rows, columns)][np.newaxis].astype(np.float32)])

    def around(self, *tile: slice) -> tuple[Part, Part]:
        """Returns a tile with its overlap, and where in that it lies."""
        pairs = zip(tile, self.size)
        outer = tuple(slice(max(0, side.start - OVERLAP), min(length, side.stop + OVERLAP)) for side, length in pairs)
        inner = (slice(side.start - wide.start, side.stop - wide.start) for side, wide in zip(tile, outer))
        return outer, tuple(inner)

    @staticmethod
    def crop(strip: np.ndarray, rows: slice, image: np.ndarray) -> None:
        """Puts rows of the padded picture, (3, h, W'), where they belong in an image, uint8 (H, W, 3)."""
        height, width = image.shape[:2]
        begin, end = max(rows.start - PADDING, 0), min(rows.stop - PADDING, height)
        if begin < end:
            inside = strip[:, begin + PADDING - rows.start : end + PADDING - rows.start, PADDING : PADDING + width]
            image[begin:end] = to_uint8(inside + MEANS)


class _Stage:
    """The graph of one stage."""

    def __init__(self, path: Path, threads: int | None, gpu: int | str | None):
        self._path, self._session = path, open_session(path, threads, gpu, thrifty=True)
        self._inputs: dict[str, Any] = {place.name: place.shape for place in self._session.get_inputs()}
        channels, (_, self._count) = self._inputs.get("picture", ())[1:2], self._inputs.get("statistics", (2, 0))
        if channels not in ([3], [7]) or not isinstance(self._count, int) or not 0 <= self._count <= MOST_STATISTICS:
            raise ModelError(f"{path} paints no tiles: train the model again")

    def run(
        self,
        picture: np.ndarray,
        padded: _PaddedPhoto,
        part: Part,
        strength: float,
        given: np.ndarray | None = None,
        beside: Mapping[str, np.ndarray] = {},
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns what the stage makes of a part of a picture, (3, h, w), and what its normalizations measured there.

        given: statistics to normalize with, (2, S); the part's own by default.  beside: what else the graph takes.
        """
        if self._inputs["picture"][1] > 3:
            picture = np.concatenate([picture, padded.conditioning(part)])
        feeds = {"picture": picture[np.newaxis].astype(np.float32), "strength": np.array([strength], np.float32)}
        feeds.update(beside)
        if "statistics" in self._inputs:
            feeds["statistics"] = np.zeros(self._inputs["statistics"], np.float32) if given is None else given
            feeds["own"] = np.array([given is None], np.float32)
        painting, *measured = run_session(self._session, None, feeds, self._path)
        statistics = measured[0] if measured else np.empty((2, 0), np.float32)
        if painting.shape != (1, 3, *picture.shape[1:]) or statistics.shape != (2, self._count):
            raise ModelError(f"{self._path} paints no tiles: train the model again")
        return painting[0], statistics
