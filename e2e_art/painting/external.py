"""External models, each one ONNX file: those that we exported, and networks like Johnson's of 2016.

Such a network takes one picture of 0..255 and gives one, as the exports of PyTorch's example do; its size may be
another: networks that enlarge pictures are welcome, and those that cut a border off.
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
LARGEST = 2**26  # pixels of the one size that a network may take
LEAST = 0.5  # of a photo's side: what gives less is no painting
DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


class ExternalEngine:
    """Runs one ONNX file as a model; raises ModelError for a file that is no such network, with the reason."""

    name = "onnx"

    def __init__(self, path: Path, threads: int | None, gpu: int | str | None):
        if not path.is_file():
            raise ModelError(f"{path} is no file" if path.exists() else f"There is no file {path}: check the path")
        self._path, self.device = path, (threads, gpu)
        self._session = open_session(path, threads, gpu)
        inputs, outputs = self._session.get_inputs(), [place.name for place in self._session.get_outputs()]
        others = [place.name for place in inputs[1:]]
        if not inputs or others not in ([], ["strength"]) or not outputs or not _is_picture(inputs[0]):
            places = ", ".join(f"{place.name} {place.shape} {place.type}" for place in inputs) or "nothing"
            raise ModelError(f"{path} takes {places}, not one picture (1, 3, H, W) or (1, H, W, 3): export it so")
        self._photo, self._takes_strength, shape = inputs[0].name, bool(others), inputs[0].shape
        self._dtype, self._channels_last = DTYPES[inputs[0].type], shape[1] != 3 and shape[3] == 3
        sides = shape[1:3] if self._channels_last else shape[2:]
        self._own_size = [side if isinstance(side, int) else None for side in sides]  # where it takes no other
        self._said: set[str] = set()
        self._outputs = outputs if self._takes_strength else outputs[:1]
        self.model = Model(path.parent, path.stem, EXTERNAL, [{} for _ in self._outputs], record={})

    def run(self, inputs: Mapping[str, np.ndarray], stages: Sequence[int]) -> list[np.ndarray]:
        """Returns the pictures of the stages (see `Engine`), larger than the photo where the network enlarges.

        Raises ModelError where they are no pictures.
        """
        photo, strength = inputs["image"], inputs["strength"]
        fitted = self._fitted(photo)
        given = fitted.transpose(0, 2, 3, 1) if self._channels_last else fitted
        given = np.rint(given) if self._dtype == np.uint8 else given
        feeds = {self._photo: given.astype(self._dtype)}
        if self._takes_strength:
            feeds["strength"] = strength
        names = [self._outputs[stage] for stage in stages]
        made = run_session(self._session, names, feeds, self._path)
        pictures = [self._checked(picture, fitted.shape[2:], photo) for picture in made]
        if self._takes_strength:
            return pictures
        painting = pictures[0]
        below = photo if photo.shape == painting.shape else _resized(photo, *painting.shape[2:])
        return [np.clip(below + strength * (painting - below), 0, 255)] * len(stages)

    def _fitted(self, photo: np.ndarray) -> np.ndarray:
        """Returns the photo in a size that the network can take."""
        sides = photo.shape[2:]
        if any(self._own_size):
            height, width = (own or side for own, side in zip(self._own_size, sides))
            if height * width > LARGEST:
                raise ModelError(f"{self._path} paints at {width}x{height} pixels alone: choose another --model")
            self._say(f"paints at {width}x{height} pixels alone")
            return _resized(photo, height, width)
        if self._takes_strength:
            return photo
        pads = [(0, max(side + -side % MULTIPLE, SMALLEST) - side) for side in sides]
        return np.pad(photo, [(0, 0), (0, 0), *pads], mode="reflect")

    def _checked(self, picture: np.ndarray, given: tuple[int, ...], photo: np.ndarray) -> np.ndarray:
        """Returns what the network made, (1, 3, H, W) float32 in 0..255, in the photo's size or larger.

        given: height and width of what it was given.  Raises ModelError for what is no picture as we know them.
        """
        shape, sides = picture.shape, photo.shape[2:]
        if len(shape) == 4 and shape[1] != 3 and shape[3] == 3:
            picture = picture.transpose(0, 3, 1, 2)
        if picture.ndim != 4 or picture.shape[:2] != (1, 3):
            raise ModelError(f"{self._path} gives {list(shape)}, not a picture (1, 3, H, W): export it so")
        factors = [new / old for new, old in zip(picture.shape[2:], given)]
        sizes = "{3}x{2} of {1}x{0} pixels".format(*given, *picture.shape[2:])
        if min(factors) < LEAST:
            raise ModelError(f"{self._path} makes {sizes}, too few for a painting: choose another --model")
        if picture.dtype.kind == "f" and photo.max() > 8 and np.abs(picture).max() < 2:
            least = -1 if picture.min() < 0 else 0
            raise ModelError(f"{self._path} paints in {least}..1, not in 0..255: export it so")
        picture = np.clip(picture.astype(np.float32), 0, 255)
        if any(self._own_size):  # the photo was stretched, and fills all of it
            return _resized(picture, *sides)
        if min(factors) > 1:
            self._say(f"enlarges pictures, here to {sizes}: --as-painted leaves them so")
        elif factors != [1, 1]:
            self._say(f"makes {sizes}: its pictures are scaled to the photo")
            picture, factors = _resized(picture, *given), [1, 1]
        height, width = (round(side * factor) for side, factor in zip(sides, factors))
        return picture[..., :height, :width]

    def _say(self, text: str) -> None:
        """Logs something about the network, once for all photos."""
        if text.split(" ")[0] not in self._said:
            self._said.add(text.split(" ")[0])
            log.info("%s %s", self._path.name, text)


def _is_picture(place) -> bool:
    """Says whether an input takes one picture; axes that may have any length are no numbers, or -1."""
    if place.type not in DTYPES or len(place.shape) != 4:
        return False
    batch, channels, _, last = place.shape
    any_batch = batch in (1, -1) or not isinstance(batch, int)
    return any_batch and (3 in (channels, last) or (not isinstance(channels, int) and last not in (1, 2, 4)))


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a picture (1, 3, H, W)."""
    return resize(picture[0].transpose(1, 2, 0), height, width).transpose(2, 0, 1)[np.newaxis]
