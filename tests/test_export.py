"""Models elsewhere: one-file exports, and external models."""

import hashlib
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers import edit_description, pixels, save, tiny_multistyle
from onnx import TensorProto, helper, numpy_helper
from skimage import data

from e2e_art import load, load_doodle, load_texture
from e2e_art.commands.main import main
from e2e_art.engines.gluon import cpu
from e2e_art.engines.onnxruntime import _weight_files
from e2e_art.errors import ModelError, OptionError, UserError
from e2e_art.images.resize import resize
from e2e_art.models.folder import read_model
from e2e_art.models.kinds import KINDS
from e2e_art.models.onnx_file import METADATA, onnx_file
from e2e_art.models.publish import publish
from e2e_art.networks.chain import TextureChain
from e2e_art.networks.inputs import seeded_noise


@pytest.fixture
def photo_file(tmp_path):
    return save(tmp_path / "photo.png", data.rocket()[100:197, 200:331])


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other).max()


# One file


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_one_file_paints_as_the_model_does(published, photo, tmp_path, strength):
    (tmp_path / "whole.onnx").write_bytes(onnx_file(read_model(published)))
    painter, whole = load(published), load(tmp_path / "whole.onnx")
    assert len(whole.model.stages) == 2
    for one, other in zip(painter.stages(photo, strength=strength), whole.stages(photo, strength=strength)):
        assert difference(one, other) <= 1


def test_a_file_says_what_it_is(published):
    model = onnx.load_model_from_string(onnx_file(read_model(published)))
    properties = {entry.key: entry.value for entry in model.metadata_props}
    about = json.loads(properties[METADATA])
    assert (about["name"], about["title"], about["stages"]) == ("small_model", "Small Model", 2)
    assert "RGB in 0..255" in about["convention"]
    assert properties["license"] == "Apache-2.0"
    assert [place.name for place in model.graph.input] == ["image", "strength"]
    assert not [tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]


def test_a_file_of_several_styles_names_them_in_their_order(photo, tmp_path):
    folder = tiny_multistyle(tmp_path / "museum")
    file = onnx_file(read_model(folder))
    model = onnx.load_model_from_string(file)
    about = json.loads({entry.key: entry.value for entry in model.metadata_props}[METADATA])
    assert about["styles"] == ["waves", "the_scream", "udnie"]
    assert "style: float32 (S,)" in about["convention"]
    assert [place.name for place in model.graph.input] == ["image", "strength", "style"]
    image = photo.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    given = {"image": image, "strength": np.ones(1, np.float32), "style": np.array([0, 0.25, 0.75], np.float32)}
    *_, painting = onnxruntime.InferenceSession(file).run(None, given)
    expected = load(folder, style={"udnie": 3, "the_scream": 1})(photo)
    assert difference(np.rint(painting[0].transpose(1, 2, 0)), expected) <= 1


def test_an_earlier_stage_a_fixed_size_and_half_precision(published, photo, tmp_path):
    model = read_model(published)
    expected = load(published).stages(photo)
    (tmp_path / "first.onnx").write_bytes(onnx_file(model, stage=0, size=photo.shape[:2]))
    first = load(tmp_path / "first.onnx")
    assert len(first.model.stages) == 1
    assert difference(first(photo), expected[0]) <= 1
    graph = onnx.load(str(tmp_path / "first.onnx")).graph
    assert [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim] == [1, 3, 97, 131]
    small = np.ascontiguousarray(photo[:60, :80])  # any other size is brought to that, and back
    regrown = resize(load(published).stages(resize(small, 97, 131))[0], 60, 80)
    assert difference(first(small), regrown) <= 2
    half = onnx_file(model, half=True)
    (tmp_path / "half.onnx").write_bytes(half)
    kinds = {tensor.data_type for tensor in onnx.load_model_from_string(half).graph.initializer}
    assert TensorProto.FLOAT16 in kinds
    error = np.square(load(tmp_path / "half.onnx")(photo).astype(float) - expected[-1]).mean()
    assert 10 * np.log10(255**2 / error) > 35  # dB


def test_stages_and_sizes_that_there_are_not(published):
    model = read_model(published)
    with pytest.raises(OptionError, match="small_model has stages 0 to 1, not 2"):
        onnx_file(model, stage=2)
    with pytest.raises(OptionError, match="have to be 1 pixel or more, up to 65536, not 5x0"):
        onnx_file(model, size=(0, 5))


# Networks of others


def network(path, body=None, inputs=(("input1", (1, 3, "H", "W")),), fixed=None, constants=(), output="output1"):
    """Writes a model of one picture in, one out; body: nodes from input1 to output1, its negative by default."""
    nodes = body or [helper.make_node("Sub", ["white", "input1"], ["output1"])]
    shape = (1, 3, *fixed) if fixed else None
    places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape or own) for name, own in inputs]
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    white = numpy_helper.from_array(np.array([255.0], np.float32), "white")
    graph = helper.make_graph(nodes, "network", places, [result], [white, *constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def strided(path):
    """A network with strides, as Johnson's: it shrinks twice and grows again, and rounds odd sizes up."""
    weight = np.zeros((3, 3, 3, 3), np.float32)
    weight[[0, 1, 2], [0, 1, 2], 1, 1] = 1
    body = [
        helper.make_node("Conv", ["input1", "w"], ["half"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["half", "w"], ["quarter"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Resize", ["quarter", "", "scales"], ["output1"], mode="nearest"),
    ]
    scales = numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales")
    return network(path, body, constants=[numpy_helper.from_array(weight, "w"), scales])


def test_a_network_like_johnsons_just_works(tmp_path, photo_file, capsys):
    graph = network(tmp_path / "candy.onnx")
    assert main(["infer", str(photo_file), "--model", str(graph), "-o", str(tmp_path / "out.png")]) == 0
    assert difference(pixels(tmp_path / "out.png"), 255 - pixels(photo_file)) == 0
    painter = load(graph)
    assert painter.model.title == "Candy"
    half = painter(pixels(photo_file).astype(np.uint8), strength=0.5)
    assert np.abs(half - 127.5).max() <= 1
    capsys.readouterr()
    sheet = ["infer", str(photo_file), "--model", str(graph), "--stages", "-o", str(tmp_path / "sheet.png")]
    assert main(sheet) == 0
    assert (tmp_path / "sheet_sheet.jpg").exists()


def test_sheets_of_a_network_of_one_size(tmp_path, photo_file):
    graph = network(tmp_path / "square.onnx", fixed=(64, 64))
    for number, words in enumerate(([], ["--size", "200", "--as-painted"])):
        out = tmp_path / f"{number}.png"
        assert main(["infer", str(photo_file), "--model", str(graph), "--stages", "-o", str(out), *words]) == 0
        assert (tmp_path / f"{number}_sheet.jpg").exists()
        assert pixels(out).shape[1] == (200 if words else 131)


@pytest.mark.parametrize(("height", "width"), [(97, 131), (1, 1), (2, 50), (64, 64)])
def test_sizes_that_strides_would_round(tmp_path, height, width):
    picture = np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)
    painting = load(strided(tmp_path / "strided.onnx"))(picture)
    assert painting.shape == picture.shape
    assert np.array_equal(painting[::4, ::4], picture[::4, ::4])


def test_a_network_of_one_size_paints_at_that(tmp_path, photo):
    painting = load(network(tmp_path / "fixed.onnx", fixed=(64, 80)))(photo)
    assert painting.shape == photo.shape
    assert np.abs(painting.astype(int) - (255 - photo.astype(int))).mean() < 25


def test_what_paints_nothing_is_refused_in_one_sentence(tmp_path, photo, capsys):
    def refused(path, says):
        with pytest.raises(UserError, match=says):
            load(path)(photo)

    refused(network(tmp_path / "two.onnx", inputs=[("input1", (1, 3, "H", "W")), ("other", (1,))]), "two.onnx takes")
    gray = network(tmp_path / "gray.onnx", inputs=[("input1", (1, 1, "H", "W"))])
    refused(gray, r"not one picture \(1, 3, H, W\) or \(1, H, W, 3\)")
    scaled = [helper.make_node("Div", ["input1", "white"], ["output1"])]
    refused(network(tmp_path / "scaled.onnx", scaled), r"paints in 0\.\.1, not in 0\.\.255: export it so")
    mean = [helper.make_node("ReduceMean", ["input1"], ["output1"], axes=[1])]
    refused(network(tmp_path / "mean.onnx", mean), r"not a picture \(1, 3, H, W\): export it so")
    pooled = [helper.make_node("AveragePool", ["input1"], ["output1"], kernel_shape=[4, 4], strides=[4, 4])]
    refused(network(tmp_path / "few.onnx", pooled), r"few\.onnx makes 34x26 of 136x104 pixels, too few for a painting")
    twice = [helper.make_node("Concat", ["input1", "input1"], ["output1"], axis=0)]
    refused(network(tmp_path / "twice.onnx", twice), r"gives \[2, 3, 104, 136\], not a picture")
    listed = [helper.make_node("SequenceConstruct", ["input1"], ["output1"])]
    refused(network(tmp_path / "list.onnx", listed), r"list\.onnx (gives no numbers, so no picture|cannot be loaded)")
    logarithm = [
        helper.make_node("Sub", ["input1", "input1"], ["zero"]),
        helper.make_node("Log", ["zero"], ["output1"]),
    ]
    refused(network(tmp_path / "log.onnx", logarithm), "gives infinite numbers or none .NaN., so no picture")
    square = [helper.make_node("MatMul", ["input1", "input1"], ["output1"])]
    refused(network(tmp_path / "square.onnx", square), r"square\.onnx could not paint this")
    constant = [helper.make_node("Identity", ["white"], ["output1"])]
    refused(network(tmp_path / "nothing.onnx", constant, inputs=()), r"nothing\.onnx takes nothing, not one picture")
    (tmp_path / "text.onnx").write_text("nothing of the kind")
    refused(tmp_path / "text.onnx", r"text\.onnx cannot be loaded")
    refused(tmp_path / "none.onnx", "There is no file")
    with pytest.raises(OptionError, match="is a file for onnxruntime: leave --engine mxnet out"):
        load(network(tmp_path / "fine.onnx"), engine="mxnet")
    assert issubclass(ModelError, UserError)


# Files that a graph reads


def secret_graph(path, location: bytes, reverse: bool = False):
    """Writes a network that adds the bytes of a file to a photo: with its words the other way round, if reverse."""
    weight = TensorProto(name="secret", data_type=TensorProto.UINT8, dims=[1, 1, 1, 8], data_location=1)
    for key, value in (("offset", "0"), ("length", "8")):
        weight.external_data.add(key=key, value=value)

    def sized(content: bytes) -> bytes:
        return bytes([len(content) & 127 | 128, len(content) >> 7]) + content

    words = [b"\x0a\x08location", b"\x12" + sized(location)]
    entry = b"".join(words[::-1] if reverse else words)
    nodes = [helper.make_node("Cast", ["secret"], ["floats"], to=1)]
    nodes += [
        helper.make_node("ReduceMax", ["floats"], ["most"]),
        helper.make_node("Max", ["input1", "most"], ["output1"]),
    ]
    network(path, nodes)
    tensor = weight.SerializeToString() + b"\x6a" + sized(entry)
    graph = onnx.load(str(path)).graph.SerializeToString() + b"\x2a" + sized(tensor)
    model = helper.make_model(onnx.GraphProto(), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.ClearField("graph")
    path.write_bytes(model.SerializeToString() + b"\x3a" + sized(graph))
    return path


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("location", ["../secret", "{}/secret", "link", "folder/../../secret", "folder/link"])
def test_a_graph_reads_no_file_outside_of_its_folder(tmp_path, photo, location, reverse):
    inside = tmp_path / "inside"
    (inside / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"password")
    (inside / "link").symlink_to("../secret")
    (inside / "folder" / "link").symlink_to(tmp_path / "secret")
    path = secret_graph(inside / "model.onnx", location.format(tmp_path).encode(), reverse)
    with pytest.raises(UserError, match=r"model\.onnx cannot be loaded: it reads .*, outside of its folder"):
        load(path)(photo)


def test_a_graph_may_keep_weights_beside_it(tmp_path, photo):
    (tmp_path / "weights").write_bytes(bytes([200] * 8))
    assert load(secret_graph(tmp_path / "model.onnx", b"weights"))(photo).min() == 200


def test_every_place_of_a_tensor_is_looked_into(tmp_path):
    tensor = TensorProto(name="w", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="elsewhere")
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    graph = helper.make_graph([node], "inner", [], [], [tensor])
    graph.sparse_initializer.add().values.CopyFrom(tensor)
    branch = helper.make_node("If", ["white"], ["output1"], then_branch=graph, else_branch=graph)
    content = onnx.load(str(network(tmp_path / "branch.onnx", [branch])), load_external_data=False)
    content.functions.add(name="f", domain="d").node.add().CopyFrom(node)
    path = tmp_path / "whole.onnx"
    path.write_bytes(content.SerializeToString())
    assert list(_weight_files(path)) == ["elsewhere"] * 7
    for broken in (b"", b"\x3a", b"\x3a\xff", b"\x3b", b"\xff" * 20, b"text of no kind"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="no ONNX graph"):
            list(_weight_files(path))


def test_graphs_that_would_keep_a_reader_busy(tmp_path, photo):
    """A hostile file costs no more than a moment: neither nesting nor countless parts."""

    def field(number: int, content: bytes) -> bytes:
        length, size = len(content), b""
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    deep, path = b"", tmp_path / "hostile.onnx"
    for _ in range(3000):
        deep = field(1, field(5, field(6, deep)))  # a graph in an attribute of a node of a graph ...
    for content, says in ((deep, "no ONNX graph"), (b"\x0a\x00" * 600_000, "more parts than any network")):
        path.write_bytes(field(7, content))
        with pytest.raises(UserError, match=says):
            load(path)(photo)


def test_a_model_of_a_stranger_reads_no_file_outside_of_its_folder(published, tmp_path, photo):
    """Its model.json may vouch for any graph."""
    folder, elsewhere = tmp_path / "stranger", "/../etc/.//./passwd"  # as long as what it stands for
    shutil.copytree(published, folder)
    for name in ("model.onnx", "tile-0.onnx"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content.replace(b"stage-0.safetensors", elsewhere.encode()))
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    edit_description(folder, files={name: found for name, found in files.items() if name != "model.json"})
    for tile in (0, 128):
        with pytest.raises(UserError, match=f"onnx cannot be loaded: it reads {elsewhere}, outside of its folder"):
            load(folder)(photo, tile=tile)
    with pytest.raises(ModelError, match=rf"model\.onnx cannot be exported \(The model .* has no {elsewhere}"):
        onnx_file(read_model(folder))


def test_graphs_that_do_not_fit_their_model_are_refused(published, tmp_path, photo):
    folder = tmp_path / "stranger"
    shutil.copytree(published, folder)
    gray = [helper.make_node("ReduceMean", ["input1"], ["output1"], axes=[1])]
    small = [helper.make_node("ReduceMean", ["image"], ["stage_1"], axes=[2])]
    for body, inputs, output, says in (
        (gray, [("input1", (1, 3, "H", "W"))], "output1", "is not the graph of the model that model.json describes"),
        (small, [("image", (1, 3, "H", "W")), ("strength", (1,))], "stage_1", "is not the graph of the model"),
    ):
        network(folder / "model.onnx", body, inputs, output=output)
        network(folder / "tile-0.onnx", body, inputs, output=output)
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        edit_description(folder, files={name: found for name, found in files.items() if name != "model.json"})
        with pytest.raises(UserError, match=says):
            load(folder)(photo)
        with pytest.raises(UserError, match="paints no tiles"):
            load(folder)(photo, tile=128)


# The commands


def test_export_through_the_command(published, photo_file, tmp_path, capsys):
    out = tmp_path / "new" / "small.onnx"
    words = ["export", "--model", str(published), "--onnx", str(out)]
    assert main([*words, "--stage", "0", "--size", "131x97"]) == 0
    assert "Small Model, " in capsys.readouterr().out
    assert main(["infer", str(photo_file), "--model", str(out), "-o", str(tmp_path / "out.png")]) == 0
    expected = load(published)(pixels(photo_file).astype(np.uint8), stage=0)
    assert difference(pixels(tmp_path / "out.png"), expected) <= 1
    capsys.readouterr()
    for more, says in (
        ([], "exists: choose another --onnx, or add --overwrite"),
        (["--overwrite", "--size", "97"], "--size takes width x height such as 480x320, not '97'"),
        (
            ["--overwrite", "--model", str(published), "starry_night"],
            "a file of one model, not of 2: name it with",
        ),
        (
            ["--overwrite", "--size", "99999x5"],
            "--size have to be 1 pixel or more, up to 65536, not 99999x5",
        ),
        (["--overwrite", "--model", "no such"], "There is no model 'no such'"),
    ):
        assert main([*words, *more]) == 2
        assert says in capsys.readouterr().err
    assert main(["export", "--model", str(published), "--web", str(tmp_path / "w"), "--half"]) == 2
    assert "--half goes with --onnx: leave it out with --web" in capsys.readouterr().err


def test_export_of_a_page_through_the_command(published, tmp_path, capsys):
    words = ["export", "--web", str(tmp_path / "page"), "--model", str(published)]
    assert main([*words, str(published)]) == 2
    assert "Two models are called small_model" in capsys.readouterr().err
    chain = TextureChain([{"kind": "texture", "residual_weight": 1.0}])
    chain.draw_weights(1, [cpu()])
    texture = publish(chain, tmp_path / "wall", {})
    assert main([*words, str(texture.folder)]) == 2
    assert "no use for wall: leave it out" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("size", [None, (64, 96)])
@pytest.mark.parametrize("kind", ["texture", "doodle"])
def test_textures_and_doodles_as_one_file(kind, size, tmp_path):
    stage = {"kind": kind, "residual_weight": 1.0, **({"regions": 2} if kind == "doodle" else {})}
    palette = [{"color": "#ffffff", "name": "white"}, {"color": "#0000ff", "name": "blue"}]
    chain = KINDS[kind].chain([stage])
    chain.draw_weights(1, [cpu()])
    model = publish(chain, tmp_path / "lake", {"palette": palette})
    graph = onnx_file(model, size=size)
    about = json.loads(onnx.load_model_from_string(graph).metadata_props[0].value)
    assert about["name"] == "lake" and "noise: (1, " in about["convention"]
    assert about.get("palette", palette) == palette
    given = {"noise": seeded_noise(5, 6 if kind == "texture" else 16, 64, 96)}
    expected = load_texture(model.folder)(64, 96, seed=5) if kind == "texture" else None
    if kind == "doodle":
        doodle = np.full((64, 96, 3), 255, np.uint8)
        doodle[20:50, 30:] = 0, 0, 255
        given["regions"] = np.stack([doodle[..., 0] == 255, doodle[..., 0] == 0])[np.newaxis].astype(np.float32)
        expected = load_doodle(model.folder)(doodle, seed=5)
    (picture,) = onnxruntime.InferenceSession(graph).run(["stage_0"], given)
    assert difference(np.rint(picture[0]).transpose(1, 2, 0).clip(0, 255), expected) <= 1
