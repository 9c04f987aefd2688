"""Nodes and constants of an ONNX graph, collected one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.external_data_helper
from onnx import TensorProto, helper, numpy_helper

__all__ = ["KEPT", "Graph", "TileGraph"]

KEPT = ".kept"  # ends the names of weights that a file holds in fewer bits


class Graph:
    """Collects the nodes and constants of a graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def add(self, operator: str, *inputs: str | npt.ArrayLike, name: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output, and returns the output's name; inputs: names, or constants."""
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], name=name, **attributes))
        return name

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = None, name: str | None = None) -> str:
        """Adds a constant, by default in int64 or float32, and returns its name."""
        array = np.asarray(value, dtype or (np.int64 if np.asarray(value).dtype.kind == "i" else np.float32))
        name = name or f"constant_{array.dtype}_{'x'.join(map(str, array.shape))}_{array.tobytes()[:64].hex()}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def instance_norm(self, inputs: Sequence[str], epsilon: float) -> str:
        """Adds an instance normalization; inputs: features, scale, shift."""
        return self.add("InstanceNormalization", *inputs, epsilon=epsilon)

    def store(self, name: str, file: str, content: bytes) -> None:
        """Moves a constant out of the graph, to where a file beside it holds the same numbers (ONNX external data)."""
        constant = self.constants[name]
        begin, length = content.find(constant.raw_data), len(constant.raw_data)
        if begin < 0:
            raise ValueError(f"{file} does not hold {name}")
        onnx.external_data_helper.set_external_data(constant, file, begin, length)
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL

    def prune(self, outputs: Sequence[str]) -> None:
        """Drops what no output needs, such as running statistics that instance norm never reads."""
        needed = set(outputs)
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
        self.nodes = [node for node in self.nodes if needed.intersection(node.output)]
        self.constants = {name: constant for name, constant in self.constants.items() if name in needed}


class TileGraph(Graph):
    """A graph whose instance normalizations can be given their statistics, so that it paints a part of a picture.

    Input `statistics` (2, S): mean and variance of every normalized channel, one normalization after another; `own`
    (1,): 1 to normalize by the input's own statistics instead, or 0.  Output `measured` (2, S): the input's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.measured: list[tuple[str, str]] = []
        self.channels = 0

    def instance_norm(self, inputs: Sequence[str], epsilon: float) -> str:
        x, scale, shift = inputs
        count = self.constants[scale if scale in self.constants else scale + KEPT].dims[0]
        mean = self.add("ReduceMean", x, axes=[2, 3])
        centered = self.add("Sub", x, mean)
        variance = self.add("ReduceMean", self.add("Mul", centered, centered), axes=[2, 3])
        self.measured.append((mean, variance))
        block = self.add("Slice", "statistics", [self.channels], [self.channels + count], [1])
        self.channels += count
        shape = self.constant([1, count, 1, 1])
        moments = []
        for row, measured in enumerate((mean, variance)):
            given = self.add("Reshape", self.add("Gather", block, row, axis=0), shape)
            difference = self.add("Mul", self.add("Sub", measured, given), "own")
            moments.append(self.add("Add", given, difference))
        mean, variance = moments
        deviation = self.add("Sqrt", self.add("Add", variance, epsilon))
        gain = self.add("Div", self.add("Reshape", scale, shape), deviation)
        offset = self.add("Sub", self.add("Reshape", shift, shape), self.add("Mul", mean, gain))
        return self.add("Add", self.add("Mul", x, gain), offset)

    def collect(self) -> str:
        """Adds what was measured, as one output."""
        rows = [[self.add("Reshape", moment, [1, -1]) for moment in moments] for moments in zip(*self.measured)]
        return self.add("Concat", *(self.add("Concat", *row, axis=1) for row in rows), axis=0, name="measured")
