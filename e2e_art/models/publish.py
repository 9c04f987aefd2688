"""A chain becomes a model on disk, and a model on disk a chain again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ..engines.mxnet import mx
from ..networks.chain import CHAINS, Chain, make_chain
from ..networks.inputs import noise_tile
from .folder import NOISE_FILE, Model, ModelError, graph_file, tile_file, write_model
from .onnx_export import chain_to_onnx, noise_to_onnx, stage_to_onnx
from .quantization import restored, stored

__all__ = ["load_chain", "publish"]


def publish(
    chain: Chain, folder: Path, record: dict, extras: dict[str, bytes] | None = None, overwrite: bool = False
) -> Model:
    """Writes a chain as a model: model.json, for each stage a .params file and the graph that ends there, and extras.

    record: how it was trained.  extras: other files to go with it, by name.  Weights are kept once, as `storage.py`
    has them: the ONNX graphs point into the .params files.  Raises ModelError where the folder cannot be written.
    """
    stages, files = [], dict(extras or {})
    for index, description in enumerate(chain.describe()):
        twin = chain.generators.index(chain.generators[index])  # the first stage with these very weights
        name = f"stage-{twin}.params"
        if name not in files:
            files[name] = _to_params(chain.stage_weights(index))
        stages.append({**description, "file": name})
    stage_files = [stage["file"] for stage in stages]
    if chain.kind == "chain":
        files[NOISE_FILE] = noise_tile().tobytes()
    to_onnx = chain_to_onnx if chain.kind == "chain" else noise_to_onnx
    for index in range(len(stages)):
        files[graph_file(index, len(stages))] = to_onnx(chain, folder.name, index, stage_files, files)
        if chain.kind == "chain":
            files[tile_file(index)] = stage_to_onnx(chain, folder.name, index, stage_files, files)
    return write_model(
        folder,
        kind=chain.kind,
        stages=stages,
        record=record,
        files=files,
        share_weights=chain.share_weights,
        overwrite=overwrite,
    )


def load_chain(model: Model, contexts=None) -> Chain:
    """Returns the chain of a model, ready to paint; raises ModelError where its files do not fit its description."""
    if model.kind not in CHAINS:
        raise ModelError(
            f"{model.folder} is a model of kind '{model.kind}', which this e2e-art does not know: install the one that "
            "wrote it"
        )
    try:
        stages = [{key: value for key, value in stage.items() if key != "file"} for stage in model.stages]
        chain = make_chain(model.kind, stages, model.share_weights)
        chain.initialize(ctx=contexts or [mx.cpu()])
        for index, name in enumerate(model.stage_files()):
            arrays = mx.nd.load_frombuffer(model.path(name).read_bytes())
            chain.set_stage_weights(index, restored({key: array.asnumpy() for key, array in arrays.items()}))
    except (KeyError, TypeError, ValueError, mx.MXNetError) as error:
        raise ModelError(f"The model {model.folder} cannot be loaded ({error}): get a whole copy") from error
    chain.hybridize()
    return chain


def _to_params(weights: dict[str, np.ndarray]) -> bytes:
    """Returns a Gluon .params file with the weights as `storage.py` keeps them."""
    arrays = {}
    for name, weight in weights.items():
        arrays.update({key: mx.nd.array(array, dtype=array.dtype) for key, array in stored(name, weight).items()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stage.params"
        mx.nd.save(str(path), arrays)
        return path.read_bytes()
