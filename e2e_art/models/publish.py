"""A chain becomes a model on disk, and a model on disk a chain again."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..engines.mxnet import mx
from ..errors import ModelError, reason_of
from ..networks.chain import Chain, without_constants
from .folder import Model, write_model
from .kinds import KINDS
from .params_file import read_params
from .quantization import dequantize, is_kept, quantize

__all__ = ["load_chain", "publish"]


def publish(
    chain: Chain, folder: Path, record: dict, extras: Mapping[str, bytes] | None = None, overwrite: bool = False
) -> Model:
    """Writes a chain as a model: model.json, for each stage a .params file and the graph that ends there, and extras.

    record: how it was trained.  extras: other files to go with it, by name.  Weights are kept once, as
    `quantization.py` has them: the ONNX graphs point into the .params files.

    Raises ModelError where weights are not finite, or too large to keep, and where the folder cannot be written.
    """
    for stage in range(len(chain.generators)):
        if not all(is_kept(weight) for weight in chain.stage_weights(stage).values()):
            raise ModelError(f"{folder} is not written, since stage {stage} has diverged: lower --learning-rate")
    firsts = [chain.generators.index(generator) for generator in chain.generators]  # stages with these very weights
    names = [f"stage-{first}.params" for first in firsts]
    stages = [{**generator.describe(), "file": name} for generator, name in zip(chain.generators, names)]
    files = {
        **(extras or {}),
        **{names[first]: _to_params(chain.stage_weights(first)) for first in dict.fromkeys(firsts)},
    }
    files.update(KINDS[chain.kind].exporter(chain, folder.name, names, files))
    return write_model(folder, chain.kind, stages, record, files, chain.share_weights, overwrite)


def load_chain(model: Model, contexts: Sequence | None = None) -> Chain:
    """Returns the chain of a model, ready to paint; raises ModelError where its files do not fit its description."""
    weights = {name: _weights(model.path(name)) for name in dict.fromkeys(model.stage_files())}
    stages = [{key: value for key, value in stage.items() if key != "file"} for stage in model.stages]
    chain = model.kind.chain(stages, model.share_weights)
    for index, name in enumerate(model.stage_files()):
        try:
            chain.check_stage_weights(index, weights[name])  # before memory is taken for what a description says
        except ValueError as error:
            raise ModelError(f"{model.path(name)} is of another model ({error}): train it again") from error
    chain.initialize(contexts)
    for index, name in enumerate(model.stage_files()):
        chain.set_stage_weights(index, weights[name])
    chain.hybridize()
    return chain


def _weights(path: Path) -> dict[str, np.ndarray]:
    """Returns the weights of a stage by name; raises ModelError for a file that holds none."""
    try:
        return without_constants(dequantize(read_params(path.read_bytes())))
    except ValueError as error:
        raise ModelError(f"{path} holds no weights ({reason_of(error)}): train the model again") from error


def _to_params(weights: dict[str, np.ndarray]) -> bytes:
    """Returns a Gluon .params file with the weights as `quantization.py` keeps them."""
    arrays = {key: array for name, weight in weights.items() for key, array in quantize(name, weight).items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stage.params"
        mx.nd.save(str(path), {name: mx.nd.array(array, dtype=array.dtype) for name, array in arrays.items()})
        return path.read_bytes()
