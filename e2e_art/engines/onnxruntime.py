"""onnxruntime: the one place that opens its sessions, and runs them."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import ModelError, UserError, first_line, shortened

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
_MOST_FIELDS = 500_000  # of a graph: the largest networks have thousands
_FIXED = {1: 8, 5: 4}  # bytes of what a protobuf field holds, by its type

# What onnxruntime says, and what that means to people.
_MEANINGS = {
    r"unsupported model IR version|opset \d+ is under development": (
        "it was written for a newer onnxruntime: pip install --upgrade onnxruntime"
    ),
    r"(\S+?)(?:\(-?\d+\))? is not a registered function/op|No Op registered for (\w+)": (
        "it needs the operator {}, which onnxruntime does not have: export it with those of ONNX alone"
    ),
    r"Could not find an implementation for (\w+)": (
        "onnxruntime cannot compute its operator {} here: export it in float32, or with another opset"
    ),
    r"protobuf|no ONNX graph|codec can't decode|model format error": (
        "it is no ONNX graph, or a part of one: get a whole copy, or export the network to ONNX"
    ),
    r"external (?:data|initializer)|model_path must not be empty|no such file or directory \[": (
        "its weights lie in another file, which is missing or too short: get both, side by side"
    ),
    r"invalid dimensions for input|invalid rank for input|unexpected input data type": (
        "it takes pictures of another size or type: give another --size"
    ),
    r"This is an invalid model.*?Error,? (.*)": "it breaks a rule of ONNX ({}): export it again",
}


# What else it says, of itself: its codes, the file's name, places in its source.
_NOISE = (
    r"^.*Status Message: ",
    r"\[ONNXRuntimeError\] : \d+ : \w+ : ",
    r"^Load model from .*?\.onnx( failed:)?",
    r"\S*/onnxruntime/\S+:\d+ [^)]*\)( const)?",
    r"\w+\.(cc|h):\d+ \S+",
)


def has_gpu(gpu: int | str) -> bool:
    """Returns whether this onnxruntime can compute on such a GPU: one with a number, by CUDA."""
    import onnxruntime

    return isinstance(gpu, int) and "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def check_gpu(gpu: int | str | None) -> None:
    """Raises UserError where a GPU is asked for, and this onnxruntime has none; None is the CPU."""
    if gpu == "mps":
        raise UserError("onnxruntime paints on no GPU of a Mac: leave --gpu out, or take --engine torch")
    if gpu is not None and not has_gpu(gpu):
        raise UserError(f"onnxruntime finds no GPU {gpu}: leave --gpu out, or pip install onnxruntime-gpu")


def open_session(
    graph: Path,
    threads: int | None = None,
    gpu: int | str | None = None,
    thrifty: bool = False,
    weights: Mapping[str, np.ndarray] | None = None,
):
    """Returns a session of an ONNX graph, ready to run.

    graph: a file, which may keep weights in others of its folder, and in none outside of it.  threads: how many to use,
    all cores by default.  gpu: the number of a GPU; None is the CPU.  thrifty: give memory back after each operator
    instead of keeping it for the next run.  weights: to take in place of those in other files.
    Raises UserError where there is no such GPU, or no graph that can be read.
    """
    import onnxruntime

    check_gpu(gpu)
    onnxruntime.disable_telemetry_events()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # errors are raised as well
    onnxruntime.set_default_logger_severity(4)  # by which allocators speak
    settings.enable_cpu_mem_arena = not thrifty
    if threads:
        settings.intra_op_num_threads = threads
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(weight) for weight in weights.values()]
        settings.add_external_initializers(list(weights), values)
    cuda: list = [] if gpu is None else [("CUDAExecutionProvider", {"device_id": gpu})]
    try:
        for name in _weight_files(graph):
            if not (graph.parent / name).resolve().is_relative_to(graph.parent.resolve()):
                raise ValueError(f"it reads {name}, outside of its folder: export it into one file")
        session = onnxruntime.InferenceSession(str(graph), settings, providers=[*cuda, "CPUExecutionProvider"])
        for place in (*session.get_inputs(), *session.get_outputs()):
            _ = place.name, place.type, place.shape  # which may be no text
    except Exception as error:  # onnxruntime raises kinds of its own, none public
        raise UserError(f"{graph} cannot be loaded: {_meaning(error)}") from error
    if gpu is not None and "CUDAExecutionProvider" not in session.get_providers():
        raise UserError(f"onnxruntime could not use GPU {gpu}: leave --gpu out, or check its driver")
    return session


def run_session(
    session, outputs: Sequence[str] | None, inputs: Mapping[str, np.ndarray], graph: Path
) -> list[np.ndarray]:
    """Returns the outputs of a session by name, all by default; graph: the file that it was opened from, for messages.

    Raises MemoryError where memory does not suffice, UserError where the graph is not made for these inputs, ModelError
    where it gives other than numbers, or some that are not finite.
    """
    try:
        arrays = session.run(outputs, inputs)
    except Exception as error:
        if "alloc" in str(error).lower():
            raise MemoryError(f"{graph} takes more memory than there is") from error
        raise UserError(f"{graph} could not paint this: {_meaning(error)}") from error
    if not all(isinstance(array, np.ndarray) and array.dtype.kind in "fiu" for array in arrays):
        raise ModelError(f"{graph} gives no numbers, so no picture: choose another model")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ModelError(f"{graph} gives infinite numbers or none (NaN), so no picture: choose another model")
    return arrays


def _meaning(error: Exception) -> str:
    """Returns what an error of onnxruntime means, in words for people where they are known."""
    text = first_line(error)
    for pattern, words in _MEANINGS.items():
        if found := re.search(pattern, text, re.IGNORECASE):
            return words.format(shortened(next(filter(None, found.groups()), "")))
    for noise in _NOISE:
        text = re.sub(noise, "", text, flags=re.IGNORECASE)
    return f"{shortened(' '.join(text.split()).rstrip('.')) or type(error).__name__}; export it again"


def _weight_files(graph: Path) -> Iterator[str]:
    """Yields the files that an ONNX graph keeps weights in (older onnxruntimes read any file of the disk).

    The file is looked through where it lies: of its weights, however large, not a byte is read.  Raises ValueError for
    a file that is no protobuf message.
    """
    if not graph.stat().st_size:
        raise ValueError("it is no ONNX graph")
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        waiting, left = [("model", 0, len(content))], _MOST_FIELDS
        while waiting:
            message, begin, end = waiting.pop()
            fields = []
            for field in _fields(content, begin, end):
                fields.append(field)
                left -= 1
                if not left:
                    raise ValueError("it has more parts than any network")
            if message == "entry":
                entry = {number: content[first:last] for number, first, last in fields}
                if entry.get(1) == b"location":
                    yield entry.get(2, b"").decode()
            inner = _MESSAGES.get(message, {})
            waiting += [(inner[number], first, last) for number, first, last in fields if number in inner]


def _fields(content: mmap.mmap, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields number, begin and end of the fields of a protobuf message; those of fixed length are empty."""
    while place < end:
        key, place = _varint(content, place, end)
        kind, length = key & 7, 0
        if kind == 0:
            _, place = _varint(content, place, end)
        elif kind == 2:
            length, place = _varint(content, place, end)
        elif kind not in _FIXED:
            raise ValueError("it is no ONNX graph")
        if place + length + _FIXED.get(kind, 0) > end:
            raise ValueError("it is no ONNX graph")
        yield key >> 3, place, place + length
        place += length + _FIXED.get(kind, 0)


def _varint(content: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    """Returns a number as protobuf writes it, seven bits a byte, and the place after it."""
    number = shift = 0
    while place < end and shift < 64:
        byte = content[place]
        number, shift, place = number | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return number, place
    raise ValueError("it is no ONNX graph")
