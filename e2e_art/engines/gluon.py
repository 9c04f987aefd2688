"""The engine of this process under one name: ``from ..engines.gluon import HybridBlock, array, nd``.

Gluon's blocks, parameters and gradients, by MXNet or by PyTorch (`choice.py`).  Operators: `operators.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .choice import EngineError, chosen

if TYPE_CHECKING or chosen() == "mxnet":  # mypy takes a class for a type only where there is one
    from . import mxnet as _engine
else:
    from . import torch as _engine

__all__ = [
    "NAME",
    "Block",
    "EngineError",
    "HybridBlock",
    "HybridSequential",
    "Parameter",
    "array",
    "assign",
    "autograd",
]
__all__ += ["cpu", "device_of", "devices", "has_bfloat16", "nd", "one_by_one", "recorded", "to_device", "to_numpy"]
__all__ += ["version", "zoo_convolutions"]

NAME, version = _engine.NAME, _engine.version
Block = _engine.Block
HybridBlock = _engine.HybridBlock
HybridSequential = _engine.HybridSequential
Parameter, nd, autograd = _engine.Parameter, _engine.nd, _engine.autograd
array, assign, to_numpy = _engine.array, _engine.assign, _engine.to_numpy
cpu, devices, device_of, to_device = _engine.cpu, _engine.devices, _engine.device_of, _engine.to_device
has_bfloat16, one_by_one, recorded = _engine.has_bfloat16, _engine.one_by_one, _engine.recorded
zoo_convolutions = _engine.zoo_convolutions
