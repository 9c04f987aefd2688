"""A picture through an upscaler: it comes out 2, 4 or 8 times as wide and as high.

Its stages are of one form, from faithful to sharp; what lies between two of them is one network of mixed weights.
X. Wang and others: ESRGAN, arXiv 1809.00219, section 3.4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from ..errors import ModelError, OptionError, reason_of
from ..images.arrays import no_picture, to_uint8
from ..images.opacity import check_opacity, neighborhood, off_white, on_white, spread_colors
from ..machine import PICTURE_BYTES, Need, check_memory, free_memory
from ..models.folder import Model, graph_file, weight_name
from ..models.kinds import UPSCALER
from ..models.weights_file import read_weights
from .engines import GluonEngine, ModelPainter, OnnxEngine
from .photo import EDGES, STRENGTHS, STRONGEST

__all__ = ["TILE", "Enlarging", "UpscalePainter"]

TILE = 384  # pixels of the edge of a tile of the small picture, its overlap aside
CAUTION = 2  # times what enlarging a picture whole takes: where less is free, it is enlarged in tiles

Weights = Mapping[str, np.ndarray]


class OnnxUpscaler(OnnxEngine):
    """Runs the graph of one stage with onnxruntime, which is given mixed weights where the strength asks for some."""

    _opened: tuple[float, int, Any] = -1, 0, None  # the last strength, the stage and the session that it took

    def run(self, inputs: Mapping[str, np.ndarray], stages: Sequence[int] = ()) -> list[np.ndarray]:
        """Returns the one picture that the strength among the inputs makes (see `Engine`)."""
        (strength,), image = inputs["strength"], {"image": inputs["image"]}
        if strength != self._opened[0]:
            count = len(self.model.stages)
            stage, share = _place(strength, count)
            mixed = self._mixed(stage, share) if share else {}
            weights = {weight_name(stage, key): weight for key, weight in mixed.items()}
            graph = self.model.path(graph_file(stage, count))
            self._opened = strength, stage, self._open(graph, image, [stage], weights)
        _, stage, session = self._opened
        return self._pictures(session, self.model.path(graph_file(stage, len(self.model.stages))), image, [stage])

    def _mixed(self, stage: int, share: float) -> Weights:
        """Returns weights between those of a stage and of the next; share: of the next, 0..1."""
        try:
            return _mixed([self._weights(each) for each in (stage, stage + 1)], share)
        except ValueError as error:
            raise ModelError(f"{self.model.folder} is no upscaler ({error}): train the model again") from error

    def _weights(self, stage: int) -> Weights:
        """Returns the weights of a stage as its file holds them."""
        path = self.model.path(self.model.stage_files()[stage])
        try:
            return read_weights(path.read_bytes())
        except ValueError as error:
            raise ModelError(f"{path} holds no weights ({reason_of(error)}): train the model again") from error


class GluonUpscaler(GluonEngine):
    """Runs one stage by the engine of this process, which is given the mixed weights."""

    def __init__(self, model: Model, engine: str, gpu: int | str | None):
        super().__init__(model, engine, gpu)
        self._weights = [self.chain.stage_weights(stage) for stage in range(len(model.stages))]
        self._strength = 0.0  # whose weights the first stage has

    def paint(self, given: Any, strength: float, stages: Sequence[int]) -> list:
        """Returns the one picture that a strength makes (see `GluonEngine`)."""
        if strength != self._strength:
            stage, share = _place(strength, len(self._weights))
            mixed = _mixed(self._weights[stage : stage + 2], share) if share else self._weights[stage]
            self.chain.set_stage_weights(0, {key: weight.astype(np.float32) for key, weight in mixed.items()})
            self._strength = strength
        return [self.chain.enlarge(0, given)]


def check_picture(image: np.ndarray) -> None:
    """Raises OptionError for what is given for a picture, and is none."""
    if wrong := no_picture(image):
        raise OptionError(f"A picture is uint8 (H, W, 3), not {wrong}: use read_picture, and with_opacity")


class Enlarging(ABC):
    """What enlarges pictures by a factor, called with one, and their opacity with them."""

    __call__: Callable[..., np.ndarray]

    @property
    @abstractmethod
    def factor(self) -> int:
        """By how much it enlarges."""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of what becomes of a picture of that size."""
        return self.factor * height, self.factor * width

    def with_opacity(
        self, image: np.ndarray, opacity: np.ndarray | None, strength: float = 1.0, **options: Any
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns a picture and its opacity enlarged, uint8 (factor H, factor W, 3) and (factor H, factor W).

        image, opacity: as `read_picture` has them, the picture as it looks on white; without an opacity none comes out.
        All else as for a call.  What is clear stays clear, what is full stays full.
        """
        check_picture(image)
        check_opacity(image, opacity)
        if opacity is None:
            return self(image, strength, **options), None
        colors = self(spread_colors(off_white(image, opacity), opacity), strength, **options)
        levels = self(np.repeat(opacity[..., np.newaxis], 3, axis=2), strength, tile=options.get("tile"))[..., 1]
        large = np.clip(levels, *(self._repeated(bound) for bound in neighborhood(opacity)))
        return on_white(colors, large), large

    def _repeated(self, levels: np.ndarray) -> np.ndarray:
        """Returns levels (H, W) at the size of what they become, each a square of equal ones."""
        return levels.repeat(self.factor, axis=0).repeat(self.factor, axis=1)


class UpscalePainter(ModelPainter, Enlarging):
    """A trained upscaler; call it with a picture to get it larger.

    before, total: how many times those that it works in turn with have enlarged a picture before it, and all do.
    """

    kind = UPSCALER
    remedy = "give a smaller --tile"
    onnx_engine, gluon_engine = OnnxUpscaler, GluonUpscaler
    before, total = 1, 0

    @property
    def factor(self) -> int:
        """By how much it enlarges."""
        return self.model.factor

    def __call__(
        self,
        image: np.ndarray,
        strength: float = 1.0,
        *,
        tile: int | None = None,
        on_tile: Callable[[int, int], None] = lambda done, count: None,
    ) -> np.ndarray:
        """Returns a picture enlarged, uint8 (factor H, factor W, 3); a gray one stays gray.

        image: uint8 (H, W, 3) RGB, any H, W >= 1.  strength: 0 is the most faithful, 1 the default, 2 the sharpest.
        tile: edge of the tiles to enlarge, which join without a seam; 0 enlarges the picture whole, None decides by the
        memory that is left, and none is shorter than the network sees.  on_tile: called after each tile with how many
        are done, and how many there are.

        Raises OptionError for options out of range, UserError where memory does not suffice.
        """
        STRENGTHS.check("strength", strength)
        if tile is not None:
            EDGES.check("tile", tile)
        check_picture(image)
        height, width = image.shape[:2]
        tile = self.check_size(height, width, tile)
        with self.within_memory(*self._asked(height, width)[1]):
            large = self._tiled(image, strength, tile, on_tile) if tile else self._enlarged(image, strength)
        if np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]):
            large[:] = cv2.cvtColor(large, cv2.COLOR_RGB2GRAY)[..., np.newaxis]
        return large

    def _tiled(self, image: np.ndarray, strength: float, tile: int, on_tile: Callable[[int, int], None]) -> np.ndarray:
        """Returns a picture enlarged tile by tile."""
        height, width = image.shape[:2]
        large = np.empty((self.factor * height, self.factor * width, 3), np.uint8)
        overlap = self.model.reach
        grid = [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)]
        for done, (top, left) in enumerate(grid, start=1):
            above, before = max(0, top - overlap), max(0, left - overlap)
            part = self._enlarged(image[above : top + tile + overlap, before : left + tile + overlap], strength)
            part = part[self.factor * (top - above) :, self.factor * (left - before) :]
            place = large[self.factor * top :, self.factor * left :][: self.factor * tile, : self.factor * tile]
            place[:] = part[: place.shape[0], : place.shape[1]]
            on_tile(done, len(grid))
        return large

    def check_size(
        self,
        height: int,
        width: int,
        tile: int | None = None,
        fix: str = "a picture of {width}x{height}",
        pictures: int = 1,
    ) -> int:
        """Returns the edge of the tiles to enlarge a picture of that size in, 0 for none; tile: as for a call.

        fix: as for `machine.check_memory`.  pictures: how many are enlarged one by one, and all held.
        Raises MemoryShortage where they would not fit into the memory that is free.
        """
        if tile is None:
            tile = TILE if CAUTION * self.need.pixel * height * width > free_memory() + self.held else 0
        tile = max(tile, self.model.reach) if tile else 0
        beside = PICTURE_BYTES * (1 + pictures * self.factor**2)
        if tile:
            rows, columns = (min(side, tile + 2 * self.model.reach) for side in (height, width))
            need = Need(beside, self.need.at(rows, columns))
        else:
            need, fix = Need(beside + self.need.pixel, self.need.always), f"tiles (--tile {TILE})"
        given, (rows, columns) = self._asked(height, width)
        need = Need(need.pixel * self.before**2, need.always)
        check_memory(need, *given, fix, held=self.held, becomes=f", enlarged to {columns}x{rows},")
        return tile

    def _asked(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns the size that people gave a picture in which has that size here, and the one that they asked for."""
        given = height // self.before, width // self.before
        total = self.total or self.factor
        return given, (total * given[0], total * given[1])

    def _enlarged(self, image: np.ndarray, strength: float) -> np.ndarray:
        """Returns a picture, or a part of one, enlarged whole."""
        height, width = image.shape[:2]
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)[np.newaxis], np.float32)  # (1, 3, H, W)
        inputs = {"image": planes, "strength": np.array([strength], np.float32)}
        (picture,) = self.run(inputs, (), height, width)
        return to_uint8(picture)


def _place(strength: float, count: int) -> tuple[int, float]:
    """Returns which of `count` stages a strength lies at or behind, and how far on the way to the next, 0..1."""
    position = float(strength) / STRONGEST * (count - 1)
    return int(position), position % 1


def _mixed(stages: Sequence[Weights], share: float) -> dict[str, np.ndarray]:
    """Returns weights that lie between those of two stages, in half precision, as files hold them.

    share: of the second stage, 0..1.  Raises ValueError where the weights are not of one form.
    """
    one, other = stages
    if {key: weight.shape for key, weight in one.items()} != {key: weight.shape for key, weight in other.items()}:
        raise ValueError("the weights of its stages are not of one form")
    first, second = np.float32(1 - share), np.float32(share)
    one, other = ({key: weight.astype(np.float32) for key, weight in stage.items()} for stage in stages)
    return {key: (first * one[key] + second * other[key]).astype(np.float16) for key in one}
