"""A photo through a trained model: strength, size, colors."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import OptionError, listed
from ..images.arrays import no_picture, to_uint8
from ..images.colors import denoise as remove_noise
from ..images.colors import keep_colors as with_colors_of
from ..images.resize import resize, with_long_edge
from ..images.upsample import upsample_guided
from ..losses.options import Number
from ..machine import DENOISE_BYTES, PICTURE_BYTES, TILED, Need, check_memory, free_memory
from ..models.folder import Model, read_model, tile_file
from ..models.kinds import ANYSTYLE, MULTISTYLE, PHOTO
from .describe import Paintings, description_of
from .engines import ModelPainter
from .styles import weights_of
from .tiles import OVERLAP, THUMBNAIL_EDGE, TILE, TiledPainter

__all__ = ["EDGES", "MOST_PIXELS", "STRENGTHS", "STRONGEST", "Painter", "size_to_paint"]

MOST_PIXELS = 4_000_000  # larger photos are painted at this size by default: strokes keep their scale
STRONGEST = 2.0
STRENGTHS, EDGES, WEIGHTS = Number(float, 0, STRONGEST), Number(int, 0, math.inf), Number(float)
BYTES_A_PIXEL = 900  # twice what painting a photo whole takes: where less is free, it is painted in tiles


class Painter(ModelPainter):
    """A trained model of photos; call it with one to get the painting.

    One of several styles paints once it is told in which: `with_style`.
    """

    kind = PHOTO
    _tiled: TiledPainter | None = None
    _style: np.ndarray | None = None  # the weights of the styles, (S,), where there are several

    def __init__(
        self,
        model: str | Path | Model,
        engine: str = "auto",
        threads: int | None = None,
        gpu: int | str | None = None,
        style: Paintings | None = None,
    ):
        super().__init__(model, engine, threads, gpu)
        if style is not None:
            self._style = self._weights_of(style)

    def with_style(self, style: Paintings, cache: Path | None = None) -> Painter:
        """Returns this painter for one style of a network of several, or of any; style: as for `e2e_art.load`.

        cache: a folder that keeps what was seen of paintings' files.
        Raises OptionError for a style that there is not, ImageError for what is no picture.
        """
        painter = copy.copy(self)
        painter._style = self._weights_of(style, cache)
        return painter

    def _weights_of(self, style: Paintings, cache: Path | None = None) -> np.ndarray:
        """Returns what the graphs take as a style; raises OptionError and ImageError as `with_style`."""
        if self.model.kind is ANYSTYLE:
            return description_of(self.model, style, *self.engine.device, cache)
        if not self.styles:
            raise OptionError(f"{self.model.name} has one style of its own: leave --style out, or choose another model")
        if not isinstance(style, (str, Mapping)):
            raise OptionError(f"{self.model.name} has styles of its own: name one of them, {listed(self.styles)}")
        return weights_of(style, self.styles, self.model.name)

    @property
    def styles(self) -> list[str]:
        """The names of its styles, where there are several."""
        return self.model.styles

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
        STRENGTHS.check("strength", strength)
        for name, edge in (("size", size), ("tile", tile)):
            if edge is not None:
                EDGES.check(name, edge)
        WEIGHTS.check("denoise", denoise)
        if guided and as_painted:
            raise OptionError("--guided enlarges the painting to the photo's size, --as-painted does not: choose one")
        if self._style is None and self.model.kind is not PHOTO:
            self._ask_for_style()
        if wrong := no_picture(photo):
            raise OptionError(f"A photo is uint8 (H, W, 3), not {wrong}: use read_image")
        height, width = size_to_paint(photo.shape, size)
        if size is None and (height, width) != photo.shape[:2]:
            sides = f"{photo.shape[1]}x{photo.shape[0]} pixels are painted at long edge {max(height, width)}"
            self.say(f"{sides}; --size chooses another")
        tile = self._tile(height, width, tile)
        self._check_size(height, width, len(stages), tile, denoise)
        small = resize(photo, height, width) if (height, width) != photo.shape[:2] else photo
        with self.within_memory(height, width):
            paintings = self._paint(small, stages, strength, tile, on_tile)
        if guided and paintings[0].shape[0] >= photo.shape[0]:
            self.say("--guided changes nothing: the painting has the photo's size; --size paints a smaller one")
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

    def output_size(
        self, height: int, width: int, size: int | None = None, as_painted: bool = False
    ) -> tuple[int, int]:
        """Returns height and width of the painting of a photo of that size; size, as_painted: as for `stages`."""
        return size_to_paint((height, width), size) if as_painted else (height, width)

    def _tile(self, height: int, width: int, tile: int | None) -> int:
        """Returns the edge of the tiles to paint in, 0 for none; raises OptionError where the model has none."""
        has_tiles = tile_file(0) in self.model.files
        if tile and not has_tiles:
            way = "train it again, or leave" if self.model.files else "leave"  # an external model has none
            raise OptionError(f"{self.model.name} has no graphs for tiles: {way} --tile out")
        if tile is None:
            return TILE if has_tiles and height * width * BYTES_A_PIXEL > free_memory() + self.held else 0
        return tile

    def _check_size(self, height: int, width: int, pictures: int, tile: int, denoise: float) -> None:
        """Raises UserError where pictures painted at a size would not fit into the memory that is free."""
        more = PICTURE_BYTES * pictures + (DENOISE_BYTES if denoise else 0)
        if not tile:
            return self.check_memory(height, width, "--size {long}", more)
        most = max(tile + 2 * OVERLAP, THUMBNAIL_EDGE)
        rows, columns = min(height, most), min(width, most)
        self.check_memory(rows, columns, "--size {long}")
        check_memory(Need(TILED.pixel + more, self.need.at(rows, columns)), height, width, "--size {long}")

    def _paint(
        self, photo: np.ndarray, stages: list[int], strength: float, tile: int, on_tile: Callable
    ) -> list[np.ndarray]:
        """Returns the pictures of stages, uint8 (H, W, 3), in the photo's size; larger where the network enlarges."""
        if not tile:
            image = np.ascontiguousarray(photo.transpose(2, 0, 1)[np.newaxis], np.float32)  # (1, 3, H, W)
            inputs = {"image": image, "strength": np.array([strength], np.float32), **self._beside}
            return [to_uint8(picture) for picture in self.run(inputs, stages, *photo.shape[:2])]
        self._tiled = self._tiled or TiledPainter(self.model, *self.engine.device)
        return self._tiled.paint(photo, stages, strength, tile, on_tile=on_tile, beside=self._beside)

    def _ask_for_style(self) -> None:
        """Raises OptionError for a network of several styles, or of any, that was told of none."""
        if self.styles:
            raise OptionError(f"{self.model.name} paints in several styles: name one as --style, {listed(self.styles)}")
        if self.model.kind is ANYSTYLE:
            raise OptionError(f"{self.model.name} paints in the style of any painting: add --style PAINTING")

    @property
    def _beside(self) -> dict[str, np.ndarray]:
        """What its graphs take beside picture and strength."""
        return {} if self._style is None else {"style": self._style}

    def _read(self, model: str | Path | Model) -> Model:
        found = read_model(model)
        return found if found.kind in (MULTISTYLE, ANYSTYLE) else read_model(found, self.kind)


def size_to_paint(shape: Sequence[int], size: int | None) -> tuple[int, int]:
    """Returns height and width to paint a photo (H, W, ...) at: with a long edge of `size`, 0 for the photo's own."""
    height, width = shape[:2]
    if size is None and height * width > MOST_PIXELS:
        size = int(max(height, width) * (MOST_PIXELS / (height * width)) ** 0.5)
    return with_long_edge((height, width), size) if size else (height, width)
