"""The engine of this process under one name: ``from ..engines.gluon import HybridBlock, array, nd``.

Gluon's blocks, parameters and gradients, by MXNet or by PyTorch (`choice.py`).  Operators: `operators.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .choice import EngineError, chosen

# ruff: noqa: F403, F405

if TYPE_CHECKING or chosen() == "mxnet":
    from .mxnet import *
else:
    from .torch import *

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
__all__ += ["version", "zoo_convolutions", "described", "fetch_every"]
