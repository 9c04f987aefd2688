"""A chain as an ONNX graph, so that a model paints without MXNet: in onnxruntime, a browser, a phone.

The graph holds all of the way from photo to painting: inputs are `image` (N, 3, H, W), RGB in 0..255, any H, W >= 1,
and `strength` (1,), which may be left out; outputs are `stage_0`, `stage_1`, ..., each as large as the image.  Runtimes
compute all of a graph, wanted or not, so that stopping at an earlier stage takes a graph that ends there.  MXNet's own
exporter is not used: it lists weights as inputs, which keeps runtimes from folding them, and gets some operators wrong.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .backend import mx
from .chain import BORDER, NOISE_PERIOD, Chain, noise_tile
from .generators import LEAK
from .images import CHANNEL_MEANS
from .storage import SCALE, stored

__all__ = ["NOISE_FILE", "OPSET", "chain_to_onnx", "inline_weights"]

OPSET = 17
NOISE_FILE = "noise.int8"  # `chain.noise_tile`, for all graphs of a model
KEPT = ".kept"  # ends the names of weights that a file holds in fewer bits


class _Graph:
    """Collects the nodes and constants of a graph."""

    def __init__(self):
        self.nodes: list = []
        self.constants: dict = {}

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes) -> str:
        """Adds a node with one output, and returns the output's name."""
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value, dtype=np.float32, name: str | None = None) -> str:
        """Adds a constant, and returns its name."""
        array = np.asarray(value, dtype)
        name = name or f"constant_{array.dtype}_{'x'.join(map(str, array.shape))}_{array.tobytes()[:64].hex()}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

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


def chain_to_onnx(
    chain: Chain, name: str, last: int | None = None, stage_files: Sequence[str] = (), files: Mapping[str, bytes] = {}
) -> bytes:
    """Returns a chain as a serialized ONNX model.

    name: the model's name, kept in the graph.  last: the stage that it ends with, the chain's last by default.
    stage_files: the .params file of each stage.  files: the contents of those and of NOISE_FILE, beside which the graph
    will lie: it then points into them, so that weights are kept once.
    """
    graph = _Graph()
    height, width = (_axis(graph, axis) for axis in (2, 3))
    means = graph.constant(np.reshape(CHANNEL_MEANS, (1, 3, 1, 1)))
    rows, columns = (_mirror(graph, length, chain.multiple) for length in (height, width))
    picture = graph.add("Sub", "image", means)
    picture = graph.add("Gather", graph.add("Gather", picture, rows, axis=2), columns, axis=3)
    guide = graph.add("Concat", picture, _noise(graph, rows, columns, files), axis=1)
    begins = graph.constant([BORDER, BORDER], np.int64)
    ends = graph.add("Add", graph.add("Concat", height, width, axis=0), begins)
    axes = graph.constant([2, 3], np.int64)
    count = len(chain.generators) if last is None else last + 1
    for index, generator in enumerate(chain.generators[:count]):
        inputs = graph.add("Concat", picture, guide, axis=1) if generator.guided else picture
        picture = _generator(graph, chain, index, inputs)
        weights = [key for key in graph.constants if key.startswith(f"stage_{index}.") and key.endswith(KEPT)]
        for constant in weights if files else []:
            graph.store(constant, stage_files[index], files[stage_files[index]])
        colors = graph.add("Add", graph.add("Slice", picture, begins, ends, axes), means)
        graph.add("Clip", colors, graph.constant(0.0), graph.constant(255.0), name=f"stage_{index}")
    shape = ["N", 3, "H", "W"]
    outputs = [f"stage_{index}" for index in range(count)]
    graph.constant([1.0], name="strength")  # an input with a constant of the same name may be left out
    graph.prune([*outputs, "strength"])
    proto = helper.make_graph(
        graph.nodes,
        name,
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("strength", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape) for output in outputs],
        list(graph.constants.values()),
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="e2e-art")
    model.ir_version = 8
    return model.SerializeToString()


def inline_weights(model: bytes, weight_files: dict[str, bytes]) -> bytes:
    """Returns a model whose weights lie in .params files as one self-contained model."""
    proto = onnx.load_model_from_string(model)
    for tensor in proto.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            begin = int(place["offset"])
            tensor.raw_data = weight_files[place["location"]][begin : begin + int(place["length"])]
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    return proto.SerializeToString()


def _axis(graph: _Graph, axis: int) -> str:
    """Returns the length of an axis of the image, (1,) int64."""
    return graph.add("Slice", graph.add("Shape", "image"), *(graph.constant([n], np.int64) for n in (axis, axis + 1)))


def _mirror(graph: _Graph, length: str, multiple: int) -> str:
    """Returns the rows to take so that they continue as in a mirror: `chain.reflect`, computed in the graph."""
    one, two = graph.constant(1, np.int64), graph.constant(2, np.int64)
    scalar = graph.add("Squeeze", length)
    last = graph.add("Sub", scalar, one)
    period = graph.add("Max", graph.add("Mul", last, two), one)
    whole = graph.add("Add", scalar, graph.constant(2 * BORDER + multiple - 1, np.int64))
    many = graph.constant(multiple, np.int64)
    whole = graph.add("Mul", graph.add("Div", whole, many), many)  # the next size that divides
    border = graph.constant(BORDER, np.int64)
    rows = graph.add("Range", graph.constant(-BORDER, np.int64), graph.add("Sub", whole, border), one)
    inside = graph.add("Mod", rows, period)  # 0 .. period - 1, also for rows before the first
    return graph.add("Sub", last, graph.add("Abs", graph.add("Sub", inside, last)))


def _noise(graph: _Graph, rows: str, columns: str, files: Mapping[str, bytes]) -> str:
    """Returns the noise plane of `Chain.guide`, one for each picture of the batch, in the size of the frame."""
    noise = graph.constant(noise_tile(), np.int8, name="noise")
    if files:
        graph.store(noise, NOISE_FILE, files[NOISE_FILE])
    tile = graph.add("Cast", noise, to=TensorProto.FLOAT)
    for indices, axis in ((rows, 2), (columns, 3)):
        count = graph.add("Squeeze", graph.add("Shape", indices))
        places = graph.add("Range", graph.constant(0, np.int64), count, graph.constant(1, np.int64))
        places = graph.add("Mod", places, graph.constant(NOISE_PERIOD, np.int64))
        tile = graph.add("Gather", tile, places, axis=axis)
    shape = graph.add("Concat", _axis(graph, 0), graph.constant([1, 1, 1], np.int64), axis=0)
    return graph.add("Expand", tile, shape)


def _generator(graph: _Graph, chain: Chain, index: int, picture: str) -> str:
    """Adds the nodes of one generator, translated from its MXNet symbol; returns the name of its picture."""
    generator = chain.generators[index]
    symbol = generator(mx.sym.var("picture"), mx.sym.var("strength"))
    nodes = json.loads(symbol.tojson())["nodes"]
    keys = {parameter.name: key for key, parameter in generator._collect_params_with_prefix().items()}
    weights = chain.stage_weights(index)
    names: list[str] = []
    for node in nodes:
        inputs = [names[source[0]] for source in node["inputs"]]
        attributes = {key: _value(value) for key, value in node.get("attrs", {}).items()}
        if node["op"] != "null":
            names.append(_operator(graph, node["op"], inputs, attributes, generator.norm))
        elif node["name"] in ("picture", "strength"):
            names.append({"picture": picture}.get(node["name"], node["name"]))
        else:
            key = keys[node["name"]]
            names.append(_weight(graph, f"stage_{index}.{key}", weights[key]))
    return names[-1]


def _value(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _weight(graph: _Graph, name: str, weight: np.ndarray) -> str:
    """Adds a weight as the files hold it, brought to single precision when a runtime loads it."""
    arrays = stored(name, weight)
    kept = arrays[name]
    if kept.dtype == np.float32:
        return graph.constant(kept, name=name)
    kept = graph.constant(kept, kept.dtype, name=name + KEPT)
    if name + SCALE not in arrays:
        return graph.add("Cast", kept, name=name, to=TensorProto.FLOAT)
    scales = graph.constant(arrays[name + SCALE], name=name + SCALE)
    return graph.add("Mul", graph.add("Cast", kept, name=f"{name}.cast", to=TensorProto.FLOAT), scales, name=name)


def _operator(graph: _Graph, operator: str, inputs: list[str], attributes: dict, norm: str) -> str:
    """Adds what an MXNet operator does; raises NotImplementedError for one that no generator uses."""
    simple = {
        "elemwise_add": "Add",
        "elemwise_sub": "Sub",
        "broadcast_sub": "Sub",
        "broadcast_mul": "Mul",
        "tanh": "Tanh",
    }
    scalar = {"_mul_scalar": "Mul", "_plus_scalar": "Add"}
    if operator in simple:
        return graph.add(simple[operator], *inputs)
    if operator in scalar:
        return graph.add(scalar[operator], *inputs, graph.constant(attributes["scalar"]))
    if operator == "Deconvolution" and attributes["num_group"] == attributes["num_filter"]:
        # The fixed bilinear growth: runtimes have an operator for it, three times faster; it repeats the border itself.
        scales = graph.constant([1, 1, *attributes["stride"]])
        return graph.add("Resize", inputs[0], "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    if operator in ("Convolution", "Deconvolution"):
        settings = dict(
            kernel_shape=attributes["kernel"],
            strides=attributes["stride"],
            pads=attributes["pad"] * 2,
            dilations=attributes["dilate"],
            group=attributes["num_group"],
        )
        if operator == "Convolution":
            return graph.add("Conv", *inputs, **settings)
        return graph.add("ConvTranspose", *inputs, **settings, output_padding=attributes["adj"])
    if operator == "BatchNorm":
        if norm == "instance":
            return graph.add("InstanceNormalization", *inputs[:3], epsilon=attributes["eps"])
        return graph.add("BatchNormalization", *inputs, epsilon=attributes["eps"])
    if operator == "LeakyReLU":
        return graph.add("LeakyRelu", *inputs, alpha=attributes.get("slope", LEAK))
    if operator == "Pad":
        return inputs[0]  # before the growth, see above
    if operator == "Concat":
        return graph.add("Concat", *inputs, axis=attributes["dim"])
    if operator == "space_to_depth":
        return graph.add("SpaceToDepth", *inputs, blocksize=attributes["block_size"])
    if operator == "Reshape":
        return graph.add("Reshape", *inputs, graph.constant(attributes["shape"], np.int64))
    if operator == "slice_axis":
        limits = (attributes["begin"], attributes["end"] or math.inf, attributes["axis"])
        return graph.add("Slice", *inputs, *(graph.constant([min(limit, 2**31)], np.int64) for limit in limits))
    raise NotImplementedError(f"{operator} has no ONNX translation yet: add it to onnx_graph.py")
