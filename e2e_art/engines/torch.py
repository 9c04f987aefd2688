"""PyTorch as an engine, and the only module that imports it: Gluon in a few hundred lines of PyTorch.

Arrays are tensors.  They remember how they were made, for gradients, under `autograd.record()` alone, as MXNet's do:
outside of it parameters hand out their numbers without.  Operators: see operators.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..machine import bfloat16_is_fast, cores
from .choice import EngineError, gpu_numbers
from .recording import recorder_of

__all__ = ["NAME", "Block", "HybridBlock", "HybridSequential", "Parameter", "array", "assign", "autograd", "cpu", "nd"]
__all__ += ["device_of", "devices", "has_bfloat16", "one_by_one", "recorded", "to_device", "to_numpy", "version"]
__all__ += ["zoo_convolutions", "described", "fetch_every"]

NAME = "PyTorch"
FETCH_EVERY = 10  # steps on a GPU, which would wait for Python in between
WARM_UP = 3  # calls before a CUDA graph is recorded, as PyTorch asks for: libraries choose their algorithms in them

torch.set_num_threads(min(torch.get_num_threads(), cores()))


def version() -> str:
    """Returns what computes, for records."""
    return f"{NAME} {torch.__version__}"


# Devices and arrays.


def cpu() -> torch.device:
    """Returns the processor as a device."""
    return torch.device("cpu")


def devices(gpus: str | None = None, cpus: int = 1) -> list[torch.device]:
    """Returns the devices to work on; raises EngineError where a GPU is asked for that PyTorch cannot use.

    gpus: GPU numbers as the command line gives them, "0" or "0,1", or "mps" for that of a Mac; None means the CPU.
    cpus: how many times to return the CPU where no GPU is asked for.
    """
    if not gpus:
        return [cpu()] * cpus
    if gpus == "mps":
        if not torch.backends.mps.is_available():
            raise EngineError("The GPU of a Mac was asked for, but PyTorch finds none: leave the flag out")
        return [torch.device("mps", 0)]
    numbers, found = gpu_numbers(gpus), torch.cuda.device_count()
    if wrong := [number for number in numbers if not 0 <= number < found]:
        raise EngineError(
            f"GPU {wrong[0]} was asked for, but PyTorch finds {found or 'none'}: leave the flag out to use the CPU, or "
            "install the PyTorch of your card (pytorch.org)"
        )
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    return [torch.device("cuda", number) for number in numbers]


def described(on: Sequence[torch.device]) -> str:
    """Returns what computes on some devices, for records: "PyTorch 2.13.0, CPU"."""
    names = (torch.cuda.get_device_name(each) if each.type == "cuda" else each.type.upper() for each in on)
    return f"{version()}, {', '.join(dict.fromkeys(names))}"


def fetch_every(on: Sequence[torch.device]) -> int:
    """Returns after how many steps of a training their losses are fetched: at once where that takes no time."""
    return 1 if all(device.type == "cpu" for device in on) else FETCH_EVERY


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


# Gradients.


class _Mode(threading.local):
    recording = training = False


_mode = _Mode()


@contextmanager
def _in_mode(**modes: bool) -> Iterator[None]:
    before = {name: getattr(_mode, name) for name in modes}
    vars(_mode).update(modes)
    try:
        yield
    finally:
        vars(_mode).update(before)


@contextmanager
def _recording(active: bool) -> Iterator[None]:
    with _in_mode(recording=active, training=active), torch.set_grad_enabled(active):
        yield


class autograd:
    """What gradients flow through: `with autograd.record():`; and whether batch norm takes the statistics at hand."""

    @staticmethod
    def record():
        return _recording(True)

    @staticmethod
    def pause():
        return _recording(False)

    @staticmethod
    def train_mode():
        return _in_mode(training=True)

    @staticmethod
    def predict_mode():
        return _in_mode(training=False)

    @staticmethod
    def backward(arrays: Sequence[torch.Tensor], wanted: Sequence) -> None:
        """Computes the gradients of the sum of arrays to what is wanted: parameters, or watched arrays."""
        leaves = [leaf for each in wanted for leaf in (each.leaves() if isinstance(each, Parameter) else [each])]
        ones = [torch.ones_like(each) for each in arrays]
        for leaf, gradient in zip(leaves, torch.autograd.grad(list(arrays), leaves, ones, allow_unused=True)):
            leaf.kept_gradient = torch.zeros_like(leaf) if gradient is None else gradient  # type: ignore[union-attr]

    @staticmethod
    def watch(x: torch.Tensor) -> torch.Tensor:
        """Lets an array have a gradient, which `gradient` returns after `backward`."""
        return x.requires_grad_()

    @staticmethod
    def gradient(x: torch.Tensor) -> torch.Tensor:
        """Returns what `backward` has computed for a watched array."""
        return x.kept_gradient  # type: ignore[attr-defined]


def recorded(function: Callable, state: Sequence[torch.Tensor]) -> Callable:
    """Returns a function of arrays, ready to be called again and again.

    On a GPU with CUDA it is recorded once for each shape of its inputs, as a CUDA graph, and then played: thousands of
    small kernels would wait for Python.  So it must compute of its inputs, arrays on any device, and of `state`, the
    arrays that it changes, all the same way each time, and fetch nothing.  It returns a list of arrays.
    """
    return _Recorded(function, state) if state and state[0].is_cuda else function


class _Recorded:
    """A function as a CUDA graph for each shape of its inputs."""

    def __init__(self, function: Callable, state: Sequence[torch.Tensor]):
        self._function, self._state, self._device = function, state, state[0].device
        self._graphs: dict[tuple, tuple] = {}

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        shapes = tuple((*x.shape, x.dtype) for x in inputs)
        with torch.cuda.device(self._device):
            if shapes not in self._graphs:
                self._graphs[shapes] = self._record(inputs)
            graph, places, results = self._graphs[shapes]
            for place, x in zip(places, inputs):
                # Pinned, so that Python need not wait until the steps before are done.
                place.copy_(x if x.is_cuda else x.pin_memory(), non_blocking=True)
            graph.replay()
            return [result.clone() for result in results]

    def _record(self, inputs: Sequence[torch.Tensor]) -> tuple:
        places = [x.to(self._device, copy=True) for x in inputs]
        before = [x.clone() for x in self._state]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._function(*places)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results = self._function(*places)
        for x, value in zip(self._state, before):
            x.copy_(value)
        return graph, places, results


# Operators.


class nd:
    """The operators of operators.py."""

    abs, sqrt, square, tanh = torch.abs, torch.sqrt, torch.square, torch.tanh
    ones_like, zeros_like = torch.ones_like, torch.zeros_like
    broadcast_add, broadcast_sub, broadcast_mul, broadcast_div = torch.add, torch.sub, torch.mul, torch.div
    maximum, minimum = torch.clamp_min, torch.clamp_max  # of an array and a number
    dot = torch.matmul

    @staticmethod
    def Activation(x, act_type: str):
        assert act_type == "relu", act_type
        return torch.relu(x)

    @staticmethod
    def BatchNorm(x, gamma, beta, mean, variance, eps: float, momentum: float, fix_gamma: bool = False):
        if not _mode.training:
            return functional.batch_norm(x, mean, variance, gamma, beta, False, 0.0, eps)
        with torch.no_grad():
            for running, own in zip((variance, mean), torch.var_mean(x, dim=(0, 2, 3), correction=0)):
                running.mul_(momentum).add_(own, alpha=1 - momentum)
        # Unlike nn.functional's this one also takes a single pixel, as MXNet does.
        return torch.batch_norm(x, gamma, beta, None, None, True, 0.0, eps, torch.backends.cudnn.enabled)

    @staticmethod
    def BlockGrad(x):
        return x.detach()

    @staticmethod
    def Convolution(x, weight, bias=None, *, stride=(1, 1), pad=(0, 0), dilate=(1, 1), num_group=1, **implied):
        return functional.conv2d(x, weight, bias, stride, pad, dilate, num_group)

    @staticmethod
    def Deconvolution(x, weight, bias=None, *, stride=(1, 1), pad=(0, 0), adj=(0, 0), num_group=1, **implied):
        return functional.conv_transpose2d(x, weight, bias, stride, pad, adj, num_group)

    @staticmethod
    def LeakyReLU(x, slope: float = 0.25):
        return functional.leaky_relu(x, slope)

    @staticmethod
    def Pad(x, mode: str, pad_width: Sequence[int]):
        *_, top, bottom, left, right = pad_width
        return functional.pad(x, (left, right, top, bottom), {"edge": "replicate"}.get(mode, mode))

    @staticmethod
    def Pooling(x, kernel: tuple, stride: tuple, pool_type: str):
        return (functional.avg_pool2d if pool_type == "avg" else functional.max_pool2d)(x, kernel, stride)

    @staticmethod
    def UpSampling(x, scale: int, sample_type: str = "nearest"):
        return functional.interpolate(x, scale_factor=scale, mode=sample_type)

    @staticmethod
    def add_n(*arrays):
        return sum(arrays[1:], arrays[0])

    @staticmethod
    def argmax(x, axis: int):
        return torch.argmax(x, dim=axis)

    @staticmethod
    def batch_dot(x, y, transpose_a: bool = False, transpose_b: bool = False):
        return torch.matmul(x.mT if transpose_a else x, y.mT if transpose_b else y)

    @staticmethod
    def broadcast_axis(x, axis: int, size: int):
        return x.expand(*(size if place == axis else -1 for place in range(x.dim())))

    @staticmethod
    def cast(x, dtype: str):
        return x.to(getattr(torch, dtype))

    @staticmethod
    def clip(x, a_min: float, a_max: float):
        return torch.clamp(x, a_min, a_max)

    @staticmethod
    def col2im(x, output_size: Sequence[int], kernel: Sequence[int]):
        return functional.fold(x, tuple(output_size), tuple(kernel))

    @staticmethod
    def concat(*arrays, dim: int = 1):
        return torch.cat(arrays, dim)

    @staticmethod
    def depth_to_space(x, block_size: int):
        n, channels, height, width = x.shape
        cells = x.reshape(n, block_size, block_size, channels // block_size**2, height, width)
        return cells.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * block_size, width * block_size)

    @staticmethod
    def space_to_depth(x, block_size: int):
        n, channels, height, width = x.shape
        height, width = height // block_size, width // block_size
        cells = x.reshape(n, channels, height, block_size, width, block_size)
        return cells.permute(0, 3, 5, 1, 2, 4).reshape(n, channels * block_size**2, height, width)

    @staticmethod
    def expand_dims(x, axis: int):
        return x.unsqueeze(axis)

    @staticmethod
    def mean(x, axis=None, keepdims: bool = False, exclude: bool = False):
        return torch.mean(x, dim=_axes(x, axis, exclude), keepdim=keepdims)

    @staticmethod
    def sum(x, axis=None, keepdims: bool = False, exclude: bool = False):
        return torch.sum(x, dim=_axes(x, axis, exclude), keepdim=keepdims)

    @staticmethod
    def reshape(x, shape: Sequence[int]):
        """Knows MXNet's codes 0 (the axis as it is), -1 (what is left) and -3 (two axes made one)."""
        sizes, place = list[int](), 0
        for code in shape:
            known = {0: x.shape[place : place + 1], -3: x.shape[place : place + 2]}.get(code)
            sizes.append(code if known is None else known.numel())
            place += 2 if code == -3 else 1
        return x.reshape(sizes)

    @staticmethod
    def reshape_like(x, other, lhs_begin: int, lhs_end: int, rhs_begin: int, rhs_end: int):
        return x.reshape(*x.shape[:lhs_begin], *other.shape[rhs_begin:rhs_end], *x.shape[lhs_end:])

    @staticmethod
    def slice(x, begin: Sequence, end: Sequence, step: Sequence = ()):
        return x[tuple(map(slice, begin, end, step or (None,) * len(begin)))]

    @staticmethod
    def slice_axis(x, axis: int, begin: int, end: int | None):
        return x[(slice(None),) * axis + (slice(begin, end),)]

    @staticmethod
    def stack(*arrays, axis: int = 0):
        return torch.stack(arrays, axis)

    @staticmethod
    def take(x, indices, axis: int = 0, mode: str = "clip"):
        size = x.shape[axis]
        indices = indices.long()
        indices = indices % size if mode == "wrap" else indices.clamp(0, size - 1)
        return torch.index_select(x, axis, indices)

    @staticmethod
    def transpose(x, axes: Sequence[int] | None = None):
        return x.permute(*(axes or reversed(range(x.dim()))))

    # Ours.

    @staticmethod
    def to_bfloat16(x):
        # Channels last is how the convolutions of processors and GPUs take bfloat16 fastest.
        return x.to(torch.bfloat16, memory_format=torch.channels_last if x.dim() == 4 else torch.preserve_format)

    @staticmethod
    def to_float32(x):
        return x.to(torch.float32)

    @staticmethod
    def indices(x, begin: int, end: int):
        return torch.arange(begin, end, device=x.device)

    @staticmethod
    def instance_norm(x, gamma, beta, mean, variance, eps: float):
        # Unlike nn.functional's this one also takes a single pixel, as MXNet does.
        return torch.instance_norm(x, gamma, beta, None, None, True, 0.0, eps, torch.backends.cudnn.enabled)

    @staticmethod
    def upsample_bilinear(x, like, channels: int, factor: int):
        return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    @staticmethod
    def row_products(x, y, channels: int | None = None):
        if channels is None:
            return torch.matmul(x, y.mT)
        return torch.matmul(x.to(torch.bfloat16), y.to(torch.bfloat16).mT).to(torch.float32)

    @staticmethod
    def channels_and_pixels(x) -> tuple[float, float]:
        return float(x.shape[1]), float(x.shape[2] * x.shape[3])


def _axes(x: torch.Tensor, axis, exclude: bool) -> tuple[int, ...]:
    """Returns the axes that an operator works on: those given, or all others."""
    given = range(x.dim()) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(place for place in range(x.dim()) if place not in given) if exclude else tuple(given)


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
        first = (np.ones if self.init == "ones" else np.zeros)(self.shape)
        self._data = {device: array(first, device) for device in on}
        if self.learns:
            for data in self._data.values():
                autograd.watch(data)

    def data(self, device: torch.device | None = None) -> torch.Tensor:
        """Returns the numbers on a device, the first one by default."""
        data = self._data[next(iter(self._data)) if device is None else device]
        return data if _mode.recording else data.detach()

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
        device = next(x.device for x in inputs if isinstance(x, torch.Tensor))
        return self.hybrid_forward(nd, *inputs, **{name: each.data(device) for name, each in self._reg_params.items()})


class HybridSequential(HybridBlock):
    """Blocks in a row, named 0, 1, 2 ..."""

    def __init__(self, *blocks: Block):
        super().__init__()
        for index, block in enumerate(blocks):
            self.register_child(block, str(index))

    def hybrid_forward(self, F, x):
        for block in self._children.values():
            x = block(x)
        return x
