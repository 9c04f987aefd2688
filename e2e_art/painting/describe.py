"""What a chain of any style is told of paintings: their description, by onnxruntime."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Union

import numpy as np

from ..engines.onnxruntime import open_session, run_session
from ..errors import ModelError, OptionError, shortened
from ..files import read_file, sha256_of, write_atomically
from ..images.io import read_image
from ..images.resize import resize, with_long_edge
from ..models.folder import DESCRIBE_FILE, Model

__all__ = ["Paintings", "described_size", "description_of", "paintings_of"]

DESCRIBED = 400  # long edge of paintings that are described
MULTIPLE = 16  # what their sides divide by
MOST_KEPT = 2**16  # bytes of a kept description

Paintings = Union[str, Path, np.ndarray, Mapping[str, float]]  # one, by its path or itself, or the weights of several


def described_size(painting: np.ndarray) -> np.ndarray:
    """Returns a painting, uint8 (H, W, 3), in the size that describers take."""
    sides = with_long_edge(painting.shape, DESCRIBED)
    return resize(painting, *(max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE) for side in sides))


def paintings_of(words: Sequence[str]) -> dict[str, float]:
    """Returns the weight of each painting that words name: "a.jpg", or "a.jpg=0.7"; 1 where there is none.

    Raises OptionError for what is no weight, and where none is more than 0.
    """
    paintings: dict[str, float] = {}
    for word in words:
        name, equals, text = word.rpartition("=") if not os.path.exists(word) else (word, "", "1")
        try:
            weight = float(text) if equals else 1.0
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise OptionError(f"The weight of a painting is written as a.jpg=0.7, not '{shortened(word)}'")
        paintings[name or word] = paintings.get(name or word, 0) + weight
    if not any(paintings.values()):
        raise OptionError("All weights of --style are 0: raise one of them")
    return paintings


def description_of(
    model: Model,
    paintings: Paintings,
    threads: int | None = None,
    gpu: int | str | None = None,
    cache: Path | None = None,
) -> np.ndarray:
    """Returns what a model of any style is told of a painting, or of a mix of several, (D,) float32.

    paintings: a file; a picture, uint8 (H, W, 3); or weights of files, of any sum.  threads, gpu: as for
    `e2e_art.load`.  cache: a folder that keeps the descriptions of files.
    Raises ImageError for what is no picture, ModelError for a model that describes nothing.
    """
    describer = _Describer(model, threads, gpu, cache)
    if isinstance(paintings, np.ndarray):
        return describer.describe(paintings)
    weights = paintings if isinstance(paintings, Mapping) else {str(paintings): 1.0}
    total = sum(weights.values())
    parts = [weight / total * describer.describe_file(path) for path, weight in weights.items()]
    return np.sum(parts, axis=0, dtype=np.float32)


class _Describer:
    """What describes paintings; all as for `description_of`."""

    def __init__(self, model: Model, threads: int | None, gpu: int | str | None, cache: Path | None):
        self._graph, self._shape = model.path(DESCRIBE_FILE), (1, model.stages[0]["described"])
        self._device, self._cache = (threads, gpu), cache
        self._of_model = model.files[DESCRIBE_FILE] + model.files[model.stage_files()[0]]  # sha256 of all it goes by

    @cached_property
    def _session(self) -> Any:
        return open_session(self._graph, *self._device)

    def describe(self, painting: np.ndarray) -> np.ndarray:
        """Returns the description of a painting, uint8 (H, W, 3): (D,)."""
        x = described_size(painting).transpose(2, 0, 1)[np.newaxis].astype(np.float32)  # (1, 3, H, W)
        (description,) = run_session(self._session, ["style"], {"painting": x}, self._graph)
        if description.shape != self._shape:
            raise ModelError(f"{self._graph} describes no paintings: train the model again")
        return description[0]

    def describe_file(self, path: str) -> np.ndarray:
        """Returns the description of a file: that of the cache, if it has one."""
        if not self._cache or not os.path.isfile(path):
            return self.describe(read_image(path))
        key = hashlib.sha256((self._of_model + sha256_of(Path(path))).encode()).hexdigest()
        kept = self._cache / f"{key}.npy"
        with suppress(OSError, ValueError, EOFError):  # none is there, or a damaged one
            description = np.load(io.BytesIO(read_file(kept, MOST_KEPT)), allow_pickle=False)
            if description.shape == self._shape[1:] and description.dtype == np.float32:
                return description
        description, file = self.describe(read_image(path)), io.BytesIO()
        np.save(file, description)
        with suppress(OSError):
            write_atomically(kept, file.getvalue())
        return description
