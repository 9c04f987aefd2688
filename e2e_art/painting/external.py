"""External models, each one ONNX file: those that we exported, and networks like Johnson's of 2016.

Such a network takes one picture of 0..255 and gives one, as the exports of PyTorch's example do.
J. Johnson, A. Alahi, L. Fei-Fei, arXiv 1603.08155.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..engines.onnxruntime import open_session, run_session
from ..errors import ModelError
from ..images.resize import resize
from ..models.folder import Model
from ..models.kinds import EXTERNAL

__all__ = ["SUFFIX", "ExternalEngine"]

log = logging.getLogger(__name__)

SUFFIX = ".onnx"
MULTIPLE = 8  # sides of a photo are brought to multiples, or strides would round them up
SMALLEST = 32  # and to at least so many pixels, or a network's own reflection would not fit


class ExternalEngine:
    """Runs one ONNX file as a model; raises ModelError for a file that is no such network, with the reason."""

    def __init__(self, path: Path, threads: int | None, gpu: int | None):
        if not path.is_file():
            raise ModelError(f"There is no file {path}: check the path")
        self._path, self.device = path, (threads, gpu)
        self._session = open_session(path, threads, gpu)
        inputs, outputs = self._session.get_inputs(), [place.name for place in self._session.get_outputs()]
        others = [place.name for place in inputs[1:]]
        if not inputs or others not in ([], ["strength"]) or not outputs or not _is_picture(inputs[0]):
            places = ", ".join(f"{place.name} {place.shape}" for place in inputs) or "nothing"
            raise ModelError(f"{path} takes {places}, not one picture (1, 3, H, W): export it so")
        self._photo, self._takes_strength = inputs[0].name, bool(others)
        size = inputs[0].shape[2:]
        self._own_size = size if all(isinstance(side, int) for side in size) else None  # where it takes no other
        self._outputs = outputs if self._takes_strength else outputs[:1]
        self.model = Model(path.parent, path.stem, EXTERNAL, [{} for _ in self._outputs], record={})

    def run(self, inputs: Mapping[str, np.ndarray], stages: Sequence[int]) -> list[np.ndarray]:
        """Returns the pictures of the stages (see `Engine`); raises ModelError where they are none."""
        photo, strength = inputs["image"], inputs["strength"]
        feeds = {self._photo: self._fitted(photo), **({"strength": strength} if self._takes_strength else {})}
        names = [self._outputs[stage] for stage in stages]
        pictures = [self._checked(picture, photo) for picture in run_session(self._session, names, feeds, self._path)]
        if self._takes_strength:
            return pictures
        return [np.clip(photo + strength * (pictures[0] - photo), 0, 255)] * len(stages)

    def _fitted(self, photo: np.ndarray) -> np.ndarray:
        """Returns the photo in a size that the network can take."""
        if self._own_size:
            log.info("%s paints at %dx%d pixels alone", self._path.name, *self._own_size[::-1])
            return _resized(photo, *self._own_size)
        if self._takes_strength:
            return photo
        sides = (max(side + -side % MULTIPLE, SMALLEST) for side in photo.shape[2:])
        pads = [(0, new - side) for new, side in zip(sides, photo.shape[2:])]
        return np.pad(photo, [(0, 0), (0, 0), *pads], mode="reflect")

    def _checked(self, picture: np.ndarray, photo: np.ndarray) -> np.ndarray:
        """Returns what the network made in the photo's size, where it is a picture as we know them."""
        height, width = photo.shape[2:]
        shape = picture.shape if isinstance(picture, np.ndarray) and picture.dtype.kind in "fiu" else ()
        least = (1, 1) if self._own_size else (height, width)
        if len(shape) != 4 or shape[:2] != (1, 3) or shape[2] < least[0] or shape[3] < least[1]:
            raise ModelError(f"{self._path} gives {list(shape)}, not a picture (1, 3, H, W): export it so")
        if photo.max() > 8 and np.abs(picture).max() < 2:
            raise ModelError(f"{self._path} paints in 0..1, not in 0..255: export it so")
        picture = np.clip(picture.astype(np.float32), 0, 255)
        return _resized(picture, height, width) if self._own_size else picture[..., :height, :width]


def _is_picture(place) -> bool:
    """Says whether an input takes one picture, (1, 3, H, W) float32; sides that may have any length are no numbers."""
    if place.type != "tensor(float)" or len(place.shape) != 4:
        return False
    return place.shape[1] == 3 and (place.shape[0] == 1 or not isinstance(place.shape[0], int))


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a picture (1, 3, H, W)."""
    return resize(picture[0].transpose(1, 2, 0), height, width).transpose(2, 0, 1)[np.newaxis]
