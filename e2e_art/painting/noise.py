"""Noise through a trained model: textures of any size, which continue at their own other side, and painted doodles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import OptionError
from ..images.arrays import no_picture, to_uint8
from ..images.regions import matches, one_hot, snap
from ..losses.options import Number
from ..models.folder import Model
from ..models.kinds import DOODLE, TEXTURE
from ..networks.inputs import SEEDS, seeded_noise
from .engines import ModelPainter

__all__ = ["DoodlePainter", "TexturePainter", "seam"]

LEAST = 0.5  # of a drawing has colors of the palette; photos have 0 to 0.35 of theirs there


class TexturePainter(ModelPainter):
    """A trained model of textures; call it with a size and a seed to get a texture."""

    kind = TEXTURE

    def __call__(self, height: int, width: int, seed: int = 0, stage: int | None = None) -> np.ndarray:
        """Returns a texture, which tiles where 32 divides both sides, at the last stage by default; see `stages`."""
        return self.stages(height, width, seed, self.last(stage))[0]

    def stages(self, height: int, width: int, seed: int = 0, stages: Sequence[int] | None = None) -> list[np.ndarray]:
        """Returns the pictures of several stages, all by default, each uint8 (height, width, 3).

        seed: 0..2^32 - 1; another one gives another texture, the same one the same texture in every engine.

        Raises OptionError for options out of range, UserError where memory does not suffice.
        """
        stages = self.model.check_stages(stages)
        for name, side in (("height", height), ("width", width)):
            Number(int, 1, math.inf).check(name, side)
        rows, columns = (side + -side % self.kind.multiple for side in (height, width))
        self.check_memory(rows, columns)
        noise = _noise(self.model, seed, rows, columns)
        with self.within_memory(height, width):
            pictures = self.run({"noise": noise}, stages, height, width)
        return [to_uint8(picture[..., :height, :width]) for picture in pictures]


class DoodlePainter(ModelPainter):
    """A trained model that paints doodles; call it with a doodle to get the painting."""

    kind = DOODLE

    @property
    def palette(self) -> np.ndarray:
        """The colors that it knows, uint8 (R, 3)."""
        return np.array([list(bytes.fromhex(each["color"][1:])) for each in self.model.record["palette"]], np.uint8)

    @property
    def names(self) -> list[str]:
        """What people call them."""
        return [each["name"] for each in self.model.record["palette"]]

    def __call__(
        self, doodle: np.ndarray, seed: int = 0, stage: int | None = None, name: str = "The doodle"
    ) -> np.ndarray:
        """Returns the painting of a doodle, uint8 (H, W, 3), in its size.

        doodle: uint8 RGB, (H, W, 3), in the colors of the palette; others go to the nearest one.  seed: 0..2^32 - 1.
        stage: where to stop, the last one by default.  name: what messages call the doodle.

        Raises OptionError where less than half of a doodle has these colors, and for options out of range, UserError
        where memory does not suffice.
        """
        if wrong := no_picture(doodle):
            raise OptionError(f"A doodle is uint8 (H, W, 3), not {wrong}: use read_image")
        stages, (height, width) = self.last(stage), doodle.shape[:2]
        self.check_memory(height, width)
        if (share := matches(doodle, self.palette).mean()) < LEAST:
            known = ", ".join(f"{each['color']} {each['name']}" for each in self.model.record["palette"])
            few = f"the colors that {self.model.name} paints in {share:.0%} of its pixels alone"
            few = few if share else f"none of the colors that {self.model.name} paints"
            raise OptionError(f"{name} has {few}: draw with {known}")
        regions = one_hot(snap(doodle, self.palette), len(self.palette))[np.newaxis]
        noise = _noise(self.model, seed, height, width)
        with self.within_memory(height, width):
            return to_uint8(self.run({"regions": regions, "noise": noise}, stages, height, width)[0])


def _noise(model: Model, seed: int, height: int, width: int) -> np.ndarray:
    """Returns the noise that a model is given, (1, C, H, W); raises OptionError for a seed that there is not."""
    Number(int, 0, SEEDS - 1).check("seed", seed)
    return seeded_noise(seed, model.kind.noise_planes, height, width)


def seam(picture: np.ndarray) -> tuple[float, float, float]:
    """Returns by how many gray levels neighbors differ across a picture's edges, tiled; within it; and at most within.

    Each is a mean along a whole row or column.  Where it tiles, the first is about the second, and below the third.
    picture: uint8 (H, W, 3), of 2 pixels or more on each side.
    """
    found = []
    for axis in (0, 1):
        steps = np.abs(np.diff(picture.astype(np.float32), axis=axis, append=picture.take([0], axis)))
        *means, across = np.moveaxis(steps, axis, 0).mean(axis=(1, 2))
        found.append((across, np.mean(means), max(means)))
    across, within, most = np.mean(found, axis=0)
    return float(across), float(within), float(most)
