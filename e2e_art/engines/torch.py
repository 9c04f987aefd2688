"""PyTorch as an engine: Gluon in a few hundred lines of PyTorch.

Arrays are tensors.  They remember how they were made, for gradients, under `autograd.record()` alone, as MXNet's do:
outside of it parameters hand out their numbers without.  Nothing but this module and those that it is made of, which
stand beside it, imports PyTorch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait leave the core to others

import torch

from ..machine import bfloat16_is_fast, cores
from . import winograd
from .choice import EngineError, gpus_among
from .functional import given
from .recording import recorder_of
from .torch_gradients import autograd, mode, recorded
from .torch_operators import nd

__all__ = ["NAME", "VERSION", "Block", "HybridBlock", "Parameter", "array", "assign", "autograd", "cpu", "device_of"]
__all__ += ["devices", "has_bfloat16", "name_of", "nd", "one_by_one", "recorded", "to_device", "to_numpy"]
__all__ += ["zoo_convolutions"]

NAME, VERSION = "PyTorch", str(torch.__version__)

torch.set_num_threads(min(torch.get_num_threads(), cores()))


# Devices and arrays.


def cpu() -> torch.device:
    """Returns the processor as a device."""
    return torch.device("cpu")


def devices(gpus: str | int | None = None, cpus: int = 1) -> list[torch.device]:
    """Returns the devices to work on; raises EngineError where a GPU is asked for that PyTorch cannot use.

    gpus: GPU numbers as the command line gives them, 0 or "0,1", or "mps" for that of a Mac; None means the CPU.
    cpus: how many times to return the CPU where no GPU is asked for.
    """
    if gpus in (None, ""):
        return [cpu()] * cpus
    if gpus == "mps":
        if not torch.backends.mps.is_available():
            raise EngineError("The GPU of a Mac was asked for, but PyTorch finds none: leave the flag out")
        return [torch.device("mps", 0)]
    fix = ", or install the PyTorch of your card (pytorch.org)"
    numbers = gpus_among(torch.cuda.device_count(), gpus, NAME, fix)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    return [torch.device("cuda", number) for number in numbers]


def name_of(device: torch.device) -> str:
    """Returns what a device is, for records: "CPU", "MPS", or the name of a card."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


def array(values, device: torch.device | None = None, dtype=np.float32) -> torch.Tensor:
    """Returns an array of numbers on a device, the CPU by default."""
    if isinstance(values, torch.Tensor):
        return values.detach().to(device or cpu(), copy=True)
    return torch.from_numpy(np.array(values, dtype, order="C")).to(device or cpu())


def to_numpy(x: torch.Tensor) -> np.ndarray:
    """Returns the numbers of an array."""
    return x.detach().cpu().numpy().copy()


def device_of(x: torch.Tensor) -> torch.device:
    """Returns the device that an array lies on."""
    return x.device


def to_device(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns an array on a device: itself where it lies there."""
    return x.to(device, non_blocking=True)


def assign(x: torch.Tensor, values) -> None:
    """Overwrites an array with an array or numbers of its shape, wherever they lie."""
    x.copy_(values if isinstance(values, torch.Tensor) else torch.from_numpy(np.array(values, order="C")))


def has_bfloat16(on: Sequence[torch.device]) -> bool:
    """Returns whether bfloat16 is fast on all of these devices."""
    if all(device.type == "cuda" for device in on):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bfloat16_is_fast() and all(device.type == "cpu" for device in on)


def one_by_one(function: Callable, *batches):
    """Returns what a function makes of batches, (N, ...) each: all at once, unlike MXNet."""
    return function(*batches)


def zoo_convolutions(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Raises EngineError: the networks of gluoncv's model zoo are MXNet's."""
    raise EngineError(f"zoo:{name} comes from gluoncv, which needs MXNet: add --engine mxnet, or take vgg19")


# Blocks.


class Parameter:
    """Numbers that a block learns, or is given: a tensor on each device.

    init: "zeros", "ones", or None for weights that are drawn.
    """

    def __init__(self, shape: Sequence[int], init: str | None = None, learns: bool = True):
        self.shape, self.init, self.learns = tuple(shape), init, learns
        self._data: dict[torch.device, torch.Tensor] = {}

    def initialize(self, on: Sequence[torch.device]) -> None:
        """Gives it its first numbers on some devices; those that are to be drawn are 0."""
        first = array((np.ones if self.init == "ones" else np.zeros)(self.shape))
        if not self.learns and len(self.shape) == 4:  # faster to convolve with; maps take on this order, too
            first = first.contiguous(memory_format=torch.channels_last)
        self._data = {device: first.to(device, copy=True) for device in on}
        for data in self._data.values():
            (autograd.watch if self.learns else winograd.prepare)(data)

    def data(self, device: torch.device | None = None) -> torch.Tensor:
        """Returns the numbers on a device, the first one by default."""
        data = self._data[next(iter(self._data)) if device is None else device]
        return data if mode.recording or not self.learns else data.detach()

    def list_data(self) -> list[torch.Tensor]:
        """Returns the numbers on each device, to be changed in place."""
        return [data.detach() for data in self._data.values()]

    def leaves(self) -> list[torch.Tensor]:
        """Returns the numbers on each device, as gradients flow to them."""
        return list(self._data.values())

    def list_grad(self) -> list[torch.Tensor]:
        """Returns the gradient on each device, which `autograd.backward` has computed."""
        return [autograd.gradient(data) for data in self._data.values()]

    def set_data(self, data) -> None:
        """Sets the numbers on every device."""
        for own in self.list_data():
            assign(own, data)


class _Constant(Parameter):
    """Numbers that never change, copied to a device where they are first asked for there."""

    def __init__(self, values):
        self._values = array(values)
        super().__init__(self._values.shape, learns=False)

    def initialize(self, on: Sequence[torch.device]) -> None:
        self._data = {device: self._values.to(device) for device in on}


class Block:
    """What holds parameters and other blocks, as attributes."""

    def __init__(self) -> None:
        self._children: dict[str, Block] = {}
        self._reg_params: dict[str, Parameter] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Block):
            self._children[name] = value
        elif isinstance(value, Parameter):
            self._reg_params[name] = value
        super().__setattr__(name, value)

    def register_child(self, block: Block, name: str) -> None:
        """Takes in another block that is no attribute."""
        self._children[name] = block

    def _all_parameters(self, prefix: str = "") -> dict[str, Parameter]:
        found = {prefix + name: each for name, each in self._reg_params.items()}
        for name, child in self._children.items():
            found.update(child._all_parameters(f"{prefix}{name}."))
        return found

    def named_parameters(self) -> dict[str, Parameter]:
        """Returns its parameters by their place in it ("body.0.0.weight"): so files name them."""
        return {name: each for name, each in self._all_parameters().items() if not isinstance(each, _Constant)}

    def initialize(self, on: Sequence[torch.device] | None = None) -> None:
        """Gives every parameter its first numbers, on some devices; those that are to be drawn are 0."""
        for parameter in dict.fromkeys(self._all_parameters().values()):
            parameter.initialize(list(on or [cpu()]))

    def hybridize(self, active: bool = True) -> None:
        """Does nothing: PyTorch computes block by block."""

    def forward(self, *inputs):
        raise NotImplementedError

    def __call__(self, *inputs, **options):
        return self.forward(*inputs, **options)


class HybridBlock(Block):
    """A block written once for arrays and for `engines/onnx.py`: `hybrid_forward(self, F, *inputs, **parameters)`.

    F: the operators of operators.py.
    """

    def parameter(self, name: str, shape: Sequence[int], init: str | None = None, learns: bool = True) -> Parameter:
        """Returns a new parameter, to be set as an attribute; init: "zeros", "ones", or None for what is drawn."""
        return Parameter(shape, init, learns)

    def constant(self, name: str, values) -> Parameter:
        """Returns numbers that never change, to be set as an attribute; files do not hold them."""
        return _Constant(values)

    def hybrid_forward(self, F, *inputs, **parameters):
        raise NotImplementedError

    def forward(self, *inputs):
        if recorder := recorder_of(inputs):
            parameters = {name: recorder.parameter(each) for name, each in self._reg_params.items()}
            return self.hybrid_forward(recorder, *inputs, **parameters)
        device, parameters = next(x.device for x in inputs if isinstance(x, torch.Tensor)), {}
        for name, parameter in self._reg_params.items():
            value = given(parameter)
            parameters[name] = parameter.data(device) if value is None else value
        return self.hybrid_forward(nd, *inputs, **parameters)
