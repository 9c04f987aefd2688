"""A photo through a trained model: strength, size, colors."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import OptionError, UserError
from ..images.arrays import to_uint8
from ..images.colors import denoise as remove_noise
from ..images.colors import keep_colors as with_colors_of
from ..images.resize import resize, resize_long_edge
from ..images.upsample import upsample_guided
from ..machine import free_memory
from ..models.folder import tile_file
from ..models.kinds import PHOTO
from .engines import ModelPainter
from .tiles import TILE, TiledPainter

__all__ = ["MOST_PIXELS", "STRONGEST", "Painter"]

log = logging.getLogger(__name__)
MOST_PIXELS = 4_000_000  # larger photos are painted at this size by default: strokes keep their scale
STRONGEST = 2.0
BYTES_A_PIXEL = 900  # of memory, to paint a photo whole: above what is left, it is painted in tiles


class Painter(ModelPainter):
    """A trained model of photos; call it with one to get the painting."""

    kind = PHOTO
    _tiled: TiledPainter | None = None

    def __call__(self, photo: np.ndarray, stage: int | None = None, **options) -> np.ndarray:
        """Returns the painting of a photo, at the last stage by default; all else as for `stages`."""
        return self.stages(photo, self.last(stage), **options)[0]

    def stages(
        self,
        photo: np.ndarray,
        stages: Sequence[int] | None = None,
        *,
        strength: float = 1.0,
        size: int | None = None,
        as_painted: bool = False,
        keep_colors: bool = False,
        denoise: float = 0.0,
        tile: int | None = None,
        guided: bool = False,
        on_tile: Callable[[int, int], None] = lambda done, count: None,
    ) -> list[np.ndarray]:
        """Returns the pictures of several stages, all by default, each uint8 (H, W, 3).

        photo: uint8 (H, W, 3) RGB, any H, W >= 1.  strength: 0 gives the photo, 1 the trained look, 2 is the most.
        size: long edge to paint at, 0 for the photo's own; by default that, up to 4 megapixels.  as_painted: leave it
        at that size; else the painting returns to the photo's.  keep_colors: luminance of the painting, color of the
        photo.  denoise: weight of a total variation filter; Bing Xu's script used 0.02.  tile: edge of the tiles to
        paint in (`tiles.py`); 0 paints the photo whole, None decides by the memory that is left.  guided: a painting
        made at a smaller size is enlarged along the photo's edges (`upsample.py`).  on_tile: called after each tile
        with how many are done, and how many there are.

        Raises OptionError for options out of range, UserError where memory does not suffice.
        """
        stages = self.model.check_stages(stages)
        if not 0 <= strength <= STRONGEST:
            raise OptionError(f"A strength lies in 0..{STRONGEST:g}, not at {strength:g}")
        if (least := min(size or 0, tile or 0)) < 0:
            raise OptionError(f"Sizes are counted in pixels, not {least}")
        if not 0 <= denoise < math.inf:
            raise OptionError(f"The weight of denoising must be 0 or more, not {denoise:g}")
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
            raise OptionError(f"A photo is uint8 (H, W, 3), not {photo.dtype} {photo.shape}: use read_image")
        small = _working_copy(photo, size)
        height, width = small.shape[:2]
        try:
            paintings = self._paint(small, stages, strength, tile, on_tile)
        except MemoryError as error:
            raise UserError(f"There is not enough memory for {width}x{height} pixels: give a smaller --size") from error
        finished = []
        for painting in paintings:
            height, width = (painting if as_painted else photo).shape[:2]
            painting = remove_noise(painting, denoise) if denoise else painting
            grows = guided and painting.shape[0] < height
            painting = upsample_guided(painting, photo) if grows else resize(painting, height, width)
            if keep_colors:
                painting = with_colors_of(painting, resize(photo, height, width))
            finished.append(np.ascontiguousarray(painting))
        return finished

    def _paint(
        self, photo: np.ndarray, stages: list[int], strength: float, tile: int | None, on_tile: Callable
    ) -> list[np.ndarray]:
        """Returns the pictures of stages, uint8 (H, W, 3), in the photo's size; larger where the network enlarges."""
        has_tiles = tile_file(0) in self.model.files
        if tile and not has_tiles:
            way = "train it again, or leave" if self.model.files else "leave"  # an external model has none
            raise OptionError(f"{self.model.name} has no graphs for tiles: {way} --tile out")
        if tile is None and has_tiles and photo.shape[0] * photo.shape[1] * BYTES_A_PIXEL > free_memory():
            tile = TILE
        if tile:
            self._tiled = self._tiled or TiledPainter(self.model, *self.engine.device)
            return self._tiled.paint(photo, stages, strength, tile, on_tile=on_tile)
        image = np.ascontiguousarray(photo.transpose(2, 0, 1)[np.newaxis], np.float32)  # (1, 3, H, W)
        inputs = {"image": image, "strength": np.array([strength], np.float32)}
        return [to_uint8(picture) for picture in self.engine.run(inputs, stages)]


def _working_copy(photo: np.ndarray, size: int | None) -> np.ndarray:
    """Returns the photo in the size to paint it at."""
    height, width = photo.shape[:2]
    if size:
        return resize_long_edge(photo, size)
    if size == 0 or height * width <= MOST_PIXELS:
        return photo
    edge = int(max(height, width) * (MOST_PIXELS / (height * width)) ** 0.5)
    log.info("%dx%d pixels are painted at long edge %d; --size chooses another", width, height, edge)
    return resize_long_edge(photo, edge)
