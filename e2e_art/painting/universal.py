"""A photo in the style of any painting: its features get the painting's statistics, level by level, and are decoded.

From the deepest level on, each one's picture is what the next begins with, so that large patterns come first and colors
last.  A transform is the same for all pixels: so the statistics are of the whole picture, while its features are made
and decoded tile by tile, in bounded memory.
Y. Li and others: Universal Style Transfer via Feature Transforms, arXiv 1705.08086.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.onnxruntime import check_gpu, open_session, run_session
from ..errors import MemoryShortage, ModelError, OptionError, first_line, unknown
from ..images.arrays import no_picture, to_uint8
from ..images.colors import keep_colors as with_colors_of
from ..images.resize import resize, resize_long_edge
from ..machine import PICTURE_BYTES, Need, check_memory
from ..models.folder import Model, coding_files, read_model
from ..models.kinds import AUTOENCODER
from .photo import EDGES, STRENGTHS, size_to_paint
from .transform import METHODS, Affine, Moments, Statistics, transform

__all__ = ["CASCADE", "SHIPPED", "UniversalPainter"]

SHIPPED = "wct"  # the autoencoder that paints by default
CASCADE = (4, 3, 2, 1)  # levels, in the order in which they are painted
STYLE_EDGE = 512  # pixels of the long edge that a painting is looked at with
MULTIPLE = 16  # what the sides of pictures divide by
TILE = 1024  # pixels of a tile's edge, its overlap aside
OVERLAPS = {1: 16, 2: 16, 3: 32, 4: 80}  # pixels on each side, by level: multiples of 16, more than is seen both ways
WHOLE = Need(40)  # the picture before and after a level, and the photo
TILED = Need(1500)  # what the largest features of a tile take

Style = Mapping[int, Statistics]  # by level
Tile = tuple[tuple[slice, slice], tuple[slice, slice]]  # rows and columns with the overlap, and where in that it lies


class UniversalPainter:
    """An autoencoder that paints photos in the style of any painting; call it with both.

    model: a shipped name, a folder, or a model that was read.  threads, gpu: as for `e2e_art.load`.
    Raises ModelError where it is no whole model of this kind, UserError where there is no such GPU.
    """

    def __init__(self, model: str | Path | Model = SHIPPED, threads: int | None = None, gpu: int | str | None = None):
        check_gpu(gpu)
        self.model, self._device = read_model(model, AUTOENCODER), (threads, gpu)
        self._sessions: dict[str, Any] = {}

    def style(self, painting: np.ndarray, levels: Sequence[int] = CASCADE) -> Style:
        """Returns the statistics of a painting, uint8 (H, W, 3), for levels of 1 to 4."""
        picture = _padded(resize_long_edge(painting, STYLE_EDGE))
        return {level: self._statistics(picture, level)[0] for level in levels}

    def __call__(
        self,
        photo: np.ndarray,
        painting: np.ndarray | Style,
        *,
        method: str = METHODS[0],
        strength: float = 1.0,
        levels: Sequence[int] = CASCADE,
        size: int | None = None,
        keep_colors: bool = False,
    ) -> np.ndarray:
        """Returns a photo painted in the style of a painting, uint8 (H, W, 3).

        photo: uint8 (H, W, 3) RGB, any H, W >= 1.  painting: likewise, or its statistics, as `style` returns them.
        method: "ost" keeps most of the photo, "wct" turns its features, "adain" gives them variances alone.
        strength: 0 is the photo as the decoders bring it back, 1 has the statistics of the painting.
        levels: those to paint at, one after another.  size, keep_colors: as for `Painter.stages`.

        Raises OptionError for options out of range, UserError where memory does not suffice.
        """
        if method not in METHODS:
            raise OptionError(unknown("method", method, METHODS))
        if wrong := [level for level in levels if level not in CASCADE] or not levels:
            raise OptionError(f"There are levels 1 to 4, not {wrong[0] if levels else 'none'}: choose among them")
        STRENGTHS.check("strength", strength)
        if size is not None:
            EDGES.check("size", size)
        if wrong := no_picture(photo):
            raise OptionError(f"A photo is uint8 (H, W, 3), not {wrong}: use read_image")
        height, width = size_to_paint(photo.shape, size)
        tile = min(TILE + 2 * max(OVERLAPS.values()), max(height, width)) ** 2
        check_memory(Need(WHOLE.pixel + PICTURE_BYTES, TILED.at(1, tile)), height, width, "--size {long}")
        try:
            style = painting if isinstance(painting, Mapping) else self.style(painting, levels)
            picture = _padded(resize(photo, height, width))
            for level in levels:
                picture = self._painted(picture, level, style[level], method, strength)
        except MemoryError as error:
            raise MemoryShortage(f"{first_line(error)}, for {width}x{height} pixels: give a smaller --size") from error
        result = resize(to_uint8(picture[np.newaxis, :, :height, :width]), *photo.shape[:2])
        return with_colors_of(result, photo) if keep_colors else np.ascontiguousarray(result)

    def _painted(self, picture: np.ndarray, level: int, style: Statistics, method: str, strength: float) -> np.ndarray:
        """Returns a picture (3, H, W) with the statistics of a style at a level."""
        content, features = self._statistics(picture, level)
        affine = transform(content, style, method, strength)
        if features is not None:
            return self._decoded(features, level, affine)
        result = np.empty_like(picture)
        for outer, inner in _tiles(picture, OVERLAPS[level]):
            decoded = self._decoded(self._features(picture[(slice(None), *outer)], level), level, affine)
            core = tuple(slice(big.start + small.start, big.start + small.stop) for big, small in zip(outer, inner))
            result[(slice(None), *core)] = decoded[(slice(None), *inner)]
        return result

    def _statistics(self, picture: np.ndarray, level: int) -> tuple[Statistics, np.ndarray | None]:
        """Returns the statistics of a picture (3, H, W) at a level, and its features where one tile has them all."""
        moments, scale, tiles = None, 2 ** (level - 1), list(_tiles(picture, OVERLAPS[level]))
        for outer, inner in tiles:
            features = self._features(picture[(slice(None), *outer)], level)
            rows, columns = (slice(side.start // scale, side.stop // scale) for side in inner)
            core = features[:, rows, columns]
            moments = moments or Moments(len(features))
            moments.add(core.reshape(len(core), -1))
        return moments.statistics(), features if len(tiles) == 1 else None

    def _features(self, picture: np.ndarray, level: int) -> np.ndarray:
        """Returns the features (C, h, w) of a picture (3, H, W) at a level."""
        return self._run(coding_files(level)[0], "image", picture)

    def _decoded(self, features: np.ndarray, level: int, affine: Affine) -> np.ndarray:
        """Returns the picture (3, H, W) of features (C, h, w) that are mapped."""
        mapped = affine(features.reshape(len(features), -1)).reshape(features.shape)
        return self._run(coding_files(level)[1], "features", mapped)

    def _run(self, file: str, name: str, array: np.ndarray) -> np.ndarray:
        """Returns what a graph makes of an array, both without the axis of a batch."""
        graph = self.model.path(file)
        if file not in self._sessions:
            self._sessions[file] = open_session(graph, *self._device)
        (made,) = run_session(self._sessions[file], None, {name: array[np.newaxis]}, graph)
        if made.ndim != 4 or len(made) != 1:
            raise ModelError(f"{graph} is not the graph of the model that model.json describes: train the model again")
        return made[0]


def _padded(image: np.ndarray) -> np.ndarray:
    """Returns a picture, uint8 (H, W, 3), as float32 (3, H', W'), padded by reflection to sides that halve well."""
    pads = [(0, -side % MULTIPLE) for side in image.shape[:2]]
    image = np.pad(image, [*pads, (0, 0)], mode="reflect")
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)


def _tiles(picture: np.ndarray, overlap: int) -> Iterator[Tile]:
    """Yields the tiles of a picture (3, H, W)."""
    height, width = picture.shape[1:]
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            outer, inner = [], []
            for begin, length in ((top, height), (left, width)):
                first, end = max(0, begin - overlap), min(length, begin + TILE)
                outer.append(slice(first, min(length, end + overlap)))
                inner.append(slice(begin - first, end - first))
            yield (outer[0], outer[1]), (inner[0], inner[1])
