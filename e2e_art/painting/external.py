"""Models from elsewhere, each one ONNX file: those that we exported, and networks like Johnson's of 2016.

Such a network takes one picture of 0..255 and gives one, as the exports of PyTorch's example do; what it asks of sizes
is met by mirroring the photo's border.  J. Johnson, A. Alahi, L. Fei-Fei, arXiv 1603.08155.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..engines.onnxruntime import open_session, out_of_memory
from ..images.resize import resize
from ..models.folder import Model, ModelError
from ..models.kinds import EXTERNAL

__all__ = ["SUFFIX", "ExternalEngine"]

log = logging.getLogger(__name__)

SUFFIX = ".onnx"
MULTIPLE = 8  # sides of a photo are brought to multiples, or strides would round them up
SMALLEST = 32  # and to at least so many pixels, or a network's own reflection would not fit


class ExternalEngine:
    """Runs one ONNX file as a model; `model` describes it.

    Raises ModelError for a file that is no such network, with the reason in one sentence.
    """

    name = "onnx"

    def __init__(self, path: Path, threads: int | None = None, gpu: int | None = None):
        if not path.is_file():
            raise ModelError(f"There is no file {path}: check the path")
        self._path = path
        self._session = open_session(path, threads, gpu)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._photo, others = inputs[0], [place.name for place in inputs[1:]]
        if others not in ([], ["strength"]) or not self._takes_pictures():
            places = ", ".join(f"{place.name} {place.shape}" for place in inputs)
            raise ModelError(f"{path} takes {places}, not one picture (1, 3, H, W): export it so")
        self._ours = bool(others)
        self._outputs = [place.name for place in (outputs if self._ours else outputs[:1])]
        self.model = Model(path.parent, path.stem, EXTERNAL, [{} for _ in self._outputs], record={})

    def _takes_pictures(self) -> bool:
        shape = self._photo.shape
        return self._photo.type == "tensor(float)" and len(shape) == 4 and shape[1] == 3 and shape[0] in (1, None, "N")

    def paint(self, photo: np.ndarray, stages: Sequence[int], strength: float) -> list[np.ndarray]:
        """Returns the pictures of the stages, (1, 3, H, W) float32 in 0..255; raises ModelError where they are none."""
        feeds = {self._photo.name: self._fitted(photo)}
        if self._ours:
            feeds["strength"] = np.array([strength], np.float32)
        try:
            pictures = self._session.run([self._outputs[stage] for stage in stages], feeds)
        except Exception as error:
            if out_of_memory(error):
                raise MemoryError from error
            raise ModelError(f"{self._path} could not paint a photo ({error}): it is made for others") from error
        pictures = [self._in_size_of(photo, self._checked(picture, photo)) for picture in pictures]
        if self._ours:
            return pictures
        return [np.clip(photo + strength * (pictures[0] - photo), 0, 255)] * len(stages)

    @property
    def _own_size(self) -> tuple[int, int] | None:
        """The height and width that it paints at, where it takes no others."""
        sides = tuple(self._photo.shape[2:])
        return sides if all(isinstance(side, int) for side in sides) else None

    def _fitted(self, photo: np.ndarray) -> np.ndarray:
        """Returns the photo in a size that the network can take."""
        if self._own_size:
            log.info("%s paints at %dx%d pixels alone", self._path.name, *self._own_size[::-1])
            return _resized(photo, *self._own_size)
        if self._ours:
            return photo
        sides = (max(side + -side % MULTIPLE, SMALLEST) for side in photo.shape[2:])
        pads = [(0, new - side) for new, side in zip(sides, photo.shape[2:])]
        return np.pad(photo, [(0, 0), (0, 0), *pads], mode="reflect")

    def _checked(self, picture: np.ndarray, photo: np.ndarray) -> np.ndarray:
        """Returns what the network made, where it is a picture as we know them."""
        if picture.ndim != 4 or picture.shape[1] != 3:
            raise ModelError(f"{self._path} gives {list(picture.shape)}, not a picture (1, 3, H, W): export it so")
        if photo.max() > 8 and np.abs(picture).max() < 2:
            raise ModelError(f"{self._path} paints in 0..1, not in 0..255: export it so")
        return np.clip(picture, 0, 255)

    def _in_size_of(self, photo: np.ndarray, picture: np.ndarray) -> np.ndarray:
        height, width = photo.shape[2:]
        return _resized(picture, height, width) if self._own_size else picture[..., :height, :width]


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a picture (1, 3, H, W)."""
    return resize(picture[0].transpose(1, 2, 0), height, width).transpose(2, 0, 1)[np.newaxis]
