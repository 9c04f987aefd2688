"""The engine of this process under one name: ``from ..engines.gluon import HybridBlock, array, nd``.

Gluon's blocks, parameters and gradients, by MXNet or by PyTorch (`choice.py`).  Operators: `operators.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .choice import chosen
from .functional import giving
from .recording import recorder_of

# ruff: noqa: F403, F405

if TYPE_CHECKING or chosen() == "mxnet":
    from .mxnet import *
    from .mxnet import __all__
else:
    from .torch import *
    from .torch import __all__

__all__ = [*__all__, "described", "functional_call", "on_cpu", "operators_of"]


def described(on: Sequence) -> str:
    """Returns what computes on some devices, for records: "MXNet 1.9.1, CPU"."""
    return f"{NAME} {VERSION}, {', '.join(dict.fromkeys(map(name_of, on)))}"


def on_cpu(on: Sequence) -> bool:
    """Says whether all of these devices are the processor."""
    return all(name_of(device) == "CPU" for device in on)


def operators_of(x) -> Any:
    """Returns the operators that a value goes through, F: the engine's, or those of what records it."""
    return recorder_of([x]) or nd


def functional_call(block: Any, values: Mapping[Any, Any], *inputs: Any) -> Any:
    """Returns what a block makes of inputs with values in place of some of its parameters, as torch.func has it.

    values: by parameter, arrays of its shape, or recorded values.  With MXNet, only blocks that are not compiled by
    themselves take them: it is to be called within a block that is.
    """
    if recorder := recorder_of(inputs):
        recorder.parameters.update(values)
        return block(*inputs)
    with giving(values):
        return block(*inputs)
