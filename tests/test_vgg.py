"""The loss network, beside an independent implementation."""

import importlib.util
import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import needs_bfloat16, value_and_gradient
from PIL import ImageFile

from e2e_art.engines.choice import EngineError
from e2e_art.engines.gluon import NAME, array, to_numpy
from e2e_art.files import pretrained_folder
from e2e_art.images.arrays import to_vgg_space
from e2e_art.networks import vgg
from e2e_art.networks.vgg import LossNetworkError, VGGFeatures, layers_of, load_vgg

pytestmark = pytest.mark.numerical

EXPECTED = json.loads((Path(__file__).parent / "data" / "vgg19-expected-activations.json").read_text())
LAYERS = list(EXPECTED["max"])


def expected_input():
    """The picture that "input" in the file of expectations describes."""
    row, column, channel = np.ogrid[:64, :96, :3]
    picture = (7 * row + 13 * column + 29 * channel + row * column // 5) % 256
    return array(to_vgg_space(picture.astype(np.uint8)))


@pytest.fixture(scope="module")
def network():
    return load_vgg(["relu1_2", "relu3_1"], bfloat16=False)


@pytest.mark.parametrize(("pooling", "key"), [("max", "max"), ("average", "avg")])
def test_activations_are_those_of_an_independent_implementation(pooling, key):
    maps = load_vgg(LAYERS, pooling=pooling, bfloat16=False)(expected_input())
    assert len(maps) == len(LAYERS) == 16
    for layer, map_ in zip(LAYERS, maps):
        expected, found = EXPECTED[key][layer], to_numpy(map_).astype(np.float64)
        assert list(found.shape) == expected["shape"], layer
        for statistic in ("mean", "std", "max"):
            assert getattr(found, statistic)() == pytest.approx(expected[statistic], rel=1e-4), (layer, statistic)
        first = found[0, :4, found.shape[2] // 2, found.shape[3] // 2]
        assert first == pytest.approx(expected["first"], rel=1e-3, abs=1e-4 * expected["max"]), layer


def test_maps_come_in_the_order_asked_for(network):
    picture = expected_input()
    turned = load_vgg(["relu3_1", "relu1_2"], bfloat16=False)(picture)
    for one, other in zip(network(picture), reversed(turned)):
        assert np.array_equal(to_numpy(one), to_numpy(other))


@needs_bfloat16
def test_bfloat16_sees_nearly_the_same_and_answers_in_float32():
    layers = ["relu1_1", "relu3_1", "relu5_1"]
    picture = expected_input()
    exact, fast = (load_vgg(layers, bfloat16=how)(picture) for how in (False, True))
    for layer, one, other in zip(layers, exact, fast):
        assert to_numpy(other).dtype == np.float32
        error = np.linalg.norm(to_numpy(one - other)) / np.linalg.norm(to_numpy(one))
        assert 0 < error < 0.02, layer  # 0 would mean that nothing was computed in bfloat16


def test_without_bfloat16_it_computes_in_float32_and_says_so(network, monkeypatch, caplog):
    monkeypatch.setattr(vgg, "has_bfloat16", lambda devices: False)
    with caplog.at_level(logging.INFO):
        other = load_vgg(network.layers, bfloat16=True)
    assert [record.message for record in caplog.records] == [
        "There is no bfloat16 here: the loss network computes in float32"
    ]
    assert not other.bfloat16 and not load_vgg(network.layers).bfloat16
    for one, same in zip(network(expected_input()), other(expected_input())):
        assert np.array_equal(to_numpy(one), to_numpy(same))


def test_hybridized_sees_the_same(network):
    slow = load_vgg(network.layers, bfloat16=False)
    slow.hybridize(False)
    for one, other in zip(network(expected_input()), slow(expected_input())):
        assert np.allclose(to_numpy(one), to_numpy(other), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize(("height", "width"), [(97, 131), (5, 4)])
def test_odd_sizes_are_halved_downwards(network, height, width):
    first, third = network(array(np.zeros((2, 3, height, width))))
    assert first.shape == (2, 64, height, width)
    assert third.shape == (2, 256, height // 4, width // 4)


def test_a_network_of_other_layers_shares_the_weights():
    network = load_vgg(["relu1_1", "relu2_1"], bfloat16=False)
    other = network.of_layers(["relu1_1"])
    picture = expected_input()
    before = to_numpy(other(picture)[0])
    assert np.array_equal(before, to_numpy(network(picture)[0]))
    for parameter in (network.conv1_1_weight, network.conv1_1_bias):
        parameter.set_data(2 * to_numpy(parameter.data()))
    assert np.allclose(to_numpy(other(picture)[0]), 2 * before, rtol=1e-5, atol=1e-3)


def test_weights_do_not_learn_but_pictures_do(network):
    _, gradient = value_and_gradient(lambda picture: network(picture)[0], expected_input())
    assert np.abs(gradient).max() > 0
    assert not any(parameter.learns for parameter in network.named_parameters().values())


# What there is not


@pytest.mark.parametrize("layer", ["relu6_1", "relu1_3", "conv1_1", ""])
def test_a_layer_that_there_is_not_is_refused_with_those_that_there_are(layer):
    with pytest.raises(LossNetworkError, match=f"unknown VGG-19 layer '{layer}': choose relu1_1, .*or relu5_4$"):
        VGGFeatures([layer])


def test_a_shallower_network_has_fewer_layers():
    assert VGGFeatures(["relu5_2"], depth=11).positions == ["1_1", "2_1", "3_1", "3_2", "4_1", "4_2", "5_1", "5_2"]
    with pytest.raises(LossNetworkError, match="unknown VGG-11 layer 'relu1_2'"):
        VGGFeatures(["relu1_2"], depth=11)


def test_no_such_pooling_depth_or_network():
    with pytest.raises(LossNetworkError, match="unknown pooling 'median': choose average or max"):
        load_vgg(["relu1_1"], pooling="median")
    with pytest.raises(LossNetworkError, match="unknown VGG depth '17': choose 11, 13, 16 or 19"):
        load_vgg(["relu1_1"], "zoo:vgg17")
    with pytest.raises(LossNetworkError, match="unknown loss network 'resnet': choose vgg19"):
        load_vgg(["relu1_1"], "resnet")
    with pytest.raises(LossNetworkError, match="'vgg16' is not shipped: choose vgg19, zoo:vgg16 from .*, or a file"):
        load_vgg(["relu1_1"], "vgg16")


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def bent(content: bytes) -> bytes:
    middle = content.index(b"conv1_1_index.npy") + 1000  # within the indices of the first layer
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut_short, bent, lambda content: b"", lambda content: b"no weights at all", None])
def test_damaged_or_missing_weights_are_named(tmp_path, monkeypatch, damage):
    path = tmp_path / "vgg19" / "vgg19-conv-8bit.npz"
    path.parent.mkdir()
    if damage:
        whole = (pretrained_folder() / "vgg19" / "vgg19-conv-8bit.npz").read_bytes()
        path.write_bytes(damage(whole))
    monkeypatch.setattr(vgg, "pretrained_folder", lambda: tmp_path)
    with pytest.raises(LossNetworkError, match="weights cannot be read from .*vgg19-conv-8bit.npz .*reinstall"):
        load_vgg(["relu1_1"])


# The model zoo


LOAD_FROM_ZOO = """
from e2e_art.errors import UserError
from e2e_art.networks.vgg import load_vgg
try:
    load_vgg(["relu1_1"], "zoo:vgg11")
except UserError as error:
    print(error)
"""
of_mxnet = pytest.mark.skipif(NAME != "MXNet", reason="gluoncv's networks are MXNet's")


@pytest.mark.skipif(NAME == "MXNet", reason="MXNet has it")
def test_without_mxnet_there_is_no_zoo():
    with pytest.raises(EngineError, match="zoo:vgg11 comes from gluoncv, which needs MXNet: add --engine mxnet"):
        load_vgg(["relu1_1"], "zoo:vgg11")


@of_mxnet
def test_without_gluoncv_the_zoo_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gluoncv", None)  # what an import finds where it is not installed
    with pytest.raises(EngineError, match="gluoncv is not installed, zoo:vgg11 needs it: pip install gluoncv"):
        load_vgg(["relu1_1"], "zoo:vgg11")


@of_mxnet
@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("gluoncv"), reason="no gluoncv")
def test_without_a_network_the_zoo_says_so(fresh_python, tmp_path):
    nowhere = "http://127.0.0.1:9"
    proxies = {name: nowhere for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    said = fresh_python(LOAD_FROM_ZOO, MXNET_HOME=str(tmp_path), no_proxy="", NO_PROXY="", **proxies).stdout
    lines = [line for line in said.splitlines() if line.startswith("gluoncv could not download vgg11 (")]
    assert len(lines) == 1
    assert lines[0].endswith("check the network, or train with the shipped vgg19")


@of_mxnet
@pytest.mark.skipif(not importlib.util.find_spec("gluoncv"), reason="no gluoncv")
def test_a_network_of_the_zoo_sees_pictures_as_it_learned_them(monkeypatch):
    from e2e_art.engines.mxnet import model_zoo, mx

    zoo = model_zoo()
    mx.random.seed(1)
    untrained = zoo.get_model("vgg11", pretrained=False)
    untrained.initialize(mx.init.Xavier(magnitude=2))
    picture = expected_input()
    colors = (picture + array([123.68, 116.779, 103.939]).reshape((1, 3, 1, 1))) / 255
    means, deviations = (array(v).reshape((1, 3, 1, 1)) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x, seen = (colors - means) / deviations, []
    for block in untrained.features:
        if isinstance(block, mx.gluon.nn.Dense):
            break
        x = block(x)
        if isinstance(block, mx.gluon.nn.Activation):
            seen.append(x)  # relu1_1, relu2_1, relu3_1, relu3_2 ...
    # The download is all that is left out here: the weights are random instead.
    monkeypatch.setattr(zoo, "get_model", lambda name, pretrained: untrained)
    ours = load_vgg(["relu1_1", "relu2_1", "relu3_2"], "zoo:vgg11", pooling="max", bfloat16=False)(picture)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES  # as gluoncv leaves it, damaged photos would be taken for whole ones
    for theirs, mine in zip((seen[0], seen[1], seen[3]), ours):
        assert np.allclose(to_numpy(theirs), to_numpy(mine), rtol=1e-3, atol=1e-4 * to_numpy(theirs).max())


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("vgg19", (2, 2, 4, 4, 4)), ("zoo:vgg16", (2, 2, 3, 3, 3)), ("zoo:vgg11", (1, 1, 2, 2, 2))],
)
def test_the_layers_of_a_network(name, blocks):
    expected = [f"relu{block}_{index}" for block, count in enumerate(blocks, 1) for index in range(1, count + 1)]
    assert layers_of(name) == expected
    with pytest.raises(LossNetworkError, match="unknown VGG depth '12'"):
        layers_of("zoo:vgg12")
