"""A model as one self-contained ONNX file, for runtimes that know nothing of this package."""

from __future__ import annotations

import json
from typing import Any

from ..errors import ModelError, OptionError, UserError, reason_of
from .folder import Model, coding_files, graph_file

__all__ = ["METADATA", "onnx_file"]

METADATA = "e2e_art"  # the key below which a file says what it is
LICENSE = "Apache-2.0"
MOST_PIXELS = 65_536  # of a side of a graph made for one size


def onnx_file(model: Model, stage: int | None = None, size: tuple[int, int] | None = None, half: bool = False) -> bytes:
    """Returns a model as one ONNX file with metadata: its name, license and input convention.

    stage: where the chain ends, the last one by default.  size: height and width, for runtimes that want them fixed;
    any by default.  half: compute in float16, for graphics processors and phones; inputs and outputs stay float32.
    Raises OptionError for a stage or size that there is not, ModelError for a graph that is none, UserError where the
    onnx library is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError("Exports need the onnx library: pip install onnx") from error
    if coding_files(1)[0] in model.files:
        raise OptionError(
            f"{model.name} has several graphs, which meet in features: take the .onnx files of {model.folder}"
        )
    last = model.check_stages(None if stage is None else [stage])[-1]
    if size is not None:
        multiple = model.kind.multiple
        if not all(1 <= side <= MOST_PIXELS and side % multiple == 0 for side in size):
            sides = f"multiples of {multiple}" if multiple > 1 else "1 pixel or more"
            raise OptionError(f"The sides of --size have to be {sides}, up to {MOST_PIXELS}, not {size[1]}x{size[0]}")
    graph = model.path(graph_file(last, len(model.stages)))
    try:
        proto = onnx.load_model_from_string(graph.read_bytes())
        _inline_weights(proto, model)
        if half:
            from onnxruntime.transformers.float16 import convert_float_to_float16
            from onnxruntime.transformers.onnx_model import OnnxModel

            proto = convert_float_to_float16(proto, keep_io_types=True)
            OnnxModel(proto).topological_sort()  # its casts come last, whoever reads them
        if size is not None:
            _fix_sizes(proto.graph.input, *size)
            _fix_sizes(proto.graph.output, *(side * model.factor for side in size))
        convention = model.kind.convention
        about = {"name": model.name, "title": model.title, "stages": last + 1, "convention": convention}
        if "palette" in model.record:
            about["palette"] = model.record["palette"]
        if model.styles:
            about["styles"] = model.styles
        onnx.helper.set_model_props(proto, {METADATA: json.dumps(about), "license": LICENSE})
        proto.doc_string = f"{model.title}: a {model.kind.name} of {last + 1} stages, by e2e-art.  {convention}"
        onnx.checker.check_model(proto)
        return proto.SerializeToString()
    except Exception as error:  # a graph may be damaged in as many ways as the library has parts
        raise ModelError(f"{graph} cannot be exported ({reason_of(error)}): get a whole copy") from error


def _fix_sizes(places: Any, height: int, width: int) -> None:
    """Lets those inputs or outputs of a graph that are pictures have one size alone."""
    for place in places:
        dimensions = place.type.tensor_type.shape.dim
        for axis, length in ((0, 1), (2, height), (3, width)) if len(dimensions) == 4 else ():
            dimensions[axis].dim_value = length


def _inline_weights(proto: Any, model: Model) -> None:
    """Moves the weights that a graph keeps in other files of its model into the graph."""
    from onnx import TensorProto

    for tensor in proto.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            begin = int(place["offset"])
            tensor.raw_data = model.path(place["location"]).read_bytes()[begin : begin + int(place["length"])]
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
