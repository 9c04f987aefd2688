"""Loss networks from files: of every format and origin they see what the shipped one sees; strangers' run nothing."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save

from e2e_art.engines.gluon import NAME, array, to_numpy
from e2e_art.files import pretrained_folder, sha256_of
from e2e_art.images.arrays import to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.networks import vgg_files
from e2e_art.networks.torch_file import _run, read_state_dict
from e2e_art.networks.vgg import LossNetworkError, layers_of, load_vgg
from e2e_art.networks.vgg_files import BLOCKS, _natural, described, read_vgg
from e2e_art.training.options import TrainingOptions

pytestmark = pytest.mark.numerical

LAYERS = ["relu1_1", "relu2_2"]
POSITIONS = ["1_1", "1_2", "2_1", "2_2"]  # the shipped network, cut there: the other layers are 19 million numbers
PLACES = dict(zip(POSITIONS, (0, 2, 5, 7)))  # in torchvision's networks
SHIPPED = pretrained_folder() / "vgg19" / "vgg19-conv-8bit.npz"
MEANS, DEVIATIONS = 255 * np.array([(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)])
MOST = 10**7


@pytest.fixture(scope="module")
def picture():
    row, column, channel = np.ogrid[:33, :40, :3]
    return array(to_vgg_space(((7 * row + 13 * column + 29 * channel + row * column // 5) % 256).astype(np.uint8)))


@pytest.fixture(scope="module")
def expected(picture):
    return [to_numpy(each) for each in load_vgg(LAYERS, bfloat16=False)(picture)]


def shipped(weight="conv{}_weight", bias="conv{}_bias", rgb=False, number=str) -> dict[str, np.ndarray]:
    """Returns the first shipped convolutions under other names; rgb: of networks that see RGB."""
    arrays = {}
    with np.load(SHIPPED) as file:
        for position in POSITIONS:
            values = file[f"conv{position}_table"][file[f"conv{position}_index"]]
            arrays[weight.format(number(position))] = values[:, ::-1] if rgb and position == "1_1" else values
            arrays[bias.format(number(position))] = file[f"conv{position}_bias"]
    return {name: np.ascontiguousarray(values) for name, values in arrays.items()}


def of_torchvision(**settings) -> dict[str, np.ndarray]:
    return shipped("features.{}.weight", "features.{}.bias", number=PLACES.__getitem__, **settings)


def keras() -> dict[str, np.ndarray]:
    names = {"weight": "block{}/kernel:0", "bias": "block{}/bias:0"}
    arrays = shipped(**names, number=lambda position: position.replace("_", "_conv"))
    turned = {name: each.transpose(2, 3, 1, 0) for name, each in arrays.items() if each.ndim == 4}
    dense = {"fc1/kernel:0": np.ones((8, 4), np.float32), "fc1/bias:0": np.ones(4, np.float32)}
    return {**arrays, **turned, **dense}


def eight_bits() -> dict[str, np.ndarray]:
    with np.load(SHIPPED) as file:
        return {name: file[name] for name in file.files if name[4:7] in POSITIONS}


def npz(arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def params(arrays) -> bytes:
    """Returns MXNet's form, as gluoncv has it."""
    written = [
        struct.pack(f"<Iii{each.ndim}qiii", 0xF993FAC9, 0, each.ndim, *each.shape, 1, 0, 0) + each.tobytes()
        for each in arrays.values()
    ]
    names = [struct.pack("<Q", len(name)) + name.encode() for name in arrays]
    counts = struct.pack("<QQQ", 0x112, 0, len(arrays)), struct.pack("<Q", len(arrays))
    return counts[0] + b"".join(written) + counts[1] + b"".join(names)


# PyTorch's files, written without it: instructions of a pickle, and numbers.

DICTIONARY = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def numbers(*values: int) -> bytes:
    return b"".join(b"J" + struct.pack("<i", value) for value in values)


def tensor(key: str, values: np.ndarray, offset=0, shape=None, strides=None, kind="FloatStorage") -> bytes:
    steps = [stride // values.itemsize for stride in values.strides]
    storage = text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu") + numbers(values.size)
    place = b"(" + numbers(*(values.shape if shape is None else shape)) + b"t("
    place += numbers(*(steps if strides is None else strides)) + b"t"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + storage
        + b"tQ"
        + numbers(offset)
        + place
        + b"\x89"
        + DICTIONARY
        + b"tR"
    )


def state_dict(arrays) -> bytes:
    entries = b"".join(text(name) + tensor(str(key), each) for key, (name, each) in enumerate(arrays.items()))
    return b"\x80\x02" + DICTIONARY + b"(" + entries + b"u."


def pth(arrays, program: bytes | None = None, compression=zipfile.ZIP_STORED, **more: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", program or state_dict(arrays))
        for key, each in enumerate(arrays.values()):
            archive.writestr(f"archive/data/{key}", each.tobytes())
        for name, content in more.items():
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


def legacy(arrays, program: bytes | None = None) -> bytes:
    heads = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    keys = sorted(map(str, range(len(arrays))))
    contents = list(arrays.values())
    stored = [struct.pack("<q", contents[int(key)].size) + contents[int(key)].tobytes() for key in keys]
    return b"".join([*heads, program or state_dict(arrays), pickle.dumps(keys, 2), *stored])


def torchs(**settings):
    """Returns what writes a file with PyTorch itself, where it is."""

    def write(arrays) -> bytes:
        if NAME == "MXNet":
            pytest.skip("gluoncv, which other tests need, ends where PyTorch is loaded")
        torch = pytest.importorskip("torch")
        file = io.BytesIO()
        tensors = {name: torch.from_numpy(each.copy()) for name, each in arrays.items()}
        torch.save({"state_dict": tensors, "epoch": 3, "optimizer": {"lr": 0.1, "steps": [1, 2]}}, file, **settings)
        return file.getvalue()

    return write


DENSE = {"classifier.0.weight": np.ones((4, 8), np.float32), "classifier.0.bias": np.ones(4, np.float32)}
FILES = {
    "8 bits": (".npz", npz, eight_bits()),
    "Keras": (".npz", npz, keras()),
    "Caffe": (".npz", npz, shipped("conv{}.weight", "conv{}.bias")),
    "TensorFlow, RGB": (".npz", npz, shipped("conv{}_W", "conv{}_b", rgb=True)),
    "gluoncv's names": (".params", params, of_torchvision()),
    "MXNet's": (".params", params, shipped("arg:conv{}_weight", "arg:conv{}_bias")),
    "safetensors": (".safetensors", save, {**of_torchvision(rgb=True), **DENSE}),
    "half": (".safetensors", save, {name: each.astype(np.float16) for name, each in of_torchvision().items()}),
    "PyTorch": (".pth", pth, {**of_torchvision(), **DENSE}),
    "compressed": (".PT", lambda arrays: pth(arrays, compression=zipfile.ZIP_DEFLATED), of_torchvision()),
    "PyTorch before 1.6": (".pth", legacy, {**DENSE, **of_torchvision(rgb=True)}),
    "PyTorch's own": (".pth", torchs(), {**DENSE, **of_torchvision()}),
    "PyTorch's own, before 1.6": (".pt", torchs(_use_new_zipfile_serialization=False), of_torchvision()),
}


@pytest.mark.parametrize(("suffix", "write", "arrays"), FILES.values(), ids=FILES)
def test_every_file_of_the_shipped_weights_sees_what_it_sees(picture, expected, tmp_path, suffix, write, arrays):
    """Whatever the names, Simonyan's first filters tell which channels they see."""
    path = tmp_path / f"vgg{suffix}"
    path.write_bytes(write(arrays))
    assert layers_of(str(path)) == ["relu1_1", "relu1_2", "relu2_1", "relu2_2"]
    for one, same in zip(load_vgg(LAYERS, str(path), bfloat16=False)(picture), expected):
        assert np.allclose(to_numpy(one), same, rtol=2e-3, atol=2e-3 * same.max())


def other(depth: int = 16, count: int = 4, seed: int = 0) -> list[np.ndarray]:
    """Returns weights and biases of a network that is none of Simonyan's: random ones."""
    generator, channels, arrays = np.random.default_rng(seed), 3, []
    for filters in [vgg_files.CHANNELS[block] for block, many in enumerate(BLOCKS[depth]) for _ in range(many)][:count]:
        scale = (2 / (9 * channels)) ** 0.5
        arrays.append(scale * generator.standard_normal((filters, channels, 3, 3), np.float32))
        arrays.append(0.1 * generator.standard_normal(filters, np.float32))
        channels = filters
    return arrays


def named(arrays, weight: str, bias: str) -> dict[str, np.ndarray]:
    return {(bias if place % 2 else weight).format(place // 2): each for place, each in enumerate(arrays)}


def as_torchvision_sees(picture):
    colors = to_numpy(picture) + np.float32([123.68, 116.779, 103.939]).reshape(1, 3, 1, 1)
    return array((colors - MEANS.reshape(1, 3, 1, 1)) / DEVIATIONS.reshape(1, 3, 1, 1))


@pytest.mark.parametrize(
    ("names", "record", "input"),
    [
        (("features.{}.weight", "features.{}.bias"), None, "torchvision"),
        (("vgg0_conv{}_weight", "vgg0_conv{}_bias"), None, "torchvision"),
        (("block1_conv{}_W", "block1_conv{}_b"), None, "caffe"),
        (("features.{}.weight", "features.{}.bias"), "caffe-rgb", "caffe-rgb"),
        (("conv{}_W", "conv{}_b"), "torchvision", "torchvision"),
    ],
)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_other_networks_see_what_their_record_or_names_say(picture, tmp_path, names, record, input, suffix):
    arrays = other()
    path = tmp_path / f"vgg{suffix}"
    if suffix == ".npz":
        path.write_bytes(npz({**named(arrays, *names), **({"input": np.array(record)} if record else {})}))
    else:
        path.write_bytes(save(named(arrays, *names), {"input": record} if record else None))
    assert read_vgg(path).input == input
    seen = to_numpy(as_torchvision_sees(picture) if input == "torchvision" else picture)
    seen = seen[:, ::-1] if input == "caffe" else seen
    ours = to_numpy(load_vgg(["relu1_1"], str(path), bfloat16=False)(picture)[0])[0]
    row, column = 10, 20  # the filters of the first convolution, at one place
    place = np.einsum("oihw,ihw->o", arrays[0], seen[0, :, row - 1 : row + 2, column - 1 : column + 2]) + arrays[1]
    assert np.allclose(ours[:, row, column], np.maximum(place, 0), rtol=1e-4, atol=1e-3)


def test_the_depth_follows_from_the_convolutions(tmp_path):
    path = tmp_path / "vgg.npz"
    for depth, blocks in BLOCKS.items():
        arrays = {f"conv{place}_{kind}": each for place, kind, each in hollow(depth)}
        path.write_bytes(npz(arrays))
        assert read_vgg(path).depth == depth
        assert layers_of(str(path))[-1] == f"relu5_{blocks[-1]}"


def hollow(depth: int):
    """Yields convolutions of all shapes whose numbers are 0, but for the biases."""
    channels = 3
    for place, filters in enumerate(vgg_files._filters(depth)):
        yield place, "weight", np.broadcast_to(np.int8(0), (filters, channels, 3, 3))
        yield place, "bias", np.ones(filters, np.int8)
        channels = filters


def test_it_has_the_layers_up_to_where_it_ends(tmp_path):
    path = tmp_path / "vgg.npz"
    path.write_bytes(npz(shipped()))
    with pytest.raises(LossNetworkError, match="unknown layer of .*vgg.npz 'relu3_1': choose .*relu2_1 or relu2_2$"):
        load_vgg(["relu1_1", "relu3_1"], str(path))


# What is refused


def without(arrays, part: str) -> dict:
    return {name: each for name, each in arrays.items() if part not in name}


def changed(**changes) -> dict:
    return {**shipped(), **changes}


ZEROS = np.zeros(64, np.float32)
REFUSED = {
    "batch normalization": (changed(**{"bn1_1.running_mean": ZEROS}), "has batch normalization"),
    "no bias": (without(shipped(), "_bias"), "'conv1_1_weight' has no bias"),
    "one bias less": (without(shipped(), "conv2_2_bias"), "'conv2_2_weight' has no bias"),
    "another network": (
        changed(conv1_2_weight=np.ones((64, 32, 3, 3), np.float32)),
        "not those of a VGG-11, 13, 16 or 19",
    ),
    "gray pictures": (changed(conv1_1_weight=np.ones((64, 1, 3, 3), np.float32)), "not those of a VGG"),
    "no convolutions": ({"dense": np.ones((3, 3), np.float32)}, "not those of a VGG"),
    "nothing": ({}, "not those of a VGG"),
    "many": (
        {f"{k}_{n}": e for n in range(17) for k, e in (("w", np.zeros((1, 1, 3, 3))), ("b", np.zeros(1)))},
        "more convolutions",
    ),
    "NaN": (changed(conv2_1_bias=np.full(128, np.nan, np.float32)), "infinite numbers or none"),
    "untrained": (changed(**{f"conv{p}_bias": 0 * shipped()[f"conv{p}_bias"] for p in POSITIONS}), "not trained"),
    "another input": (changed(input=np.array("lab")), "its input is none of caffe, caffe-rgb, torchvision"),
    "a table too short": ({**eight_bits(), "conv1_1_table": ZEROS[:3]}, "out of bounds"),
    "a table of tables": ({**eight_bits(), "conv1_1_table": np.zeros((256, 1000), np.float32)}, "unpacks to more"),
    "no table": (without(eight_bits(), "2_1_table"), "conv2_1_table"),
}


@pytest.mark.parametrize(("arrays", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_loss_network_is_refused_in_one_sentence(tmp_path, arrays, says):
    path = tmp_path / "vgg.npz"
    path.write_bytes(npz(arrays))
    with pytest.raises(LossNetworkError, match=f"vgg.npz is no loss network .*{says}.*: choose another file$") as error:
        load_vgg(["relu1_1"], str(path))
    assert len(str(error.value).splitlines()) == 1


def test_a_network_that_sees_nothing_is_refused(tmp_path):
    path = tmp_path / "vgg.npz"
    path.write_bytes(npz(changed(conv1_2_bias=np.full(64, -1e9, np.float32))))
    with pytest.raises(LossNetworkError, match="vgg.npz sees nothing in a test picture at relu1_2: choose another"):
        load_vgg(["relu1_1", "relu1_2"], str(path))


@pytest.mark.parametrize("suffix", vgg_files.SUFFIXES)
@pytest.mark.parametrize(
    "content", [b"", b"weights", bytes(100), b"PK\x03\x04" + bytes(40), b"\x80\x02."], ids=range(5)
)
def test_other_files_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"vgg{suffix}"
    path.write_bytes(content)
    with pytest.raises(LossNetworkError, match=rf"vgg\{suffix} is no loss network .*: choose another file$") as error:
        load_vgg(["relu1_1"], str(path))
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_is_missing_or_of_another_kind(tmp_path):
    with pytest.raises(LossNetworkError, match="no.npz is no loss network .*No such file.*: choose another file$"):
        load_vgg(["relu1_1"], str(tmp_path / "no.npz"))
    with pytest.raises(
        LossNetworkError, match="unknown loss network 'vgg16.h5': choose .* that ends in .npz, .*or .pt"
    ):
        load_vgg(["relu1_1"], "vgg16.h5")


def test_bombs_are_refused_before_they_take_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(vgg_files, "MOST_BYTES", 10**6)
    bomb = {"conv1_1_weight": np.zeros(10**7, np.int8)}
    file = io.BytesIO()
    np.savez_compressed(file, **bomb)
    packed = pth(bomb, state_dict({}), zipfile.ZIP_DEFLATED)
    for name, content in {"vgg.npz": file.getvalue(), "vgg.pth": packed}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LossNetworkError, match="unpacks to more than"):
            load_vgg(["relu1_1"], str(tmp_path / name))
    (tmp_path / "large.params").write_bytes(bytes(10**6 + 1))
    with pytest.raises(LossNetworkError, match="larger than 1 MB"):
        load_vgg(["relu1_1"], str(tmp_path / "large.params"))


# Pickles that do more


class Hostile:
    """What a pickle of it would do where it is loaded."""

    def __init__(self, function, *arguments):
        self.made_by = function, arguments

    def __reduce__(self):
        return self.made_by


def hostile() -> dict[str, bytes]:
    deep = b"\x80\x02" + b")" + b"\x85" * 500_000 + b"."
    value = np.ones(4, np.float32)
    one = {"a": value}
    saved = {
        "a dictionary of a tuple": b"\x80\x02ccollections\nOrderedDict\n(K\x01K\x01\x86t\x85R.",
        "many arguments": b"\x80\x02ctorch._utils\n_rebuild_parameter\n(" + b"K\x01" * 1000 + b"tR.",
        "system": pickle.dumps(Hostile(__import__("os").system, "touch hacked"), 2),
        "eval": pickle.dumps(Hostile(eval, "open('hacked', 'w')"), 4),
        "getattr": pickle.dumps({"a": Hostile(getattr, "", "join")}, 2),
        "a class of old": b"(S'touch hacked'\nios\nsystem\n.",
        "object": pickle.dumps({"a": np.float32(3)}, 2),
        "text": pickle.dumps("weights", 2),
        "list": pickle.dumps([1], 2),
        "calls a number": b"\x80\x02K\x01)R.",
        "calls what is called": b"\x80\x02ccollections\nOrderedDict\n)R)R.",
        "deep": deep,
        "deep key": b"\x80\x02})" + b"\x85" * 500_000 + b"K\x01s.",
        "deep type": b"\x80\x02(" + text("storage") + b")" + b"\x85" * 500_000 + text("0") + text("cpu") + b"K\x01tQ.",
        "far memo": b"\x80\x02}r\xff\xff\xff\x7f0.",
        "no memo": b"\x80\x02h\x07.",
        "empty stack": b"\x80\x02\x87.",
        "no mark": b"\x80\x02t.",
        "ends": b"\x80\x02}",
        "grows a number": b"\x80\x02K\x01K\x02a.",
        "long": b"\x80\x02}" + b"K\x01" * 10 + b"\x8e" + struct.pack("<Q", 2**40) + b".",
    }
    arrays = {
        "larger": tensor("0", value, shape=(2**30,), strides=(0,)),
        "beyond": tensor("0", value, offset=1),
        "before": tensor("0", value, offset=-1),
        "backward": tensor("0", value, strides=(-1,)),
        "axes": tensor("0", value, shape=(1,) * 99, strides=(1,) * 99),
        "half a shape": tensor("0", value, shape=(1, 2, 2), strides=(1,)),
        "another key": tensor("7", value),
        "folder": tensor("../data.pkl", value),
        "another type": tensor("0", value, kind="BFloat16Storage"),
        "wider": tensor("0", value, kind="DoubleStorage"),
    }
    saved |= {name: b"\x80\x02}" + text("a") + each + b"s." for name, each in arrays.items()}
    zips = {name: pth(one, program) for name, program in saved.items()}
    legacies = {f"{name}, before 1.6": legacy(one, program) for name, program in saved.items()}
    more = {
        "big-endian": pth(one, byteorder=b"big"),
        "no pickle": pth({}, state_dict({}))[:-60],
        "huge pickle": pth(one, b"." * 2**21),
        "short": legacy(one)[:-3],
        "a pickle alone": pickle.dumps({"a": 1}),
        "system first": saved["system"],
    }
    return {**zips, **legacies, **more}


HOSTILE = hostile()


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_pickle_that_does_more_is_refused_and_not_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as error:
        read_state_dict(content, MOST)
    assert len(str(error.value).splitlines()) == 1 and str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_list_is_made_a_dictionary_once():
    pairs = b"".join(b"J" + struct.pack("<i", number) + b"K\x01\x86" for number in range(1000))
    program = b"\x80\x02(ccollections\nOrderedDict\nq\0](" + pairs + b"e\x85q\1R" + b"h\0h\1R" * 9 + b"t."
    assert [len(made) for made in _run(io.BytesIO(program), {})] == [1000] + [0] * 9  # or a megabyte would make 40 GB


@pytest.mark.parametrize("names", [("1", "²"), ("٤", "b"), ("conv" + "9" * 5000, "conv1"), ("a01", "a1")])
def test_names_of_any_kind_have_an_order(names):
    assert sorted(names, key=_natural) and _natural("conv2") < _natural("conv010") < _natural("conv11")


def test_a_damaged_pickle_is_not_quoted(tmp_path):
    (tmp_path / "net.pth").write_bytes(b"M\x1c\xfaI\x9a\xe7\n.")
    with pytest.raises(
        LossNetworkError, match=r"net.pth is no loss network \(it is damaged, or no file of PyTorch's\)"
    ):
        load_vgg(["relu1_1"], str(tmp_path / "net.pth"))


def test_the_function_that_a_pickle_names_is_said(tmp_path):
    path = tmp_path / "vgg.pth"
    path.write_bytes(HOSTILE["system"])
    with pytest.raises(LossNetworkError, match=r"its pickle names (posix|nt)\.system, and not just a state dict"):
        load_vgg(["relu1_1"], str(path))


def test_arrays_may_share_numbers_and_lie_in_any_order():
    both = np.arange(6, dtype=np.float32)
    turned = tensor("0", both, 1, (2, 2), (1, 2))  # a matrix, which is left out
    program = (
        text("vector") + tensor("0", both, 2, (4,), (1,)) + text("cube") + tensor("0", both, 0, (1, 3, 2), (6, 1, 3))
    )
    for write in (pth, legacy):
        found = read_state_dict(write({"a": both}, b"\x80\x02}(" + program + text("matrix") + turned + b"u."), MOST)
        assert found.keys() == {"vector", "cube"}
        assert np.array_equal(found["vector"], both[2:])
        assert np.array_equal(found["cube"], both.reshape(1, 2, 3).transpose(0, 2, 1))


# Records


def test_options_name_a_file_by_its_sha256_and_know_another_one(tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(npz(shipped()))
    options = TrainingOptions(loss=LossOptions(loss_network=str(path)))
    described_as = options.describe()["loss"]["loss_network"]
    assert described_as == described(str(path)) == f"mine.npz (sha256 {sha256_of(path)})"
    assert str(tmp_path) not in json.dumps(options.describe())
    assert TrainingOptions.of(options.describe()).describe() == options.describe()
    (tmp_path / "moved").mkdir()
    moved = path.rename(tmp_path / "moved" / "mine.npz")
    same = TrainingOptions(loss=LossOptions(loss_network=str(moved)))
    assert same.differences(options.describe()) == ""
    moved.write_bytes(npz(shipped(rgb=True)))
    another = TrainingOptions(loss=LossOptions(loss_network=str(moved)))
    assert another.differences(options.describe()) == f"loss_network: {described_as}"
    assert described("zoo:vgg16") == "zoo:vgg16" and described("vgg19") == "vgg19"
