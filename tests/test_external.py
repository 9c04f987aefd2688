"""ONNX files of others: every form in which networks are exported paints, or is refused in one true sentence."""

import logging

import numpy as np
import onnx
import pytest
from helpers import assert_one_sentence, pixels, save
from onnx import TensorProto, helper, numpy_helper

from e2e_art import load
from e2e_art.commands.main import main
from e2e_art.errors import ModelError

TYPES = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16, np.uint8: TensorProto.UINT8}
TYPES[np.float64] = TensorProto.DOUBLE
ANY = (1, 3, "H", "W")


def network(path, nodes=(), shape=ANY, dtype=np.float32, constants=None, ir=8, opset=17, domains=(), made=None):
    """Writes a network from "photo" to "painting"; by default it gives the negative."""
    nodes = nodes or [("Sub", ["white", "photo"], "painting", {})]
    constants = {"white": np.array(255, dtype), **(constants or {})}
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output], **options) for kind, inputs, output, options in nodes],
        "network",
        [helper.make_tensor_value_info("photo", TYPES[dtype], shape)],
        [helper.make_tensor_value_info("painting", TYPES[made or dtype], None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=ir), path)
    return path


@pytest.fixture(scope="module")
def ramp():
    """A photo whose every pixel is known: red grows to the right, green downwards."""
    y, x = np.mgrid[:60, :90]
    return np.stack([x * 255 // 89, y * 255 // 59, np.full_like(x, 128)], -1).astype(np.uint8)


@pytest.mark.parametrize("batch", [1, "batch", "batch_size", "N", "None", None])
def test_any_name_of_the_first_axis(tmp_path, ramp, batch):
    painter = load(network(tmp_path / "network.onnx", shape=(batch, 3, "height", "width")))
    assert np.array_equal(painter(ramp), 255 - ramp)


@pytest.mark.parametrize("shape", [("a", "b", "c", "d"), (None, None, None, None)])
def test_axes_without_any_number(tmp_path, ramp, shape):
    assert np.array_equal(load(network(tmp_path / "network.onnx", shape=shape))(ramp), 255 - ramp)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [ANY, (1, "H", "W", 3), ("N", "H", "W", 3), (1, 64, 96, 3)])
def test_types_and_channels_last(tmp_path, ramp, dtype, shape):
    nodes = [
        *(("Cast", [name], f"{name}_1", {"to": TensorProto.FLOAT}) for name in ("white", "photo")),
        ("Sub", ["white_1", "photo_1"], "negative", {}),
        ("Cast", ["negative"], "painting", {"to": TYPES[dtype]}),
    ]
    painting = load(network(tmp_path / "network.onnx", nodes, shape, dtype))(ramp)
    worst = 8 if 64 in shape else 0  # scaled there and back
    assert painting.shape == ramp.shape
    assert np.abs(painting.astype(int) - (255 - ramp.astype(int))).max() <= worst


@pytest.mark.parametrize(("shape", "size"), [((1, 3, 64, "W"), (90, 64)), ((1, 3, "H", 64), (64, 60))])
def test_one_side_of_a_single_size(tmp_path, ramp, shape, size, caplog):
    caplog.set_level(logging.INFO)
    painting = load(network(tmp_path / "network.onnx", shape=shape))(ramp)
    assert painting.shape == ramp.shape and np.abs(painting.astype(int) - (255 - ramp.astype(int))).mean() < 3
    assert f"network.onnx paints at {size[0]}x{size[1]} pixels alone" in caplog.text


def box(size: int) -> np.ndarray:
    weight = np.zeros((3, 3, size, size), np.float32)
    weight[[0, 1, 2], [0, 1, 2]] = 1 / size**2
    return weight


def test_a_smaller_picture_is_scaled_to_the_photo_and_not_cropped(tmp_path, ramp, caplog):
    """A convolution without padding loses a border of 4 pixels."""
    caplog.set_level(logging.INFO)
    path = network(tmp_path / "valid.onnx", [("Conv", ["photo", "w"], "painting", {})], constants={"w": box(9)})
    painter = load(path)
    painting = painter(ramp)
    assert painting.shape == ramp.shape
    assert np.abs(painting[10:50, 10:80].astype(int) - ramp[10:50, 10:80]).max() <= 14  # nothing moved by 8 pixels
    painter(ramp)
    assert caplog.text.count("valid.onnx makes 88x56 of 96x64 pixels: its pictures are scaled to the photo") == 1


@pytest.mark.parametrize("factor", [2, 4, 1.5])
def test_a_network_that_enlarges(tmp_path, ramp, factor, capfd):
    scales = np.array([1, 1, factor, factor], np.float32)
    node = ("Resize", ["photo", "", "scales"], "painting", {"mode": "linear"})
    path = network(tmp_path / "large.onnx", [node], constants={"scales": scales})
    photo = save(tmp_path / "photo.png", ramp)
    for words, shape in (([], (60, 90)), (["--as-painted"], (60 * factor, 90 * factor))):
        out = tmp_path / f"out{len(words)}.png"
        assert main(["infer", str(photo), "--model", str(path), "-o", str(out), *words]) == 0
        painting = pixels(out)
        assert painting.shape[:2] == shape
        corners = [painting[row, column] for row in (0, -1) for column in (0, -1)]
        expected = [ramp[row, column].astype(int) for row in (0, -1) for column in (0, -1)]
        assert np.abs(np.subtract(corners, expected)).max() <= 6  # the whole photo, not a corner of it
    half = load(path)(ramp, as_painted=True, strength=0.5)
    assert half.shape[:2] == shape and np.abs(half[0, 0].astype(int) - ramp[0, 0]).max() <= 6


def test_a_name_in_upper_case(tmp_path, ramp):
    photo, out = save(tmp_path / "photo.png", ramp), tmp_path / "out.png"
    path = network(tmp_path / "STYLE.ONNX")
    assert main(["infer", str(photo), "--model", str(path), "-o", str(out)]) == 0
    assert np.array_equal(pixels(out), 255 - ramp.astype(int))


@pytest.fixture
def refused(tmp_path, ramp, capsys):
    """Checks that a model paints nothing, with one sentence of these words and none of onnxruntime's own."""
    photo = save(tmp_path / "photo.png", ramp)

    def check(path, *parts, words=(), whole=False):
        code = main(["infer", str(photo), "--model", str(path), "-o", str(tmp_path / "out.png"), *words])
        error = capsys.readouterr().err
        assert_one_sentence(code, error, path.stem, *parts)
        assert "ONNXRuntimeError" not in error and "/onnxruntime/" not in error and "from" not in error
        assert whole or "whole copy" not in error
        assert not (tmp_path / "out.png").exists()

    return check


def test_files_of_a_later_day(tmp_path, refused):
    needs = "it was written for a newer onnxruntime: pip install --upgrade onnxruntime"
    refused(network(tmp_path / "future.onnx", ir=99), needs)
    refused(network(tmp_path / "opset.onnx", opset=99), needs)


def test_names_that_are_no_text(tmp_path, refused):
    path = network(tmp_path / "names.onnx")
    path.write_bytes(path.read_bytes().replace(b"painting", b"paint\xe9ng"))
    refused(path, "it is no ONNX graph, or a part of one", whole=True)


def test_operators_that_there_are_not(tmp_path, refused):
    custom = [("Swirl", ["photo"], "painting", {"domain": "com.artist"})]
    refused(network(tmp_path / "custom.onnx", custom, domains=["com.artist"]), "needs the operator com.artist:Swirl")
    missing = [("Oil", ["photo"], "painting", {})]
    refused(network(tmp_path / "missing.onnx", missing), "needs the operator", "Oil")


def test_numbers_that_are_none(tmp_path, refused):
    zero = [("Mul", ["photo", "zero"], "none", {}), ("Div", ["none", "none"], "painting", {})]
    path = network(tmp_path / "nan.onnx", zero, constants={"zero": np.float32(0)})
    refused(path, "gives infinite numbers or none (NaN), so no picture: choose another model")
    refused(network(tmp_path / "text.onnx", [("Cast", ["photo"], "painting", {"to": 8})], made=np.float32), "text.onnx")


def test_inputs_that_are_no_picture(tmp_path, refused):
    for shape in (
        (1, 4, "H", "W"),
        (4, 3, "H", "W"),
        (1, 1, "H", "W"),
        (3, "H", "W"),
        (1, "H", "W", 1),
        (1, 3, 1, 8, 8),
    ):
        refused(network(tmp_path / "other.onnx", shape=shape), "takes photo [", "not one picture (1, 3, H, W)")


def test_outputs_that_are_no_picture(tmp_path, refused):
    refused(network(tmp_path / "mean.onnx", [("ReduceMean", ["photo"], "painting", {"axes": [1]})]), "not a picture")
    refused(network(tmp_path / "flat.onnx", [("Flatten", ["photo"], "painting", {})]), "not a picture")
    few = [("GlobalAveragePool", ["photo"], "painting", {})]
    refused(network(tmp_path / "few.onnx", few), "makes 1x1 of 96x64 pixels, too few for a painting")


def test_weights_in_a_file_that_is_missing(tmp_path, refused):
    path = network(tmp_path / "split.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    refused(path, "its weights lie in another file, which is missing or too short")


def test_tiles_are_for_models_of_ours(tmp_path, capsys):
    path = network(tmp_path / "whole.onnx")
    says = "--tile is for trained models: leave it out for ONNX files of others"
    assert_one_sentence(main(["infer", "x.png", "--model", str(path), "--tile", "96"]), capsys.readouterr().err, says)


def test_other_commands_say_what_such_a_file_is_for(tmp_path, capsys):
    path = str(network(tmp_path / "network.onnx"))
    only_photos = "is an ONNX file, which paints photos and no more"
    for words, says in (
        (["infer", "--info", "--model", path], "--info is for trained models"),
        (["serve", "--model", path], only_photos),
        (["infer", "--texture", path, "-o", "x.png"], only_photos),
    ):
        assert_one_sentence(main(words), capsys.readouterr().err, says)


@pytest.mark.parametrize(("kind", "says"), [("Sigmoid", "paints in 0..1, not"), ("Tanh", "paints in -1..1, not")])
def test_networks_that_paint_in_another_range_are_told_which(tmp_path, ramp, kind, says):
    nodes = [("Sub", ["photo", "gray"], "centered", {}), (kind, ["centered"], "painting", {})]
    path = network(tmp_path / "network.onnx", nodes, constants={"gray": np.float32(128)})
    with pytest.raises(ModelError, match=says):
        load(path)(ramp)
