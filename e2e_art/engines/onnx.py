"""ONNX graphs by recording: a block that is called with values of a `Graph` adds its nodes to it.

The graph is the F of `hybrid_forward`, with those operators of operators.py that generators use.  Blocks may be of any
engine: all that is asked of it is the numbers of constants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Union

import numpy as np
import numpy.typing as npt
import onnx
import onnx.external_data_helper
from onnx import TensorProto, helper, numpy_helper

from .gluon import to_numpy
from .recording import Recorded

__all__ = ["OPSET", "Graph", "TileGraph", "Value"]

OPSET = 17
END = np.iinfo(np.int64).max  # of a slice that has none
READABLE = 64  # bytes of a constant at most that its name shows; larger ones are named by their sha256


def _arithmetic(operator: str, swapped: bool = False) -> Callable[[Value, Operand], Value]:
    """Returns a method of `Value` that records an operator of two values of one type, or of a value and a number."""

    def record(self: Value, other: Operand) -> Value:
        kind = np.int64 if self.whole else np.float32
        operand = other if isinstance(other, Value) else self.recorder.constant(other, kind)
        return self.recorder.add(operator, *((operand, self) if swapped else (self, operand)), whole=self.whole)

    return record


class Value(Recorded):
    """A value of a graph: an input, a constant, or what a node makes; float32, or whole numbers in int64.

    Arithmetic is Python's; of whole numbers in `//` none may be negative.
    """

    __add__ = __radd__ = _arithmetic("Add")
    __mul__ = __rmul__ = _arithmetic("Mul")
    __sub__, __rsub__ = _arithmetic("Sub"), _arithmetic("Sub", swapped=True)
    __truediv__, __rfloordiv__ = _arithmetic("Div"), _arithmetic("Div", swapped=True)
    __mod__ = _arithmetic("Mod")

    def __init__(self, graph: Graph, name: str, whole: bool = False):
        self.recorder, self.name, self.whole = graph, name, whole

    @cached_property
    def shape(self) -> tuple[Value, ...]:
        """The sides of maps (N, C, H, W), recorded, as they differ from call to call."""
        sides = self.recorder.add("Shape", self, whole=True)
        return tuple(self.recorder.add("Gather", sides, axis, axis=0, whole=True) for axis in range(4))

    def __neg__(self) -> Value:
        return 0 - self


Operand = Union[Value, float]


class Graph:
    """Records the nodes and constants of a graph; its operators are those of operators.py, for maps (N, C, H, W).

    parameters: the values of blocks' parameters, where they are not to become plain constants.  inputs, outputs: shapes
    by name, all float32.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.parameters: dict[Any, Value] = {}
        self.inputs: dict[str, list] = {}
        self.outputs: dict[str, list] = {}

    def add(
        self, operator: str, *inputs: Value | npt.ArrayLike, name: str = "", whole: bool = False, **attributes: Any
    ) -> Value:
        """Adds a node with one output, and returns that; inputs: values, constants, or "" for one that is left out."""
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        values = (each if isinstance(each, (Value, str)) else self.constant(each) for each in inputs)
        names = [each if isinstance(each, str) else each.name for each in values]
        self.nodes.append(helper.make_node(operator, names, [name], name=name, **attributes))
        return Value(self, name, whole)

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = None, name: str = "") -> Value:
        """Returns a constant, by default in int64 or float32."""
        array = np.asarray(value, dtype or (np.int64 if np.asarray(value).dtype.kind == "i" else np.float32))
        content = array.tobytes()
        tag = (content if len(content) <= READABLE else hashlib.sha256(content).digest()).hex()
        name = name or f"constant_{array.dtype}_{'x'.join(map(str, array.shape))}_{tag}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return Value(self, name, array.dtype.kind == "i")

    def input(self, name: str, shape: list) -> Value:
        """Returns a new input; shape: numbers, or names for what differs from call to call."""
        self.inputs[name] = shape
        return Value(self, name)

    def output(self, name: str, value: Value, shape: list) -> None:
        """Makes a value an output."""
        self.add("Identity", value, name=name)
        self.outputs[name] = shape

    def parameter(self, parameter: Any) -> Value:
        """Returns the value of a block's parameter or constant."""
        if parameter not in self.parameters:
            self.parameters[parameter] = self.constant(to_numpy(parameter.list_data()[0]))
        return self.parameters[parameter]

    def store(self, constant: Value, file: str, content: bytes, offset: int = 0) -> None:
        """Moves a constant out of the graph, to where a file beside it holds the same numbers (ONNX external data).

        offset: the byte of the content at which they begin.
        """
        tensor = self.constants[constant.name]
        length = len(tensor.raw_data)
        if content[offset : offset + length] != tensor.raw_data:
            raise ValueError(f"{file} does not hold {constant.name}")
        onnx.external_data_helper.set_external_data(tensor, file, offset, length)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL

    def serialized(self, name: str) -> bytes:
        """Returns the graph as an ONNX model, without what no output needs."""
        needed, nodes = set(self.outputs), list[onnx.NodeProto]()
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        constants = [tensor for key, tensor in self.constants.items() if key in needed]
        given, made = (
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in places.items()]
            for places in (self.inputs, self.outputs)
        )
        proto = helper.make_graph(nodes[::-1], name, given, made, constants)
        model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="e2e-art")
        model.ir_version = 8
        return model.SerializeToString()

    # Layers.

    def Activation(self, x, act_type: str):
        return self.add({"relu": "Relu"}[act_type], x)

    def BatchNorm(self, x, gamma, beta, mean, variance, eps: float, **learning):
        return self.add("BatchNormalization", x, gamma, beta, mean, variance, epsilon=eps)

    def Convolution(self, x, *weights, kernel, stride=(1, 1), pad=(0, 0), **implied):
        inputs = (each for each in (x, *weights) if each is not None)
        return self.add("Conv", *inputs, kernel_shape=kernel, strides=stride, pads=pad * 2)

    def Deconvolution(self, x, *weights, kernel, stride, pad, adj, **implied):
        window = dict(kernel_shape=kernel, strides=stride, pads=pad * 2, output_padding=adj)
        return self.add("ConvTranspose", x, *weights, **window)

    def LeakyReLU(self, x, slope: float):
        return self.add("LeakyRelu", x, alpha=slope)

    def Pooling(self, x, kernel, stride, pool_type: str):
        return self.add({"avg": "AveragePool", "max": "MaxPool"}[pool_type], x, kernel_shape=kernel, strides=stride)

    def UpSampling(self, x, scale: int, sample_type: str):
        scales = np.array([1, 1, scale, scale], np.float32)
        settings: dict[str, Any] = dict(coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        return self.add("Resize", x, "", scales, mode=sample_type, **settings)

    def upsample_bilinear(self, x, like, channels: int, factor: int):
        sides = self.concat(self.add("Shape", x, end=2), self.add("Shape", like, start=2), dim=0)
        return self.add("Resize", x, "", "", sides, mode="linear", coordinate_transformation_mode="half_pixel")

    def instance_norm(self, x, gamma, beta, mean, variance, eps: float):
        return self.add("InstanceNormalization", x, gamma, beta, epsilon=eps)

    def depth_to_space(self, x, block_size: int):
        return self.add("DepthToSpace", x, blocksize=block_size)

    def space_to_depth(self, x, block_size: int):
        return self.add("SpaceToDepth", x, blocksize=block_size)

    # Shapes.

    def broadcast_axis(self, x, axis: int, size):
        return self.add("Expand", x, self._numbers([size if place == axis else 1 for place in range(4)]))

    def concat(self, *arrays, dim: int):
        return self.add("Concat", *arrays, axis=dim)

    def indices(self, x, begin, end):
        return self.add("Range", begin, end, 1, whole=True)

    def reshape(self, x, shape: Sequence[int]):
        return self.add("Reshape", x, list(shape))

    def slice(self, x, begin: Sequence, end: Sequence, step: Sequence = ()):
        sides = enumerate(zip(begin, end, step or [None] * len(begin)))
        cut = [(axis, *side) for axis, side in sides if side != (None, None, None)]
        begins, ends = [first or 0 for _, first, _, _ in cut], [END if last is None else last for _, _, last, _ in cut]
        axes, steps = [axis for axis, *_ in cut], [each or 1 for *_, each in cut]
        return self.add("Slice", x, self._numbers(begins), self._numbers(ends), axes, steps)

    def slice_axis(self, x, axis: int, begin: int, end: int | None):
        return self.add("Slice", x, [begin], [END if end is None else end], [axis])

    def take(self, x, indices, axis: int, mode: str = "clip"):
        if not indices.whole:
            indices = self.add("Cast", indices, whole=True, to=TensorProto.INT64)
        return self.add("Gather", x, indices % x.shape[axis] if mode == "wrap" else indices, axis=axis)

    def _numbers(self, numbers: Sequence) -> Value:
        """Returns whole numbers, recorded or plain, in a row."""
        if not any(isinstance(each, Value) for each in numbers):
            return self.constant(numbers)
        rows = [self.add("Unsqueeze", each, [0]) if isinstance(each, Value) else [each] for each in numbers]
        return self.add("Concat", *rows, axis=0, whole=True)

    # Numbers.

    def abs(self, x):
        if x.whole:  # of a known count of which OpenVINO's Abs changes nothing
            return self.add("Max", x, -x, whole=True)
        return self.add("Abs", x)

    def add_n(self, *arrays):
        return self.add("Sum", *arrays)

    def clip(self, x, a_min: float, a_max: float):
        return self.add("Clip", x, float(a_min), float(a_max))

    def broadcast_div(self, x, y):
        return x / y

    def channels_and_pixels(self, x) -> tuple[Value, Value]:
        channels, height, width = (self.add("Cast", x.shape[axis], to=TensorProto.FLOAT) for axis in (1, 2, 3))
        return channels, height * width

    def dot(self, x, y):
        return self.add("MatMul", x, y)

    def mean(self, x, axis: int | Sequence[int], keepdims: bool = False):
        axes = [axis] if isinstance(axis, int) else list(axis)
        return self.add("ReduceMean", x, axes=axes, keepdims=int(keepdims))

    def row_products(self, x, y):
        return self.add("MatMul", x, self.add("Transpose", y, perm=[0, 2, 1]))

    def sqrt(self, x):
        return self.add("Sqrt", x)

    def tanh(self, x):
        return self.add("Tanh", x)

    def broadcast_add(self, x, y):
        return x + y

    def broadcast_mul(self, x, y):
        return x * y

    def broadcast_sub(self, x, y):
        return x - y

    def zeros_like(self, x):
        return x * 0


class TileGraph(Graph):
    """A graph whose instance normalizations can be given their statistics, so that it paints a part of a picture.

    Input `statistics` (2, S): mean and variance of every normalized channel, one normalization after another; `own`
    (1,): 1 to normalize by the input's own statistics instead, or 0.  Output `measured` (2, S): the input's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._measured: list[tuple[Value, Value]] = []
        self._channels = 0

    def instance_norm(self, x, gamma, beta, mean, variance, eps: float):
        count = self.constants[mean.name].dims[0]
        own, first = Value(self, "own"), self._channels
        self._channels += count
        measured = self.add("ReduceMean", x, axes=[2, 3])
        centered = x - measured
        self._measured.append((measured, self.add("ReduceMean", centered * centered, axes=[2, 3])))
        statistics = self.slice_axis(Value(self, "statistics"), axis=1, begin=first, end=self._channels)
        shape, moments = (1, count, 1, 1), []
        for row, moment in enumerate(self._measured[-1]):
            given = self.reshape(self.add("Gather", statistics, row, axis=0), shape)
            moments.append(given + (moment - given) * own)
        gain = self.reshape(gamma, shape) / self.add("Sqrt", moments[1] + eps)
        return x * gain + (self.reshape(beta, shape) - moments[0] * gain)

    def serialized(self, name: str) -> bytes:
        if self._measured and "measured" not in self.outputs:
            rows = [[self.reshape(each, (1, -1)) for each in moments] for moments in zip(*self._measured)]
            measured = self.concat(*(self.concat(*row, dim=1) for row in rows), dim=0)
            self.output("measured", measured, [2, self._channels])
            self.inputs.update(statistics=[2, self._channels], own=[1])
        return super().serialized(name)
