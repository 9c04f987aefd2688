"""A style that a chain of any style has learned, as an ordinary model.

Its kernels are kept as they are; its scales, shifts and biases are what the chain writes of the painting's description.
Its graphs came with the chain: they point at places in the files of stages, which are the same for every style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from ..errors import ModelError, reason_of
from ..files import Name, check, parse_json
from .folder import LEARNED, NOISE_FILE, THUMBNAIL, VECTORS_FILE, Model, write_model
from .kinds import PHOTO
from .quantization import dequantize, quantize
from .weights_file import read_weights, write_weights

__all__ = ["learned_stage", "write_learned"]

HEAD = ("hidden_weight", "hidden_bias", "vector_weight", "vector_bias")  # of what writes the vectors of a stage
DESCRIBER = "describer."  # begins the names of what stage 0 keeps of the describer
LEAK = 0.25  # of the leaky ReLU in it: networks/layers.py

Vectors = Sequence[tuple[str, int]]  # names and lengths, in the order of a style vector


def learned_stage(kept: Mapping[str, np.ndarray], vectors: Vectors, description: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what the file of an ordinary stage holds, by name.

    kept: what the file of the stage of a chain of any style holds.  description: of a painting, (described,).
    Raises ValueError where these do not fit.
    """
    head = dequantize({name: array for name, array in kept.items() if name in HEAD})
    if head.keys() != set(HEAD):
        raise ValueError("it holds no network that writes styles")
    hidden = description @ head["hidden_weight"] + head["hidden_bias"][0]
    vector = np.where(hidden > 0, hidden, LEAK * hidden) @ head["vector_weight"] + head["vector_bias"][0]
    ends = np.cumsum([length for _, length in vectors])
    if not len(ends) or ends[-1] != len(vector):
        raise ValueError("its vectors have other lengths")
    others = (*HEAD, DESCRIBER)
    arrays = {name: array for name, array in kept.items() if not name.startswith(others)}
    for (name, _), part in zip(vectors, np.split(vector, ends[:-1])):
        arrays.update(quantize(name, part.astype(np.float32)))
    return arrays


def write_learned(
    model: Model,
    description: np.ndarray,
    folder: Path,
    record: Mapping[str, Any],
    thumbnail: bytes,
    overwrite: bool = False,
) -> Model:
    """Writes a style that a model of any style has learned, as an ordinary model of photos.

    description: of its painting.  record: what was learned, and how.  thumbnail: the content of its JPEG file.
    Raises ModelError where the model is none that learns, or the folder cannot be written.
    """
    stages, files = [], {THUMBNAIL: thumbnail, NOISE_FILE: model.path(NOISE_FILE).read_bytes()}
    try:
        content = parse_json(model.path(VECTORS_FILE).read_bytes())
        vectors = check(content, list[list[tuple[Name, Annotated[int, Meta(ge=1, le=2**16)]]]])
        for stage, file, names in zip(model.stages, model.stage_files(), vectors):
            arrays = learned_stage(read_weights(model.path(file).read_bytes()), names, description)
            files[file] = write_weights(arrays)
            own = ("described", "hidden")
            stages.append({key: value for key, value in stage.items() if key not in own})
    except ValueError as error:
        raise ModelError(f"{model.folder} writes no styles ({reason_of(error)}): train it again") from error
    graphs = [name for name in model.files if name.startswith(LEARNED)]
    files.update({name.removeprefix(LEARNED): model.path(name).read_bytes() for name in graphs})
    return write_model(folder, PHOTO.name, stages, dict(record), files, overwrite=overwrite)
