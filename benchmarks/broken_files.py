"""How robustness.py breaks files: their bytes, or what checksums protect; and how a case of each kind is made."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

__all__ = ["CASES", "WAYS", "break_bytes"]


# Ways to break bytes


def _run(content: bytes, random: np.random.Generator) -> tuple[int, int]:
    """Returns where a random part of a file begins and ends: few of its bytes, or up to a quarter of them."""
    length = int(random.integers(1, max(2, len(content) // random.choice((4, 16, 64)))))
    begin = int(random.integers(0, max(1, len(content) - length)))
    return begin, begin + length


def _flip(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in random.integers(0, len(content), random.choice((1, 2, 8, 64))):
        changed[place] ^= int(random.integers(1, 256))
    return bytes(changed)


def _cut(content: bytes, random: np.random.Generator) -> bytes:
    return content[: random.integers(0, len(content))]


def _zero(content: bytes, random: np.random.Generator) -> bytes:
    begin, end = _run(content, random)
    return content[:begin] + bytes(end - begin) + content[end:]


def _insert(content: bytes, random: np.random.Generator) -> bytes:
    begin, end = _run(content, random)
    return content[:begin] + random.bytes(end - begin) + content[begin:]


def _duplicate(content: bytes, random: np.random.Generator) -> bytes:
    begin, end = _run(content, random)
    return content[:end] + content[begin:]


def _swap(content: bytes, random: np.random.Generator) -> bytes:
    a, b, c = sorted(random.integers(0, len(content) + 1, 3).tolist())
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _extreme(content: bytes, random: np.random.Generator) -> bytes:
    """Sets a field, most often one near the beginning, to a number that nobody reckons with."""
    bits = 8 * int(random.choice((1, 2, 4, 8)))
    numbers = (0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1, 2 ** random.integers(bits).item())
    number = numbers[random.integers(len(numbers))]
    place = int(random.integers(0, min(len(content), 128) if random.random() < 0.7 else len(content)))
    field = number.to_bytes(bits // 8, "little" if random.random() < 0.5 else "big")
    return content[:place] + field + content[place + len(field) :]


WAYS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    way.__name__[1:]: way for way in (_flip, _cut, _zero, _insert, _duplicate, _swap, _extreme)
}


def break_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """Returns a file's content, broken in one way or two."""
    for way in random.choice(list(WAYS), random.choice((1, 1, 2))):
        content = WAYS[way](content or b"\0", random)
    return content


# Ways to break what checksums and structure protect


def _reseal_png(content: bytes) -> bytes:
    """Returns a PNG with right checksums of its chunks, so that a reader goes on to what they hold."""
    done, place = content[:8], 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunk = content[place + 4 : place + 8 + length]
        done += content[place : place + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        place += 12 + length
    return done


EXTREMES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, -1, 0.5, 64, 4096, 100_000, 10**9, 2**63, 10**20, -(10**20), 1e308, float("nan")),
    *(float("inf"), "", "x", "x" * 10_000, "../model.json", "\ud800", "\0", [], [[]], {}, {"": None}, [3], [10**9, 48]),
)


def break_json(value: Any, random: np.random.Generator) -> Any:
    """Returns JSON in which one value was replaced, left out, repeated, scaled or renamed."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        inside = list(each.items() if isinstance(each, dict) else enumerate(each))
        places += [(each, key) for key, _ in inside]
        waiting += [child for _, child in inside if isinstance(child, (dict, list)) and child]
    holder, key = places[random.integers(len(places))]
    way = random.integers(8)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, list):
        holder[:] *= int(random.choice((2, 65, 5000)))
    elif way == 2 and isinstance(holder, dict):
        holder[f"{key}_"] = holder.pop(key)
    elif way == 3 and isinstance(holder[key], (int, float)):
        holder[key] *= int(random.choice((-1, 2, 1000, 10**6)))
    else:
        holder[key] = copy.deepcopy(EXTREMES[random.integers(len(EXTREMES))])
    return value


def break_zip(content: bytes, random: np.random.Generator) -> bytes:
    """Returns a file of numpy arrays of which one was broken, under a right checksum."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    name = list(entries)[random.integers(len(entries))]
    array = np.load(io.BytesIO(entries[name]))
    if name == "state.npy" and random.random() < 0.8:
        state = json.dumps(break_json(json.loads(array.tobytes()), random))
        array = np.frombuffer(state.encode(), np.uint8)
    elif array.dtype.kind == "f" and random.random() < 0.5:
        array = np.resize(array, [(*array.shape, 1), array.shape[1:], array.shape][random.integers(3)]).copy()
        array[...] = random.choice((np.nan, np.inf, -np.inf, 0, 1e30, -1e30)).astype(array.dtype)
    buffer = io.BytesIO()
    np.save(buffer, array)
    entries[name] = buffer.getvalue() if random.random() < 0.7 else break_bytes(buffer.getvalue(), random)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for each, data in entries.items():
            file.writestr(each, data)
    return packed.getvalue()


def break_weights(content: bytes, random: np.random.Generator) -> bytes:
    """Returns a safetensors file whose header, of the length that it names, says one thing otherwise."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(break_json(json.loads(content[8:end]), random)).encode()
    return len(header).to_bytes(8, "little") + header + content[end:]


def break_onnx(content: bytes, random: np.random.Generator) -> bytes:
    """Returns an ONNX graph in which one field has another value."""
    model = onnx.load_from_string(content)
    places: list[tuple[Any, str, int]] = []
    waiting: list[Any] = [model]
    while waiting:
        message = waiting.pop()
        for field, value in message.ListFields():
            several = isinstance(value, (str, bytes)) is False and hasattr(value, "__len__")
            for index, each in enumerate(list(value)[:64] if several else [value]):
                if hasattr(each, "ListFields"):
                    waiting.append(each)
                else:
                    places.append((message, field.name, index if several else -1))
    message, name, index = places[random.integers(len(places))]
    old = getattr(message, name) if index < 0 else getattr(message, name)[index]
    numbers = (0, 1, -1, 2, 7, 99, 2**31 - 1, -(2**31), 2**40, 2**63 - 1)
    new: Any = numbers[random.integers(len(numbers))]
    if isinstance(old, (str, bytes)):
        new = type(old)() if isinstance(old, bytes) else ("", "x", "input", "output", "Conv")[random.integers(5)]
    try:
        if index < 0:
            setattr(message, name, new)
        else:
            getattr(message, name)[index] = new
        return model.SerializeToString()
    except (TypeError, ValueError):  # a number that the field does not hold
        return break_bytes(content, random)


# Broken files


def _broken_file(whole: Path, random: np.random.Generator, target: Path, break_it=break_bytes) -> Path:
    """Writes one of the files of a folder, broken; returns its path."""
    files = sorted(path for path in whole.iterdir() if path.is_file())
    chosen = files[random.integers(len(files))]
    content = break_it(chosen.read_bytes(), random)
    if chosen.suffix == ".png" and random.random() < 0.7:
        content = _reseal_png(content)
    path = target / chosen.name
    path.write_bytes(content)
    return path


def _either(first, second, share: float = 0.5):
    """Returns a way to break that is the first or the second."""
    return lambda content, random: (first if random.random() < share else second)(content, random)


def _broken_model(whole: Path, random: np.random.Generator, target: Path) -> Path:
    """Writes a model whose seal and checksums are right, and whose content is not; returns its folder."""
    chosen = whole / ("chain", "chain", "texture", "doodle", "old")[random.integers(5)]
    folder = Path(shutil.copytree(chosen, target / chosen.name))
    description = json.loads((folder / "model.json").read_bytes())
    if random.random() < 0.5:
        description = break_json(description, random)
    else:
        names = [name for name in description["files"] if not name.endswith(".jpg")]
        file = folder / names[random.integers(len(names))]
        ways = {".npz": break_zip, ".onnx": break_onnx, ".safetensors": break_weights}
        break_it = _either(ways.get(file.suffix, break_bytes), break_bytes)
        file.write_bytes(break_it(file.read_bytes(), random))
        description["files"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    if isinstance(description, dict):
        rest = {key: value for key, value in description.items() if key != "seal"}
        description["seal"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    text = json.dumps(description).encode()
    (folder / "model.json").write_bytes(text if random.random() < 0.95 else break_bytes(text, random))
    return folder


# How a broken input of each kind is made: whole files, random numbers and a folder to write into, to its path.
CASES: dict[str, Callable[[Path, np.random.Generator, Path], Path]] = {
    "pictures": _broken_file,
    "masks": _broken_file,
    "clips": _broken_file,
    "models": _broken_model,
    "onnx": lambda whole, random, target: _broken_file(whole, random, target, _either(break_onnx, break_bytes, 0.7)),
    "checkpoints": lambda whole, random, target: _broken_file(whole, random, target, _either(break_zip, break_bytes)),
    "lists": _broken_file,
}
