"""A model of an older format becomes one of today's, in place: the same weights, name, record and pictures."""

from __future__ import annotations

import numpy as np

from ..errors import ModelError, UserError
from .folder import DESCRIPTION, NOISE_FILE, Model
from .publish import load_chain, publish
from .quantization import dequantize, is_kept, quantize

__all__ = ["upgrade"]


def upgrade(model: Model) -> Model:
    """Rewrites a model in today's format, whole or not at all, with graphs made anew; returns it.

    Weights stay the same numbers, and all other files the same bytes.  Raises ModelError where its files are damaged,
    where its folder holds others, which would be lost, or cannot be written; UserError where an engine or the onnx
    library is missing.
    """
    folder = model.folder.resolve()  # what a link leads to is replaced, and not the link
    if others := sorted({path.name for path in folder.iterdir()} - {*model.files, DESCRIPTION}):
        raise ModelError(f"{model.folder} holds {others[0]}, which is no file of the model: move it elsewhere")
    chain = load_chain(model)
    for index in range(len(model.stages)):
        if not all(_is_exact(weight) for weight in chain.stage_weights(index).values()):
            raise ModelError(f"{model.folder} keeps weights finer than models do: train it again")
    made = {*model.stage_files(), NOISE_FILE}
    extras = {
        name: model.path(name).read_bytes() for name in model.files if name not in made and not name.endswith(".onnx")
    }
    try:
        return publish(chain, folder, model.record, extras, overwrite=True, name=model.name)
    except ImportError as error:
        raise UserError("Upgrades need the onnx library: pip install onnx") from error


def _is_exact(weight: np.ndarray) -> bool:
    """Says whether a file holds a weight as it is, which `quantize` sees to for what it has quantized before."""
    return is_kept(weight) and np.array_equal(dequantize(quantize("weight", weight))["weight"], weight)
