"""A chain as an ONNX graph, so that a model paints without MXNet: in onnxruntime, a browser, a phone.

The graph holds all of the way from photo to painting.  Inputs are `image` (N, 3, H, W), RGB in 0..255, any H, W >= 1,
and `strength` (1,), 1 for the trained look: it has no default, since runtimes in browsers could not override one.
Outputs are `stage_0`, `stage_1`, ..., each as large as the image.  Runtimes compute all of a graph, wanted or not, so
that stopping at an earlier stage takes a graph that ends there.  MXNet's own exporter is not used: it lists weights as
inputs, which keeps runtimes from folding them, and gets some operators wrong.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import TensorProto, helper

from ..engines.mxnet import mx
from ..images.arrays import CHANNEL_MEANS
from ..networks.chain import Chain
from ..networks.inputs import NOISE_PERIOD, PADDING, noise_tile
from ..networks.photo import LEAK
from .folder import NOISE_FILE, graph_file, tile_file
from .onnx_graph import KEPT, Graph, TileGraph
from .quantization import SCALE, stored

__all__ = ["OPSET", "chain_to_onnx", "noise_graphs", "noise_to_onnx", "photo_graphs", "stage_to_onnx"]

OPSET = 17
PICTURE = ["N", 3, "H", "W"]


def photo_graphs(chain: Chain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the ONNX graphs of a chain that paints photos, by file name, and the noise that all of them read.

    For each stage the graph that ends there, and that of the stage alone.  Arguments as for `chain_to_onnx`.
    """
    noise = {NOISE_FILE: noise_tile().tobytes()}
    files, graphs, count = {**files, **noise}, {}, len(chain.generators)
    for index in range(count):
        graphs[graph_file(index, count)] = chain_to_onnx(chain, name, index, stage_files, files)
        graphs[tile_file(index)] = stage_to_onnx(chain, name, index, stage_files, files)
    return {**noise, **graphs}


def noise_graphs(chain: Chain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the ONNX graphs of a chain that paints noise, by file name: for each stage the graph that ends there."""
    count = len(chain.generators)
    return {graph_file(n, count): noise_to_onnx(chain, name, n, stage_files, files) for n in range(count)}


def chain_to_onnx(
    chain: Chain, name: str, last: int | None = None, stage_files: Sequence[str] = (), files: Mapping[str, bytes] = {}
) -> bytes:
    """Returns a chain as a serialized ONNX model.

    name: the model's name, kept in the graph.  last: the stage that it ends with, the chain's last by default.
    stage_files: the .params file of each stage.  files: the contents of those and of NOISE_FILE, beside which the graph
    will lie: it then points into them, so that weights are kept once.
    """
    graph = Graph()
    height, width = (_axis(graph, axis) for axis in (2, 3))
    means = graph.constant(np.reshape(CHANNEL_MEANS, (1, 3, 1, 1)))
    rows, columns = (_mirror(graph, length, chain.multiple) for length in (height, width))
    picture = graph.add("Sub", "image", means)
    picture = _framed(graph, picture, rows, columns)
    guide = graph.add("Concat", picture, _noise(graph, rows, columns, files), axis=1)
    begins = graph.constant([PADDING, PADDING], np.int64)
    ends = graph.add("Add", graph.add("Concat", height, width, axis=0), begins)
    axes = graph.constant([2, 3], np.int64)
    count = len(chain.generators) if last is None else last + 1
    for index, generator in enumerate(chain.generators[:count]):
        inputs = graph.add("Concat", picture, guide, axis=1) if generator.conditioned else picture
        picture = _generator(graph, chain, index, inputs, stage_files, files)
        colors = graph.add("Add", graph.add("Slice", picture, begins, ends, axes), means)
        graph.add("Clip", colors, graph.constant(0.0), graph.constant(255.0), name=f"stage_{index}")
    outputs = {f"stage_{index}": PICTURE for index in range(count)}
    return _serialized(graph, name, {"image": PICTURE, "strength": [1]}, outputs)


def stage_to_onnx(
    chain: Chain, name: str, index: int, stage_files: Sequence[str] = (), files: Mapping[str, bytes] = {}
) -> bytes:
    """Returns one stage of a chain as a serialized ONNX model that can paint a picture in parts (`posters.py`).

    Inputs: `picture` (N, 3 or 7, H, W), what the generator takes, in VGG space, framed, sides multiples of the chain's;
    `strength` (1,); and where there are instance normalizations, `statistics` and `own` as in `TileGraph`.  Outputs:
    `painting` (N, 3, H, W) in VGG space; `measured` (2, S).  Other arguments as for `chain_to_onnx`.
    """
    graph = TileGraph()
    painting = _generator(graph, chain, index, "picture", stage_files, files)
    graph.add("Identity", painting, name="painting")
    inputs = {"picture": ["N", chain.generators[index].inputs, "H", "W"], "strength": [1]}
    outputs = {"painting": PICTURE}
    if graph.measured:
        graph.collect()
        outputs["measured"] = [2, graph.channels]
        inputs.update(statistics=[2, graph.channels], own=[1])
    return _serialized(graph, name, inputs, outputs)


def noise_to_onnx(
    chain: Chain, name: str, last: int, stage_files: Sequence[str] = (), files: Mapping[str, bytes] = {}
) -> bytes:
    """Returns a chain that paints noise, a texture or a doodle, as a serialized ONNX model.

    Inputs: `noise` (N, C, H, W), so that a seed gives the same picture everywhere; for a texture, H and W are multiples
    of the chain's.  For a doodle also `regions` (N, R, H, W), a plane for each, 1 where it is and 0 elsewhere.
    Outputs: `stage_0` ..., each (N, 3, H, W), RGB in 0..255.  Other arguments as for `chain_to_onnx`.
    """
    graph = Graph()
    means = graph.constant(np.reshape(CHANNEL_MEANS, (1, 3, 1, 1)))
    graph.constant([1.0], name="strength")
    channels, places, cut, guide = chain.generators[0].conditioning_channels, {}, (), "noise"
    if chain.kind == "doodle":
        places["regions"] = ["N", chain.generators[0].regions, "H", "W"]
        channels -= chain.generators[0].regions
        sides = [_axis(graph, axis, "noise") for axis in (2, 3)]
        rows, columns = (_mirror(graph, side, chain.multiple) for side in sides)
        guide = graph.add("Concat", "regions", "noise", axis=1)
        guide = _framed(graph, guide, rows, columns)
        begins = graph.constant([PADDING, PADDING], np.int64)
        cut = (begins, graph.add("Add", graph.add("Concat", *sides, axis=0), begins), graph.constant([2, 3], np.int64))
    places["noise"] = ["N", channels, "H", "W"]
    first = (graph.constant([limit], np.int64) for limit in (0, 3, 1))
    picture = graph.add("Mul", graph.add("Slice", guide, *first), graph.constant(0.0))
    for index in range(last + 1):
        inputs = graph.add("Concat", picture, guide, axis=1)
        picture = _generator(graph, chain, index, inputs, stage_files, files)
        colors = graph.add("Add", graph.add("Slice", picture, *cut) if cut else picture, means)
        graph.add("Clip", colors, graph.constant(0.0), graph.constant(255.0), name=f"stage_{index}")
    return _serialized(graph, name, places, {f"stage_{index}": PICTURE for index in range(last + 1)})


def _serialized(graph: Graph, name: str, inputs: Mapping[str, list], outputs: Mapping[str, list]) -> bytes:
    """Returns a graph as an ONNX model; inputs and outputs: their shapes by name, all float32."""
    graph.prune(list(outputs))
    inputs, outputs = (
        [helper.make_tensor_value_info(place, TensorProto.FLOAT, shape) for place, shape in places.items()]
        for places in (inputs, outputs)
    )
    proto = helper.make_graph(graph.nodes, name, inputs, outputs, list(graph.constants.values()))
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="e2e-art")
    model.ir_version = 8
    return model.SerializeToString()


def _axis(graph: Graph, axis: int, source: str = "image") -> str:
    """Returns the length of an axis of an input, (1,) int64."""
    return graph.add("Slice", graph.add("Shape", source), *(graph.constant([n], np.int64) for n in (axis, axis + 1)))


def _mirror(graph: Graph, length: str, multiple: int) -> str:
    """Returns the rows to take so that they continue as in a mirror: `chain.reflect`, computed in the graph."""
    one, two = graph.constant(1, np.int64), graph.constant(2, np.int64)
    scalar = graph.add("Squeeze", length)
    last = graph.add("Sub", scalar, one)
    period = graph.add("Max", graph.add("Mul", last, two), one)
    whole = graph.add("Add", scalar, graph.constant(2 * PADDING + multiple - 1, np.int64))
    many = graph.constant(multiple, np.int64)
    whole = graph.add("Mul", graph.add("Div", whole, many), many)  # the next size that divides
    border = graph.constant(PADDING, np.int64)
    rows = graph.add("Range", graph.constant(-PADDING, np.int64), graph.add("Sub", whole, border), one)
    inside = graph.add("Mod", rows, period)  # 0 .. period - 1, also for rows before the first
    return graph.add("Sub", last, graph.add("Abs", graph.add("Sub", inside, last)))


def _framed(graph: Graph, picture: str, rows: str, columns: str) -> str:
    """Returns a picture with its reflection around it, `Chain.frame`; what is already there is not gathered anew."""
    for axis, places in ((2, rows), (3, columns)):
        begin, border, end = (graph.constant([n], np.int64) for n in (0, PADDING, np.iinfo(np.int64).max))
        inner = graph.add("Add", _axis(graph, axis, picture), border)
        before, after = (graph.add("Slice", places, *pair) for pair in ((begin, border), (inner, end)))
        before, after = (graph.add("Gather", picture, side, axis=axis) for side in (before, after))
        picture = graph.add("Concat", before, picture, after, axis=axis)
    return picture


def _noise(graph: Graph, rows: str, columns: str, files: Mapping[str, bytes]) -> str:
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


def _generator(graph: Graph, chain: Chain, index: int, picture: str, stage_files, files) -> str:
    """Adds the nodes of one generator, translated from its MXNet symbol; returns the name of its picture.

    Its large weights are not in the graph where files hold them.
    """
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
    for constant in [key for key in graph.constants if key.startswith(f"stage_{index}.") and key.endswith(KEPT)]:
        if files:
            graph.store(constant, stage_files[index], files[stage_files[index]])
    return names[-1]


def _value(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _weight(graph: Graph, name: str, weight: np.ndarray) -> str:
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


def _operator(graph: Graph, operator: str, inputs: list[str], attributes: dict, norm: str) -> str:
    """Adds what an MXNet operator does; raises NotImplementedError for one that no generator uses."""
    simple = {
        "elemwise_add": "Add",
        "elemwise_sub": "Sub",
        "broadcast_sub": "Sub",
        "broadcast_mul": "Mul",
        "elemwise_mul": "Mul",
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
            strides=attributes.get("stride", (1, 1)),
            pads=attributes.get("pad", (0, 0)) * 2,
            dilations=attributes.get("dilate", (1, 1)),
            group=attributes.get("num_group", 1),
        )
        if operator == "Convolution":
            return graph.add("Conv", *inputs, **settings)
        return graph.add("ConvTranspose", *inputs, **settings, output_padding=attributes["adj"])
    if operator == "BatchNorm":
        if norm == "instance":
            return graph.instance_norm(inputs[:3], attributes["eps"])
        return graph.add("BatchNormalization", *inputs, epsilon=attributes["eps"])
    if operator == "LeakyReLU":
        return graph.add("LeakyRelu", *inputs, alpha=attributes.get("slope", LEAK))
    if operator == "Pad":
        return inputs[0]  # before the growth, see above
    if operator == "Concat":
        return graph.add("Concat", *inputs, axis=attributes["dim"])
    if operator == "space_to_depth":
        return graph.add("SpaceToDepth", *inputs, blocksize=attributes["block_size"])
    if operator == "depth_to_space":
        return graph.add("DepthToSpace", *inputs, blocksize=attributes["block_size"])
    if operator == "Reshape":
        return graph.add("Reshape", *inputs, graph.constant(attributes["shape"], np.int64))
    if operator == "slice":
        begins, ends = attributes["begin"], attributes["end"]
        sides = enumerate(zip(begins, ends, attributes.get("step") or [1] * len(begins)))
        cut = [(begin or 0, end or 2**31, axis, step or 1) for axis, (begin, end, step) in sides]
        return graph.add("Slice", *inputs, *(graph.constant(column, np.int64) for column in zip(*cut)))
    if operator == "UpSampling":
        scales = graph.constant([1, 1, attributes["scale"], attributes["scale"]])
        settings = dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        return graph.add("Resize", inputs[0], "", scales, **settings)
    if operator == "Pooling":
        return graph.add("AveragePool", *inputs, kernel_shape=attributes["kernel"], strides=attributes["stride"])
    if operator == "slice_axis":
        limits = (attributes["begin"], attributes["end"] or math.inf, attributes["axis"])
        return graph.add("Slice", *inputs, *(graph.constant([min(limit, 2**31)], np.int64) for limit in limits))
    raise NotImplementedError(f"{operator} has no ONNX translation yet: add it to onnx_graph.py")
