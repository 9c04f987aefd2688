"""onnxruntime: the one place that opens its sessions, and runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from google.protobuf.empty_pb2 import Empty
from google.protobuf.internal.wire_format import WIRETYPE_LENGTH_DELIMITED
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from ..errors import ModelError, UserError, first_line

__all__ = ["check_gpu", "has_gpu", "open_session", "run_session"]

# Where ONNX keeps tensors, and a tensor the names of files: for each message, the message in a field of that number.
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


def has_gpu() -> bool:
    """Returns whether this onnxruntime can compute on GPUs."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def check_gpu(gpu: int | None) -> None:
    """Raises UserError where a GPU is asked for, and this onnxruntime has none; None is the CPU."""
    if gpu is not None and not has_gpu():
        raise UserError(f"onnxruntime finds no GPU {gpu}: leave --gpu out, or pip install onnxruntime-gpu")


def open_session(graph: Path, threads: int | None = None, gpu: int | None = None, thrifty: bool = False):
    """Returns a session of an ONNX graph, ready to run.

    graph: a file, which may keep weights in others of its folder, and in none outside of it.  threads: how many to use,
    all cores by default.  gpu: the number of a GPU; None is the CPU.  thrifty: give memory back after each operator
    instead of keeping it for the next run.  Raises UserError where there is no such GPU, or no graph that can be read.
    """
    import onnxruntime

    check_gpu(gpu)
    onnxruntime.disable_telemetry_events()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # errors are raised as well
    settings.enable_cpu_mem_arena = not thrifty
    if threads:
        settings.intra_op_num_threads = threads
    cuda: list = [] if gpu is None else [("CUDAExecutionProvider", {"device_id": gpu})]
    try:
        for name in _weight_files(graph.read_bytes()):
            if not (graph.parent / name).resolve().is_relative_to(graph.parent.resolve()):
                raise ValueError(f"it reads {name}, outside of its folder")
        session = onnxruntime.InferenceSession(str(graph), settings, providers=[*cuda, "CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises kinds of its own, none public
        raise UserError(f"{graph} cannot be loaded ({first_line(error)}): get a whole copy") from error
    if gpu is not None and "CUDAExecutionProvider" not in session.get_providers():
        raise UserError(f"onnxruntime could not use GPU {gpu}: leave --gpu out, or check its driver")
    return session


def run_session(
    session, outputs: Sequence[str] | None, inputs: Mapping[str, np.ndarray], graph: Path
) -> list[np.ndarray]:
    """Returns the outputs of a session by name, all by default; graph: the file that it was opened from, for messages.

    Raises MemoryError where memory does not suffice, UserError where the graph is not made for these inputs, ModelError
    where it gives numbers that are none.
    """
    try:
        arrays = session.run(outputs, inputs)
    except Exception as error:
        if "alloc" in str(error).lower():
            raise MemoryError from error
        raise UserError(f"{graph} could not paint this ({first_line(error)}): get a whole copy") from error
    if not all(np.isfinite(array).all() for array in arrays):
        raise ModelError(f"{graph} gives infinite numbers, no picture: get a whole copy")
    return arrays


def _weight_files(content: bytes, message: str = "model") -> Iterator[str]:
    """Yields the files that an ONNX graph keeps weights in (older onnxruntimes read any file of the disk)."""
    try:
        parsed = UnknownFieldSet(Empty.FromString(content))
    except DecodeError:
        raise ValueError("it is no ONNX graph") from None
    fields = [(field.field_number, field.data) for field in parsed if field.wire_type == WIRETYPE_LENGTH_DELIMITED]
    if message == "entry" and dict(fields).get(1) == b"location":
        yield dict(fields).get(2, b"").decode()
    for number, value in fields:
        if number in _MESSAGES.get(message, ()):
            yield from _weight_files(value, _MESSAGES[message][number])
