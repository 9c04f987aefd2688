"""The graphs of every kind of model in OpenVINO: compiled once, they paint any size as onnxruntime does."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from skimage import data

from e2e_art.engines.gluon import cpu
from e2e_art.images.regions import one_hot, snap
from e2e_art.models.folder import Model, tile_file
from e2e_art.models.kinds import KINDS
from e2e_art.models.onnx_file import onnx_file
from e2e_art.models.publish import publish
from e2e_art.networks.inputs import seeded_noise

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install openvino")

SETTINGS = {"INFERENCE_PRECISION_HINT": "f32"}  # else it computes in bfloat16 where the processor can
WITHIN = 0.1  # of 255: a hundred times what single precision makes of another order of sums
ONE = np.ones(1, np.float32)
PALETTE = np.array([[255, 255, 255], [40, 30, 30], [120, 120, 200]], np.uint8)
PYRAMID = {"kind": "pyramid", "channels": [16, 8], "blocks": [1, 1], "details": 4}
KIND = {
    "pyramid": "chain",
    "batch norm": "chain",
    "bing-xu": "chain",
    "johnson": "chain",
    "texture": "texture",
    "doodle": "doodle",
}
STAGES = {
    "pyramid": [PYRAMID] * 3,
    "batch norm": [{**PYRAMID, "norm": "batch"}, {"kind": "conv", "widths": [8] * 6, "norm": "batch"}],
    "bing-xu": [{"kind": "conv", "widths": [8] * 6}, {"kind": "deconv", "widths": [8, 16, 16]}],
    "johnson": [{"kind": "johnson", "widths": [8, 16, 16], "blocks": 2}, PYRAMID],
    "texture": [{"kind": "texture"}, {"kind": "texture", "sees_picture": True}],
    "doodle": [{"kind": "doodle", "regions": 3}, {"kind": "doodle", "regions": 3, "sees_picture": True}],
}
SIZES = {
    "chain": [(97, 131), (1, 1), (1, 7), (64, 48), (150, 33)],
    "texture": [(64, 96), (32, 32), (96, 64)],
    "doodle": [(97, 131), (40, 33), (64, 96)],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Model]:
    """An untrained model of each kind."""
    folder, models = tmp_path_factory.mktemp("models"), {}
    for name, stages in STAGES.items():
        chain = KINDS[KIND[name]].chain(stages)
        chain.draw_weights(1, [cpu()])
        record = {"palette": [{"color": "#" + bytes(each).hex(), "name": str(each)} for each in PALETTE]}
        models[name] = publish(chain, folder / name.replace(" ", "_"), record if KIND[name] == "doodle" else {})
    return models


def inputs(kind: str, height: int, width: int) -> dict[str, np.ndarray]:
    """Returns what the graph of a kind is given for a picture of a size."""
    photo = np.ascontiguousarray(data.rocket()[150:, 260:][:height, :width])
    if kind == "chain":
        return {"image": photo.transpose(2, 0, 1)[np.newaxis].astype(np.float32), "strength": ONE}
    given = {"noise": seeded_noise(3, KINDS[kind].noise_planes, height, width)}
    return {"regions": one_hot(snap(photo, PALETTE), 3)[np.newaxis], **given} if kind == "doodle" else given


def assert_alike(graph, given: list[dict[str, np.ndarray]]) -> None:
    """Checks a graph, a path or an ONNX file's content, with inputs of several sizes in one compiled model."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", SETTINGS)
    for each in given:
        expected, found = session.run(None, each), compiled(each)
        for place, picture in enumerate(expected):
            assert found[place].shape == picture.shape
            assert np.abs(found[place] - picture).max() < WITHIN


@pytest.mark.parametrize("name", STAGES)
def test_a_model_paints_any_size(models, name):
    kind = KIND[name]
    assert_alike(str(models[name].path("model.onnx")), [inputs(kind, *size) for size in SIZES[kind]])


@pytest.mark.parametrize("name", STAGES)
def test_so_does_its_export_and_one_of_a_fixed_size(models, name):
    kind = KIND[name]
    assert_alike(onnx_file(models[name]), [inputs(kind, *size) for size in SIZES[kind]])
    assert_alike(onnx_file(models[name], stage=0, size=(64, 96)), [inputs(kind, 64, 96)])


@pytest.mark.parametrize("name", ["pyramid", "batch norm", "bing-xu", "johnson"])
def test_so_does_a_stage_in_tiles(models, name):
    path = models[name].path(tile_file(1))
    places = {place.name: place.shape for place in onnxruntime.InferenceSession(str(path)).get_inputs()}
    given = []
    for size in ((96, 128), (48, 40)):
        padded = np.random.RandomState(0).uniform(-100, 100, (1, places["picture"][1], *size)).astype(np.float32)
        given.append({"picture": padded, "strength": ONE})
        if "statistics" in places:
            given[-1].update(statistics=np.ones(places["statistics"], np.float32), own=ONE)
    assert_alike(str(path), given)
