"""Noise through a trained model: textures of any size, which continue at their own other side, and painted doodles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..engines.onnxruntime import has_gpu
from ..errors import OptionError, UserError
from ..images.regions import matches, one_hot, snap
from ..models.folder import Model, read_model
from ..models.kinds import DOODLE, TEXTURE
from ..networks.inputs import SEEDS, seeded_noise
from .engines import MxnetNoiseEngine, OnnxNoiseEngine

__all__ = ["DoodlePainter", "TexturePainter", "load_doodle", "load_texture", "seam"]

MULTIPLE = 32  # what the sides of a texture divide by if it tiles
CHANNELS = 6  # planes of noise
DOODLE_CHANNELS = 16  # planes of noise, of a doodle


def load_texture(
    model: str | Path | Model, engine: str = "auto", threads: int | None = None, gpu: int | None = None
) -> TexturePainter:  # fmt: skip
    """Returns a trained model of textures.

    model: a shipped name, the folder of a model that `train.py --texture` wrote, or what `read_model` returned.
    engine, threads, gpu: as for `photo.load`.

    >>> weave = load_texture("brick")
    >>> texture = weave(512, 512, seed=7)  # uint8 (512, 512, 3)

    Raises ModelError for a model that is missing, damaged or of another kind, UserError without such a GPU.
    """
    verified = read_model(model, TEXTURE)
    return TexturePainter(verified, _engine(verified, engine, threads, gpu))


def load_doodle(
    model: str | Path | Model, engine: str = "auto", threads: int | None = None, gpu: int | None = None
) -> DoodlePainter:  # fmt: skip
    """Returns a trained model that paints doodles.

    model: a shipped name, the folder of a model that `train.py --doodle` wrote, or what `read_model` returned.  Others
    as for `load_texture`.

    >>> sketch = load_doodle("renoir")
    >>> painting = sketch(doodle, seed=7)  # uint8 (H, W, 3) -> uint8 (H, W, 3)

    Raises ModelError for a model that is missing, damaged or of another kind, UserError without such a GPU.
    """
    verified = read_model(model, DOODLE)
    return DoodlePainter(verified, _engine(verified, engine, threads, gpu))


def _engine(model: Model, engine: str, threads: int | None, gpu: int | None):
    by_mxnet = engine == "mxnet" or (engine == "auto" and gpu is not None and not has_gpu())
    return (MxnetNoiseEngine if by_mxnet else OnnxNoiseEngine)(model, threads, gpu)


class TexturePainter:
    """A trained model of textures with an engine that runs it; call it with a size and a seed to get a texture."""

    def __init__(self, model: Model, engine):
        self.model, self.engine = model, engine

    def __call__(self, height: int, width: int, seed: int = 0, stage: int | None = None) -> np.ndarray:
        """Returns a texture, uint8 (height, width, 3); stage: where to stop, the last one by default.

        Where 32 divides both sides, it tiles.  Other options as for `stages`.
        """
        return self.stages(height, width, seed, [len(self.model.stages) - 1 if stage is None else stage])[0]

    def stages(self, height: int, width: int, seed: int = 0, stages: Sequence[int] | None = None) -> list[np.ndarray]:
        """Returns the pictures of several stages, all by default, each uint8 (height, width, 3).

        seed: 0..2^32 - 1; another one gives another texture, the same one the same texture in every engine.

        Raises OptionError for options out of range, UserError where memory does not suffice.
        """
        stages = _checked(self.model, seed, stages)
        if min(height, width) < 1:
            raise OptionError(f"A texture needs a width and a height of 1 pixel or more, not {width}x{height}")
        noise = seeded_noise(seed, CHANNELS, height + -height % MULTIPLE, width + -width % MULTIPLE)
        try:
            pictures = self.engine.weave({"noise": noise}, stages)
        except MemoryError as error:
            raise UserError(
                f"There is not enough memory for a texture of {width}x{height} pixels: make a smaller one, and tile it"
            ) from error
        return [_to_image(picture[:, :, :height, :width]) for picture in pictures]


class DoodlePainter:
    """A trained model that paints doodles with an engine that runs it; call it with a doodle to get the painting.

    palette: the colors that it knows, uint8 (R, 3); names: what people call them.
    """

    def __init__(self, model: Model, engine):
        self.model, self.engine = model, engine
        self.palette = np.array([list(bytes.fromhex(each["color"][1:])) for each in model.record["palette"]], np.uint8)
        self.names = [each["name"] for each in model.record["palette"]]

    def __call__(self, doodle: np.ndarray, seed: int = 0, stage: int | None = None, name: str = "The doodle"):
        """Returns the painting of a doodle, uint8 (H, W, 3), in its size.

        doodle: uint8 RGB, (H, W, 3), in the colors of the palette; others go to the nearest one.  seed: 0..2^32 - 1.
        stage: where to stop, the last one by default.  name: what messages call the doodle.

        Raises OptionError for a doodle without any of the colors, and for options out of range, UserError where memory
        does not suffice.
        """
        (stage,) = _checked(self.model, seed, [len(self.model.stages) - 1 if stage is None else stage])
        if not matches(doodle, self.palette).any():
            known = ", ".join(f"{each['color']} {each['name']}" for each in self.model.record["palette"])
            raise OptionError(f"{name} has none of the colors that {self.model.name} paints: draw with {known}")
        height, width = doodle.shape[:2]
        regions = one_hot(snap(doodle, self.palette), len(self.palette))[np.newaxis]
        noise = seeded_noise(seed, DOODLE_CHANNELS, height, width)
        try:
            pictures = self.engine.weave({"regions": regions, "noise": noise}, [stage])
        except MemoryError as error:
            raise UserError(f"There is not enough memory for {width}x{height} pixels: give a smaller --size") from error
        return _to_image(pictures[0])


def _checked(model: Model, seed: int, stages: Sequence[int] | None) -> list[int]:
    """Returns the stages to paint, all by default; raises OptionError for stages and seeds that there are not."""
    count = len(model.stages)
    stages = list(range(count)) if stages is None else list(stages)
    if not all(0 <= stage < count for stage in stages):
        raise OptionError(f"{model.name} has stages 0 to {count - 1}, not {max(stages, key=abs)}: choose one of them")
    if not 0 <= seed < SEEDS:
        raise OptionError(f"A seed lies in 0..{SEEDS - 1}, not at {seed}")
    return stages


def _to_image(picture: np.ndarray) -> np.ndarray:
    """Returns (1, 3, H, W) in 0..255 as uint8 (H, W, 3)."""
    return np.ascontiguousarray(np.clip(np.rint(picture[0]), 0, 255).astype(np.uint8).transpose(1, 2, 0))


def seam(picture: np.ndarray) -> tuple[float, float, float]:
    """Returns by how many gray levels neighbors differ across a picture's edges, tiled; within it; and at most within.

    Each is a mean along a whole row or column.  Where it tiles, the first is about the second, and below the third.
    picture: uint8 (H, W, 3), of 2 pixels or more on each side.
    """
    across, within, most = [], [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(picture.astype(np.float32), axis=axis, append=picture.take([0], axis)))
        means = np.moveaxis(steps, axis, 0).mean(axis=(1, 2))
        across.append(means[-1])
        within.append(means[:-1].mean())
        most.append(means[:-1].max())
    return float(np.mean(across)), float(np.mean(within)), float(np.mean(most))
