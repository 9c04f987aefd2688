"""The files of weights, of either format: what is written is read again, what strangers write is refused at once."""

import json
import shutil
import struct
import tracemalloc

import numpy as np
import pytest
from helpers import forge, old_model

from e2e_art.errors import ModelError
from e2e_art.models.folder import read_model
from e2e_art.models.publish import load_chain
from e2e_art.models.weights_file import read_weights, write_weights
from e2e_art.networks.params_file import read_params

NUMBERS = {"F32": np.float32([[1.5, -2, 1e-30]]), "F16": np.float16([[0.5], [6e4]]), "I8": np.int8([-127, 0, 127])}


# safetensors


def file(header, content: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def entry(*shape: int, begin: int = 0, end: int = 4, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


ONE = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
WRONG = {
    "nothing": b"", "text": b"weights", "zeros": bytes(24), "no header": file(b""), "no object": file([entry(1)]),
    "header beyond the end": (100).to_bytes(8, "little") + b"{" + ONE + b"}", "huge header": b"\xff" * 8 + bytes(100),
    "header of gigabytes": (2**40).to_bytes(8, "little") + bytes(100),
    "long header": file(b" " * 2**19 + b"{" + ONE + b"}", bytes(4)), "deep header": file(b"[" * 10_000 + b"]" * 10_000),
    "no text": file(b'{"\xff": 3}'), "half a character": file(b'{"\\ud800":' + ONE[4:] + b"}", bytes(4)),
    "the same name twice": file(b"{" + ONE + b"," + ONE + b"}", bytes(4)),
    "the same entry twice": file(b'{"a":{"shape":[2],' + ONE[5:] + b"}", bytes(4)),
    "cut": file({"a": entry(1)}, bytes(3)), "more": file({"a": entry(1)}, bytes(5)),
    "the same place": file({"a": entry(1), "b": entry(1)}, bytes(4)),
    "overlapping": file({"a": entry(2, end=8), "b": entry(1, begin=4, end=8)}, bytes(8)),
    "apart": file({"a": entry(1), "b": entry(1, begin=8, end=12)}, bytes(12)),
    "backward": file({"a": entry(1, begin=4, end=0)}, bytes(4)), "before": file({"a": entry(1, begin=-4, end=0)}),
    "no place": file({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)),
    "place in words": file({"a": {**entry(1), "data_offsets": ["0", "4"]}}, bytes(4)),
    "larger than its place": file({"a": entry(2)}, bytes(4)), "huge": file({"a": entry(2**30, 2**30)}, bytes(4)),
    "huger": file({"a": entry(*[2**31] * 8)}, bytes(4)), "negative": file({"a": entry(-1)}, bytes(4)),
    "empty": file({"a": entry(0, end=0)}), "without axes": file({"a": entry()}, bytes(4)),
    "many axes": file({"a": entry(*[1] * 33)}, bytes(4)), "half an axis": file({"a": entry(1.5)}, bytes(4)),
    "bfloat16": file({"a": entry(1, end=2, dtype="BF16")}, bytes(2)),
    "whole numbers": file({"a": entry(1, end=8, dtype="I64")}, bytes(8)),
    "of no type": file({"a": entry(1, dtype="X")}, bytes(4)),
    "another field": file({"a": {**entry(1), "b": 3}}, bytes(4)),
    "about all": file({"__metadata__": {"a": "b"}, "a": entry(1)}, bytes(4)),
    "NaN": file({"a": entry(1)}, struct.pack("<f", np.nan)),
    "infinite": file({"a": entry(1)}, struct.pack("<f", np.inf)),
}  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_arrays_are_read_as_they_were_written(order):
    arrays = {"\u00e4.b 3": NUMBERS["F16"], **NUMBERS, "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    arrays = dict(list(arrays.items())[::order])
    found = read_weights(write_weights(arrays))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array)


def test_a_file_is_laid_out_as_the_format_says():
    """Wide numbers first, so that all lie where a processor reads them at once: multiples of their size."""
    content = write_weights(NUMBERS)
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    assert json.loads(content[8 : 8 + length]) == {
        "F32": entry(1, 3, end=12) | {"shape": [1, 3]},
        "F16": entry(2, 1, begin=12, end=16, dtype="F16") | {"shape": [2, 1]},
        "I8": entry(3, begin=16, end=19, dtype="I8") | {"shape": [3]},
    }
    assert content[8 + length :] == b"".join(array.tobytes() for array in NUMBERS.values())


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_what_is_no_file_of_weights_is_refused_in_one_sentence(published, tmp_path, content):
    folder = shutil.copytree(published, tmp_path / "stranger")
    forge(folder, **{"stage-0_safetensors": content})
    with pytest.raises(ModelError, match="stage-0.safetensors holds no weights .*: train the model again$") as error:
        load_chain(read_model(folder))
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("size", [2**30, 2**31])
def test_no_more_memory_is_taken_than_the_file_has(size):
    """A header that says gigabytes of four bytes; the few kilobytes are those of the sentence."""
    content = file({"a": entry(size, size, 2**10, end=2**52)}, bytes(4))
    tracemalloc.start()
    with pytest.raises(ValueError, match="safetensors"):
        read_weights(content)
    assert tracemalloc.get_traced_memory()[1] < 10**5
    tracemalloc.stop()


def test_scales_that_would_fill_the_memory(published, tmp_path):
    arrays = {"w": np.zeros((60_000, 1), np.int8), "w.scale": np.zeros((1, 60_000), np.float32)}
    folder = shutil.copytree(published, tmp_path / "stranger")
    forge(folder, **{"stage-0_safetensors": write_weights(arrays)})
    with pytest.raises(ModelError, match="the scales of w are not one for each of its rows"):
        load_chain(read_model(folder))


# MXNet's


def params(*arrays: bytes, names=(b"a",), count=None) -> bytes:
    listed = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    counted = struct.pack("<QQQ", 0x112, 0, len(arrays) if count is None else count)
    return counted + b"".join(arrays) + struct.pack("<Q", len(names)) + listed


def array(
    *shape: int, content: bytes = b"", kind: int = 0, begin: int = 0xF993FAC9, layout: int = 0, axes=None
) -> bytes:
    axes = len(shape) if axes is None else axes
    return struct.pack(f"<Iii{len(shape)}qiii", begin, layout, axes, *shape, 1, 0, kind) + content


@pytest.mark.parametrize(
    "content",
    [
        b"", b"weights", bytes(24), params(count=2**60), params(array(10**12)), params(array(2**31, 2**31, 2**31)),
        params(array(-4, content=bytes(16))), params(array(0)), params(array(4, content=bytes(15))),
        params(array(4, content=bytes(16), kind=99)), params(array(4, content=bytes(16), kind=-1)),
        params(array(4, content=bytes(16), begin=7)), params(array(4, content=bytes(16), layout=1)),
        params(array(4, content=bytes(16), axes=2**30)), params(array(4, content=bytes(16), axes=-1)),
        params(array(1, content=struct.pack("<f", np.nan))), params(array(1, content=struct.pack("<f", np.inf))),
        params(array(1, content=bytes(4)), names=()), params(array(1, content=bytes(4)), names=(b"\xff",)),
        params(array(1, content=bytes(4)), array(1, content=bytes(4)), names=(b"a", b"a")),
        params(array(1, content=bytes(4))) + b"more", write_weights(NUMBERS),
    ],
    ids=range(22),
)  # fmt: skip
def test_what_is_no_params_file_is_refused(tmp_path, content):
    folder = old_model(tmp_path / "old")
    forge(folder, **{"stage-0_params": content})
    with pytest.raises(ModelError, match="stage-0.params holds no weights .*: train the model again"):
        load_chain(read_model(folder))


def test_arrays_of_every_type_that_mxnet_wrote_are_read():
    kinds = {0: np.float32, 1: np.float64, 2: np.float16, 3: np.uint8, 4: np.int32, 5: np.int8, 6: np.int64}
    arrays = {kind: np.array([[1, 2, 3]], dtype) for kind, dtype in kinds.items()}
    written = [array(1, 3, content=each.tobytes(), kind=kind) for kind, each in arrays.items()]
    found = read_params(params(*written, names=[b"array %d" % kind for kind in kinds]))
    for kind, expected in arrays.items():
        assert found[f"array {kind}"].dtype == expected.dtype and np.array_equal(found[f"array {kind}"], expected)
