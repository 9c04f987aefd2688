"""A chain becomes a model on disk, and a model on disk a chain again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import ModelError, reason_of
from ..networks.chain import Chain, without_constants
from ..networks.params_file import read_params
from .folder import OLD_FORMAT, Model, write_model
from .kinds import KINDS
from .quantization import dequantize, is_kept
from .weights_file import read_weights, write_weights

__all__ = ["load_chain", "publish"]


def publish(
    chain: Chain,
    folder: Path,
    record: dict,
    extras: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
    name: str = "",
) -> Model:
    """Writes a chain as a model: model.json, for each stage its weights and the graph that ends there, and extras.

    record: how it was trained.  extras: other files to go with it, by name.  name: what people call it, as its folder
    by default.  Weights are kept once, as `quantization.py` has them: the ONNX graphs point into their files.

    Raises ModelError where weights are not finite, or too large to keep, and where the folder cannot be written.
    """
    for stage in range(len(chain.generators)):
        if not all(is_kept(weight) for weight in chain.stage_weights(stage).values()):
            raise ModelError(f"{folder} is not written, since stage {stage} has diverged: lower --learning-rate")
    firsts = [chain.generators.index(generator) for generator in chain.generators]  # stages with these very weights
    names = [f"stage-{first}.safetensors" for first in firsts]
    stages = [{**generator.describe(), "file": name} for generator, name in zip(chain.generators, names)]
    kind, files = KINDS[chain.kind], dict(extras or {})
    for first in dict.fromkeys(firsts):
        kept = [kind.keep(*weight) for weight in chain.stage_weights(first).items()]
        files[names[first]] = write_weights({name: array for arrays in kept for name, array in arrays.items()})
    files.update(kind.exporter(chain, name or folder.name, names, files))
    return write_model(folder, chain.kind, stages, record, files, chain.share_weights, overwrite, name)


def load_chain(model: Model, devices: Sequence | None = None) -> Chain:
    """Returns the chain of a model, ready to paint; raises ModelError where its files do not fit its description."""
    weights = {name: _weights(model, name) for name in dict.fromkeys(model.stage_files())}
    stages = [{key: value for key, value in stage.items() if key != "file"} for stage in model.stages]
    chain = model.kind.chain(stages, model.share_weights)
    for index, name in enumerate(model.stage_files()):
        try:
            chain.check_stage_weights(index, weights[name])  # before memory is taken for what a description says
        except ValueError as error:
            raise ModelError(f"{model.path(name)} is of another model ({error}): train it again") from error
    chain.initialize(devices)
    for index, name in enumerate(model.stage_files()):
        chain.set_stage_weights(index, weights[name])
    chain.hybridize()
    return chain


def _weights(model: Model, name: str) -> dict[str, np.ndarray]:
    """Returns the weights of a stage by name; raises ModelError for a file that holds none."""
    content = model.path(name).read_bytes()
    try:
        if model.format == OLD_FORMAT:
            return without_constants(dequantize(read_params(content)))
        return dequantize(read_weights(content))
    except ValueError as error:
        raise ModelError(f"{model.path(name)} holds no weights ({reason_of(error)}): train the model again") from error
