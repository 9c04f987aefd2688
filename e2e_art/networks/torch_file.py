"""PyTorch's files of arrays by name (state dicts), read without PyTorch, whoever wrote them.

Such a file is a pickle, a program that could call any function, and the numbers that it asks for by key.  Its
instructions are followed one by one here, as far as they make plain values and arrays; nothing else is even imported.
pickletools only lists them: of `pickle` itself, which runs them, nothing is used.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..errors import shortened

__all__ = ["read_state_dict"]

_LEGACY = 0x1950A86A20F9469CFC6C  # the number that files of before PyTorch 1.6 begin with
_MOST_PICKLE = 2**20  # bytes: a VGG takes a few thousand
_MOST_AXES = 8
_MOST_ARGUMENTS = 8  # of a function


class _Storage(NamedTuple):
    """Numbers of the file, which arrays lie in."""

    key: str
    dtype: np.dtype


class _Tensor(NamedTuple):
    """Where an array lies in its storage: all in numbers, not in bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _dictionary(items: Sequence = ()) -> dict[str, Any]:
    """Returns a dictionary of a list, which is empty then: named again and again, it would fill the memory.

    Raises ValueError for keys of other types, whose hash could go too deep, and for no list.
    """
    if not isinstance(items, list) and len(items) or not all(isinstance(name, (str, int)) for name, _ in items):
        raise ValueError("it has entries of another kind")
    made = dict(items)
    if isinstance(items, list):
        items.clear()
    return made


# What a pickle may name, as what it stands for here: types of numbers, and functions.
_NAMES: dict[str, np.dtype | Callable[..., Any]] = {
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.LongStorage": np.dtype("<i8"),
    "collections.OrderedDict": _dictionary,
    "torch._utils._rebuild_tensor": _Tensor,
    "torch._utils._rebuild_tensor_v2": lambda *about: _Tensor(*about[:4]),
    "torch._utils._rebuild_parameter": lambda tensor, *about: tensor,
}
# Instructions: their argument is a value; they stand for one, for a new one, or for a tuple of so many.
_PLAIN = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_PLAIN |= {"BINSTRING", "SHORT_BINSTRING"}  # of Python 2
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
_TUPLES = {"TUPLE": None, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_state_dict(content: bytes, most: int) -> dict[str, np.ndarray]:
    """Returns the arrays of a .pth file by name, without matrices, which no convolution has.

    content: as torch.save wrote it, since PyTorch 1.6 or before, of a state dict or of a dictionary with one as
    "state_dict".  most: bytes that it may take, unpacked.  Raises ValueError for another file, and where the pickle
    says anything else.
    """
    try:
        saved, numbers = _open_zip(content, most) if content.startswith(b"PK") else _open_legacy(content)
        if isinstance(saved, dict):
            saved = saved.get("state_dict", saved)
        if not isinstance(saved, dict):
            raise ValueError("it holds no state dict")
        tensors = {name: each for name, each in saved.items() if isinstance(each, _Tensor) and isinstance(name, str)}
        return {name: _array(each, numbers) for name, each in tensors.items() if len(each.shape) != 2}
    except ValueError:
        raise
    except Exception as error:  # zipfile has many kinds for damage, and a damaged pickle can ask for anything
        raise ValueError("it is damaged, or no file of PyTorch's") from error


def _open_zip(content: bytes, most: int) -> tuple[Any, Callable[[str], bytes]]:
    """Returns what was saved, and what finds the numbers of a storage by its key."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    program = [name for name in sizes if name.split("/")[1:] == ["data.pkl"]][0]
    folder = program.removesuffix("data.pkl")
    if sum(entry.file_size for entry in archive.infolist()) > most or sizes[program] > _MOST_PICKLE:
        raise ValueError("it unpacks to more than a network is")
    if f"{folder}byteorder" in sizes and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("its numbers are big-endian")
    saved = _run(io.BytesIO(archive.read(program)), {})
    return saved, cache(lambda key: archive.read(f"{folder}data/{key}"))


def _open_legacy(content: bytes) -> tuple[Any, Callable[[str], memoryview]]:
    """Returns what was saved, and what finds the numbers of a storage by its key."""
    file, storages = io.BytesIO(content[:_MOST_PICKLE]), dict[str, _Storage]()
    if _run(file, {}) != _LEGACY:
        raise ValueError("it is no file of PyTorch's")
    _version, _system, saved, keys = (_run(file, storages) for _ in range(4))
    view, places, place = memoryview(content), {}, file.tell()
    for key in (each for each in keys if isinstance(each, str)):  # each with how many numbers it has, and then these
        size = int.from_bytes(view[place : place + 8], "little") * storages[key].dtype.itemsize
        places[key] = view[place + 8 : place + 8 + size]
        place += 8 + size
    return saved, places.__getitem__


def _array(tensor: _Tensor, numbers: Callable[[str], bytes | memoryview]) -> np.ndarray:
    """Returns an array, which takes no more memory than its storage."""
    (key, dtype), offset, shape, strides = tensor
    places = (offset, *shape, *strides)
    if not len(shape) == len(strides) <= _MOST_AXES or not all(isinstance(each, int) and each >= 0 for each in places):
        raise ValueError("it holds an array of no shape")
    flat = np.frombuffer(numbers(key), dtype)
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides))
    if math.prod(shape) > len(flat) or last >= len(flat):
        raise ValueError("it holds an array that is larger than its numbers")
    steps = [stride * dtype.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)


def _instructions(file: io.BytesIO) -> Iterator[tuple[Any, Any]]:
    """Yields the instructions of a pickle, each with its argument; raises ValueError where there are none."""
    try:
        yield from ((instruction, argument) for instruction, argument, _ in pickletools.genops(file))
    except ValueError as error:  # which quotes what it found
        raise ValueError("it is damaged, or no file of PyTorch's") from error


def _run(file: io.BytesIO, storages: dict[str, _Storage]) -> Any:
    """Follows one pickle to its end, and returns what it makes; puts the storages that it names into `storages`.

    Raises ValueError at what plain values and arrays do not need, and other errors where it is damaged.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def taken(count: int | None) -> list[Any]:
        """Takes values from the end of the stack: so many, or those since the last mark."""
        begin = marks.pop() if count is None else len(stack) - count
        if begin < 0:
            raise IndexError
        values = stack[begin:]
        del stack[begin:]
        return values

    for instruction, argument in _instructions(file):
        name = instruction.name
        if name in _PLAIN:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            stack.append(tuple(taken(_TUPLES[name])))
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("APPEND", "APPENDS"):
            values = taken(1 if name == "APPEND" else None)
            stack[-1].extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = taken(2 if name == "SETITEM" else None)
            stack[-1].update(_dictionary(list(zip(values[::2], values[1::2]))))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            named = ".".join(taken(2)) if argument is None else argument.replace(" ", ".")
            if named not in _NAMES:
                raise ValueError(f"its pickle names {shortened(named)}, and not just a state dict in single precision")
            stack.append(_NAMES[named])
        elif name == "BINPERSID":
            about = stack.pop()  # "storage", type of its numbers, key, and where it lay
            if not (about[0] == "storage" and isinstance(about[1], np.dtype) and isinstance(about[2], str)):
                raise ValueError("it holds no arrays")
            stack.append(storages.setdefault(about[2], _Storage(about[2], about[1])))
        elif name == "REDUCE":
            function, arguments = taken(2)
            if len(arguments) > _MOST_ARGUMENTS:
                raise ValueError("its pickle does more than a state dict needs")
            stack.append(function(*arguments))  # which can be one of _NAMES alone
        elif name == "BUILD":
            stack.pop()  # what a dictionary has beside its entries
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"its pickle does more than a state dict needs ({name})")
    return stack.pop()
