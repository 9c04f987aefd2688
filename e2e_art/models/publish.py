"""A chain becomes a model on disk, and a model on disk a chain again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ..engines.mxnet import mx
from ..networks.chain import Chain
from .folder import Model, ModelError, write_model
from .kinds import KINDS
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
    files.update(KINDS[chain.kind].exporter(chain, folder.name, stage_files, files))
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
    try:
        stages = [{key: value for key, value in stage.items() if key != "file"} for stage in model.stages]
        chain = model.kind.chain(stages, model.share_weights)
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
