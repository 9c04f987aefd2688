"""A chain as an ONNX graph, so that a model paints without MXNet: in onnxruntime, a browser, a phone.

Runtimes compute all of a graph, wanted or not, so that stopping at an earlier stage takes a graph that ends there.
MXNet's own exporter is not used: it lists weights as inputs, which keeps runtimes from folding them, and gets some
operators wrong.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from ..engines.mxnet import mx
from ..images.arrays import CHANNEL_MEANS
from ..networks.chain import Chain
from ..networks.inputs import NOISE_PERIOD, PADDING, noise_tile
from ..networks.photo import LEAK
from .folder import NOISE_FILE, graph_file, tile_file
from .kinds import KINDS
from .onnx_graph import KEPT, Graph, TileGraph
from .quantization import SCALE, quantize

__all__ = ["OPSET", "noise_graphs", "photo_graphs"]

OPSET = 17
PICTURE: list = ["N", 3, "H", "W"]
# What MXNet's operators are called in ONNX, and their attributes: {in ONNX: in MXNet}.
WINDOW = {"kernel_shape": "kernel", "strides": "stride"}
CONVOLUTION = {**WINDOW, "pads": "pads", "dilations": "dilate", "group": "num_group"}
OPERATORS: dict[str, tuple[str, dict[str, str]]] = {
    "BatchNorm": ("BatchNormalization", {"epsilon": "eps"}),
    "Concat": ("Concat", {"axis": "dim"}),
    "Convolution": ("Conv", CONVOLUTION),
    "Deconvolution": ("ConvTranspose", {**CONVOLUTION, "output_padding": "adj"}),
    "depth_to_space": ("DepthToSpace", {"blocksize": "block_size"}),
    "elemwise_add": ("Add", {}),
    **dict.fromkeys(("elemwise_mul", "broadcast_mul"), ("Mul", {})),
    **dict.fromkeys(("elemwise_sub", "broadcast_sub"), ("Sub", {})),
    "LeakyReLU": ("LeakyRelu", {"alpha": "slope"}),
    "Pooling": ("AveragePool", WINDOW),
    "space_to_depth": ("SpaceToDepth", {"blocksize": "block_size"}),
    "tanh": ("Tanh", {}),
}
DEFAULTS = {"stride": (1, 1), "pad": (0, 0), "dilate": (1, 1), "num_group": 1, "slope": LEAK}
WITH_SCALAR = {"_mul_scalar": "Mul", "_plus_scalar": "Add"}
END = 2**31  # of a slice that has none


def photo_graphs(chain: Chain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the ONNX graphs of a chain that paints photos, by file name, and the noise that all of them read.

    For each stage the graph that ends there, and that of the stage alone.
    name: the model's name, kept in the graphs.  stage_files: the .params file of each stage.  files: the contents of
    those, beside which the graphs will lie: they point into them, so that weights are kept once.
    """
    graphs, count = {NOISE_FILE: noise_tile().tobytes()}, len(chain.generators)
    exporter = _Exporter(chain, name, stage_files, {**files, **graphs})
    for index in range(count):
        graphs[graph_file(index, count)] = exporter.photo_graph(index)
        graphs[tile_file(index)] = exporter.stage_graph(index)
    return graphs


def noise_graphs(chain: Chain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the ONNX graphs of a chain that paints noise, as `photo_graphs`, without those of stages alone."""
    exporter, count = _Exporter(chain, name, stage_files, files), len(chain.generators)
    return {graph_file(index, count): exporter.noise_graph(index) for index in range(count)}


class _Exporter:
    """Writes graphs of a chain; arguments as for `photo_graphs`."""

    def __init__(self, chain: Chain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]):
        self.chain, self.name, self.stage_files, self.files = chain, name, stage_files, files

    def photo_graph(self, last: int) -> bytes:
        """Returns a chain that paints photos, up to a stage.

        Inputs: `image` (N, 3, H, W), RGB in 0..255, any H, W >= 1; `strength` (1,), 1 for the trained look, without a
        default, which runtimes in browsers could not override.
        Outputs, here and of `noise_graph`: `stage_0`, `stage_1`, ..., each as large as the image.
        """
        graph = Graph()
        height, width = (_axis(graph, axis) for axis in (2, 3))
        means = graph.constant(np.reshape(CHANNEL_MEANS, (1, 3, 1, 1)))
        rows, columns = (_reflected(graph, length, self.chain.multiple) for length in (height, width))
        picture = _padded(graph, graph.add("Sub", "image", means), rows, columns)
        conditioning = graph.add("Concat", picture, self._noise(graph, rows, columns), axis=1)
        outputs = self._paint(graph, last, picture, conditioning, means, _cut(graph, height, width))
        return self._serialized(graph, {"image": PICTURE, "strength": [1]}, outputs)

    def stage_graph(self, index: int) -> bytes:
        """Returns one stage of a chain, for tiled inference.

        Inputs: `picture` (N, 3 or 7, H, W), what the generator takes, in VGG space, padded, sides multiples of the
        chain's; `strength` (1,); and where there are instance normalizations, `statistics` and `own` as in `TileGraph`.
        Outputs: `painting` (N, 3, H, W) in VGG space; `measured` (2, S).
        """
        graph = TileGraph()
        graph.add("Identity", self._generator(graph, index, "picture"), name="painting")
        inputs: dict[str, list] = {"picture": ["N", self.chain.generators[index].inputs, "H", "W"], "strength": [1]}
        outputs = {"painting": PICTURE}
        if graph.measured:
            graph.collect()
            outputs["measured"] = [2, graph.channels]
            inputs.update(statistics=[2, graph.channels], own=[1])
        return self._serialized(graph, inputs, outputs)

    def noise_graph(self, last: int) -> bytes:
        """Returns a chain that paints noise, a texture or a doodle, up to a stage.

        Inputs: `noise` (N, C, H, W), so that a seed gives the same picture everywhere; and for a doodle, which is
        padded, `regions` (N, R, H, W), a plane for each, 1 where it is and 0 elsewhere.
        """
        graph, kind = Graph(), KINDS[self.chain.kind]
        means = graph.constant(np.reshape(CHANNEL_MEANS, (1, 3, 1, 1)))
        graph.constant([1.0], name="strength")
        inputs: dict[str, list] = {"noise": ["N", kind.noise_planes, "H", "W"]}
        conditioning, cut = "noise", tuple[str, ...]()
        if kind.paints_regions:
            inputs = {"regions": ["N", self.chain.generators[0].regions, "H", "W"], **inputs}
            height, width = (_axis(graph, axis, "noise") for axis in (2, 3))
            rows, columns = (_reflected(graph, side, self.chain.multiple) for side in (height, width))
            conditioning = _padded(graph, graph.add("Concat", "regions", "noise", axis=1), rows, columns)
            cut = _cut(graph, height, width)
        picture = graph.add("Mul", graph.add("Slice", conditioning, [0], [3], [1]), 0.0)
        outputs = self._paint(graph, last, picture, conditioning, means, cut)
        return self._serialized(graph, inputs, outputs)

    def _paint(
        self, graph: Graph, last: int, picture: str, conditioning: str, means: str, cut: Sequence[str]
    ) -> dict[str, list]:
        """Adds the generators up to a stage, each with its output, `stage_K`; returns the outputs' shapes by name."""
        for index, generator in enumerate(self.chain.generators[: last + 1]):
            seen = graph.add("Concat", picture, conditioning, axis=1) if generator.conditioned else picture
            picture = self._generator(graph, index, seen)
            colors = graph.add("Add", graph.add("Slice", picture, *cut) if cut else picture, means)
            graph.add("Clip", colors, 0.0, 255.0, name=f"stage_{index}")
        return {f"stage_{index}": PICTURE for index in range(last + 1)}

    def _noise(self, graph: Graph, rows: str, columns: str) -> str:
        """Returns the noise plane of the conditioning input, one for each picture of the batch, in the padded size."""
        noise = graph.constant(noise_tile(), np.int8, name="noise")
        graph.store(noise, NOISE_FILE, self.files[NOISE_FILE])
        tile = graph.add("Cast", noise, to=TensorProto.FLOAT)
        for indices, axis in ((rows, 2), (columns, 3)):
            count = graph.add("Squeeze", graph.add("Shape", indices))
            places = graph.add("Mod", graph.add("Range", 0, count, 1), NOISE_PERIOD)
            tile = graph.add("Gather", tile, places, axis=axis)
        return graph.add("Expand", tile, graph.add("Concat", _axis(graph, 0), [1, 1, 1], axis=0))

    def _generator(self, graph: Graph, index: int, picture: str) -> str:
        """Adds the nodes of one generator, translated from its MXNet symbol; returns the name of its picture."""
        generator = self.chain.generators[index]
        symbol = generator(mx.sym.var("picture"), mx.sym.var("strength"))
        keys = {parameter.name: key for key, parameter in generator.named_parameters().items()}
        weights, names = self.chain.stage_weights(index), list[str]()
        for node in json.loads(symbol.tojson())["nodes"]:
            if node["op"] != "null":
                inputs = [names[source[0]] for source in node["inputs"]]
                attributes = {key: _value(value) for key, value in node.get("attrs", {}).items()}
                names.append(_operator(graph, node["op"], inputs, attributes, generator.norm))
            elif node["name"] in keys:
                key = keys[node["name"]]
                names.append(self._weight(graph, index, key, weights[key]))
            else:
                names.append({"picture": picture, "strength": "strength"}[node["name"]])
        return names[-1]

    def _weight(self, graph: Graph, index: int, key: str, weight: np.ndarray) -> str:
        """Adds a weight of a stage as the files hold it, brought to single precision when a runtime loads it.

        Large ones stay in the .params file of the stage.
        """
        name, file = f"stage_{index}.{key}", self.stage_files[index]
        arrays = quantize(name, weight)
        if arrays[name].dtype == np.float32:
            return graph.constant(arrays[name], name=name)
        kept = graph.constant(arrays[name], arrays[name].dtype, name=name + KEPT)
        graph.store(kept, file, self.files[file])
        if name + SCALE not in arrays:
            return graph.add("Cast", kept, name=name, to=TensorProto.FLOAT)
        scales = graph.constant(arrays[name + SCALE], name=name + SCALE)
        return graph.add("Mul", graph.add("Cast", kept, name=f"{name}.cast", to=TensorProto.FLOAT), scales, name=name)

    def _serialized(self, graph: Graph, inputs: Mapping[str, list], outputs: Mapping[str, list]) -> bytes:
        """Returns a graph as an ONNX model; inputs and outputs: their shapes by name, all float32."""
        graph.prune(list(outputs))
        given, made = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in places.items()]
            for places in (inputs, outputs)
        )
        proto = helper.make_graph(graph.nodes, self.name, given, made, list(graph.constants.values()))
        model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="e2e-art")
        model.ir_version = 8
        return model.SerializeToString()


def _cut(graph: Graph, height: str, width: str) -> tuple[str, str, str]:
    """Returns where a picture lies in its padding, for Slice: begins, ends and axes."""
    begins = graph.constant([PADDING, PADDING])
    ends = graph.add("Add", graph.add("Concat", height, width, axis=0), begins)
    return begins, ends, graph.constant([2, 3])


def _axis(graph: Graph, axis: int, source: str = "image") -> str:
    """Returns the length of an axis of an input, (1,) int64."""
    return graph.add("Slice", graph.add("Shape", source), [axis], [axis + 1])


def _reflected(graph: Graph, length: str, multiple: int) -> str:
    """Returns the rows to take for reflect padding: `inputs.reflect`, computed in the graph."""
    scalar = graph.add("Squeeze", length)
    last = graph.add("Sub", scalar, 1)
    period = graph.add("Max", graph.add("Mul", last, 2), 1)
    whole = graph.add("Add", scalar, 2 * PADDING + multiple - 1)
    whole = graph.add("Mul", graph.add("Div", whole, multiple), multiple)  # the next size that divides
    rows = graph.add("Range", -PADDING, graph.add("Sub", whole, PADDING), 1)
    inside = graph.add("Mod", rows, period)  # 0 .. period - 1, also for rows before the first
    return graph.add("Sub", last, graph.add("Abs", graph.add("Sub", inside, last)))


def _padded(graph: Graph, picture: str, rows: str, columns: str) -> str:
    """Returns a picture with reflect padding; what is already there is not gathered anew."""
    for axis, places in ((2, rows), (3, columns)):
        begin, border, end = (graph.constant([n]) for n in (0, PADDING, np.iinfo(np.int64).max))
        inner = graph.add("Add", _axis(graph, axis, picture), border)
        before, after = (graph.add("Slice", places, *pair) for pair in ((begin, border), (inner, end)))
        before, after = (graph.add("Gather", picture, side, axis=axis) for side in (before, after))
        picture = graph.add("Concat", before, picture, after, axis=axis)
    return picture


def _value(text: str) -> Any:
    with suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return text


def _operator(graph: Graph, operator: str, inputs: list[str], attributes: dict, norm: str) -> str:
    """Adds what an MXNet operator does; raises NotImplementedError for one that no generator uses."""
    attributes = {**DEFAULTS, **attributes}
    attributes["pads"] = attributes["pad"] * 2  # before and after
    if operator == "Pad":
        return inputs[0]  # before bilinear upsampling, which repeats the border itself
    if operator == "Deconvolution" and attributes["num_group"] == attributes["num_filter"]:
        # Bilinear upsampling: runtimes have an operator for it, three times faster.
        scales = graph.constant([1, 1, *attributes["stride"]], np.float32)
        return graph.add("Resize", inputs[0], "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    if operator == "UpSampling":
        scales = graph.constant([1, 1, attributes["scale"], attributes["scale"]], np.float32)
        settings = dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        return graph.add("Resize", inputs[0], "", scales, **settings)
    if operator == "BatchNorm" and norm == "instance":
        return graph.instance_norm(inputs[:3], attributes["eps"])
    if operator in OPERATORS:
        name, names = OPERATORS[operator]
        return graph.add(name, *inputs, **{name: attributes[source] for name, source in names.items()})
    if operator in WITH_SCALAR:
        return graph.add(WITH_SCALAR[operator], *inputs, float(attributes["scalar"]))
    if operator == "Reshape":
        return graph.add("Reshape", *inputs, attributes["shape"])
    if operator == "slice_axis":
        return graph.add("Slice", *inputs, [attributes["begin"]], [attributes["end"] or END], [attributes["axis"]])
    if operator == "slice":
        sides = zip(attributes["begin"], attributes["end"], attributes.get("step") or repeat(1))
        cut = [(begin or 0, end or END, axis, step or 1) for axis, (begin, end, step) in enumerate(sides)]
        return graph.add("Slice", *inputs, *zip(*cut))
    raise NotImplementedError(f"{operator} has no ONNX translation yet: add it to onnx_export.py")
