"""Pictures and paintings enlarged by a factor: by one upscaler, or by two in turn where none has that factor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OptionError
from ..files import pretrained_folder
from ..images.resize import resize
from ..models.folder import Model, model_folders
from ..models.kinds import UPSCALER
from ..networks.inputs import FACTORS
from .photo import Painter, size_to_paint
from .upscale import Enlarging, UpscalePainter

__all__ = ["EnlargingPainter", "Enlarger", "find_upscalers"]

OF_PHOTOS, OF_PAINTINGS = ("photo",), ("painted", "photo")  # what shipped upscalers were trained on, the best first
MISSED = 1.1  # times that a painting is interpolated at most, rather than enlarged by the next factor


def find_upscalers(factor: int, kinds: Sequence[str] = OF_PHOTOS) -> list[str]:
    """Returns the names of the shipped upscalers that enlarge by a factor, one after another.

    kinds: what they were trained on, the best first.
    """
    shipped = {folder.name for folder in model_folders(pretrained_folder() / UPSCALER.subfolder)}
    names = [f"{kind}_x{factor}" for kind in kinds]
    found = [name for name in names if name in shipped]
    if not found and factor == max(FACTORS):
        return [*find_upscalers(factor // 2, kinds), *find_upscalers(2, kinds)]
    return found[:1] or names[-1:]


class Enlarger(Enlarging):
    """Upscalers, each of which enlarges what the one before it made; device: engine, threads, GPU, as for `load`."""

    def __init__(self, models: Sequence[str | Path | Model], *device):
        self._painters = [UpscalePainter(model, *device) for model in models]
        self.models = [painter.model for painter in self._painters]
        before = 1
        for painter in self._painters:
            painter.before, painter.total = before, self.factor
            before *= painter.factor

    @property
    def factor(self) -> int:
        """By how much all of them enlarge."""
        return math.prod(painter.factor for painter in self._painters)

    def __call__(self, image: np.ndarray, strength: float = 1.0, **options: Any) -> np.ndarray:
        """Returns a picture enlarged, uint8 (factor H, factor W, 3); all else as for `UpscalePainter`."""
        height, width = image.shape[:2]
        self.check_size(height, width, options.get("tile"))
        for painter in self._painters:
            image = painter(image, strength, **options)
        return image

    def check_size(self, height: int, width: int, tile: int | None = None, **options: Any) -> None:
        """Raises UserError where a picture of that size would not fit into memory; all as for `UpscalePainter`."""
        for painter in self._painters:
            painter.check_size(height, width, tile, **options)
            height, width = painter.output_size(height, width)


class EnlargingPainter(Painter):
    """A trained model of photos, whose paintings are enlarged.

    enlarge: a factor, the model of an upscaler, or None for the factor at which paintings reach the photo's size, which
    they then have exactly.  device: engine, threads, GPU, as for `load`.
    """

    def __init__(self, model: str | Path | Model, enlarge: int | str | Path | Model | None, *device):
        super().__init__(model, *device)
        self._device = device
        self._enlargers: dict[int, Enlarger] = {}  # by factor
        self._factor: int | None = None  # where it does not go by the photo
        if isinstance(enlarge, int):
            self._factor = self._enlarger(enlarge).factor
        elif enlarge is not None:
            enlarger = Enlarger([enlarge], *device)
            self._factor, self._enlargers = enlarger.factor, {enlarger.factor: enlarger}

    @property
    def models(self) -> list[Model]:
        """The models that it paints with, and has enlarged with."""
        return [self.model, *(model for each in self._enlargers.values() for model in each.models)]

    def stages(
        self,
        photo: np.ndarray,
        stages: Sequence[int] | None = None,
        *,
        size: int | None = None,
        guided: bool = False,
        as_painted: bool = False,
        **options,
    ) -> list[np.ndarray]:
        """Returns the pictures of several stages, enlarged; all as for `Painter.stages`."""
        if guided or as_painted:
            raise OptionError("An upscaler enlarges paintings in place of guided, and of as_painted: choose one")
        factor, (height, width) = self._plan(photo.shape, size)
        if factor > 1:  # what does not fit is said before anything is painted
            count = len(self.model.check_stages(stages))
            self._enlarger(factor).check_size(*size_to_paint(photo.shape, size), fix="--size {long}", pictures=count)
        pictures = super().stages(photo, stages, size=size, as_painted=True, **options)
        if factor > 1:
            pictures = [self._enlarger(factor)(painting) for painting in pictures]
        return [resize(each, height, width) if each.shape[:2] != (height, width) else each for each in pictures]

    def output_size(
        self, height: int, width: int, size: int | None = None, as_painted: bool = False
    ) -> tuple[int, int]:
        """Returns height and width of the enlarged painting of a photo of that size, as for `Painter`."""
        return self._plan((height, width), size)[1]

    def _plan(self, shape: Sequence[int], size: int | None) -> tuple[int, tuple[int, int]]:
        """Returns by which factor to enlarge the painting of a photo (H, W, ...), and height and width to reach."""
        (height, width), (rows, columns) = shape[:2], size_to_paint(shape, size)
        if self._factor:
            return self._factor, (self._factor * rows, self._factor * columns)
        missing = max(height / rows, width / columns)
        if missing <= 1:
            why = "a smaller --size leaves something to enlarge"
            self.say(f"the painting has the photo's size, and is not enlarged: {why}")
            return 1, (height, width)
        factor = next((each for each in FACTORS if each * MISSED >= missing), max(FACTORS))
        return self._enlarger(factor).factor, (height, width)

    def _enlarger(self, factor: int) -> Enlarger:
        """Returns what enlarges paintings by a factor, loaded once."""
        if factor not in self._enlargers:
            self._enlargers[factor] = Enlarger(find_upscalers(factor, OF_PAINTINGS), *self._device)
        return self._enlargers[factor]
