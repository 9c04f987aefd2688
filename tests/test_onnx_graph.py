"""The chain as an ONNX graph: the same pixels without MXNet, from one copy of the weights."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from skimage import data

from e2e_art import load
from e2e_art.engines.choice import chosen
from e2e_art.engines.onnx import OPSET
from e2e_art.models.folder import NOISE_FILE, graph_file
from e2e_art.models.onnx_file import onnx_file
from e2e_art.models.publish import publish
from e2e_art.training.stages import stages_of

pytestmark = pytest.mark.numerical

TOLERANCE = 0.5  # of 255
FULL = np.ones(1, np.float32)  # the trained look
CHAINS = {
    "boosted": {"stages": stages_of("boosted")},
    "bing-xu": {"stages": stages_of("bing-xu")},
    "johnson": {"stages": stages_of("johnson,pyramid", (1.0, 0.5))},
    "batch norm": {"stages": stages_of("pyramid,conv,deconv", (0.7, 0.5, 0.6), "batch")},
    "shared": {"stages": stages_of("pyramid,conv,pyramid"), "share_weights": True},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory, make_chain):
    """Each chain, untrained, published as a model."""
    folder = tmp_path_factory.mktemp("chains")
    return {name: publish(make_chain(**chain), folder / name, {}) for name, chain in CHAINS.items()}


@pytest.fixture(scope="module")
def engines(models):
    """Each model in both engines."""
    return {
        name: tuple(load(model.folder, engine, threads=1).engine for engine in ("onnx", chosen()))
        for name, model in models.items()
    }


def as_input(photo: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photo.transpose(2, 0, 1)[None], np.float32)


def run(engine, photo: np.ndarray, stages: list[int], strength: float = 1.0) -> list[np.ndarray]:
    return engine.run({"image": as_input(photo), "strength": np.array([strength], np.float32)}, stages)


def worst_difference(pair, photo, stages, strength) -> float:
    """Returns by how much two engines differ where they differ most, in what they answer before it is rounded."""
    answers = [run(engine, photo, stages, strength) for engine in pair]
    for pictures in answers:
        assert [picture.shape for picture in pictures] == [(1, 3, *photo.shape[:2])] * len(stages)
    return max(np.abs(one - other).max() for one, other in zip(*answers))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (97, 131), (64, 48)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("name", CHAINS)
def test_both_engines_paint_the_same(engines, name, size):
    if (name, size) == ("johnson", (1, 1)):
        pytest.skip("maps of one color have no variance: normalized, what was rounded off is 316 times as large")
    photo = data.rocket()[150:, 260:][: size[0], : size[1]]
    stages = list(range(len(CHAINS[name]["stages"])))
    assert worst_difference(engines[name], photo, stages, 1.0) < TOLERANCE


@pytest.mark.parametrize("strength", [0.0, 0.37, 1.9])
def test_both_engines_paint_the_same_at_any_strength(engines, photo, strength):
    for name in ("boosted", "batch norm"):
        assert worst_difference(engines[name], photo[:40, :33], [0, 1, 2], strength) < TOLERANCE, name
    (painting,) = run(engines["boosted"][0], photo, [3], strength)
    change = np.abs(painting - as_input(photo)).mean()
    assert change < 1e-4 if strength == 0 else change > 5


@pytest.mark.parametrize("stages", [[0], [2], [3, 1], [1, 1]])
def test_both_engines_stop_at_any_stage(engines, photo, stages):
    onnx_engine, eager_engine = engines["boosted"]
    whole = run(onnx_engine, photo, [0, 1, 2, 3])
    for engine in (onnx_engine, eager_engine):
        for stage, picture in zip(stages, run(engine, photo, stages)):
            assert np.abs(picture - whole[stage]).max() < TOLERANCE


def test_stages_differ_so_that_mixing_them_up_would_show(engines, photo):
    pictures = run(engines["boosted"][0], photo, [0, 1, 2, 3])
    for one, other in zip(pictures, [as_input(photo), *pictures]):
        assert np.abs(one - other).mean() > 2


def session(model: bytes | str, **settings):
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"], **settings)


def test_a_batch_of_photos_is_painted_as_each_alone(models, photo):
    graph = session(str(models["boosted"].path("model.onnx")))
    one, other = as_input(photo), as_input(photo[:, ::-1])
    (both,) = graph.run(["stage_3"], {"image": np.concatenate([one, other]), "strength": FULL})
    for picture, image in zip(both, (one, other)):
        (alone,) = graph.run(["stage_3"], {"image": image, "strength": FULL})
        assert np.abs(picture - alone[0]).max() < 0.1


@pytest.mark.parametrize("name", CHAINS)
def test_the_strength_is_an_input_without_a_default(models, name):
    # Runtimes in browsers cannot override a default: given one, they would paint at 1 whatever they were given.
    graph = session(str(models[name].path("model.onnx")))
    assert [entry.name for entry in graph.get_inputs()] == ["image", "strength"]
    assert graph.get_overridable_initializers() == []


def graphs(model):
    """The graphs of a model, by the stage they end with."""
    count = len(model.stages)
    return [(last, model.path(graph_file(last, count))) for last in range(count)]


@pytest.mark.parametrize("name", CHAINS)
def test_the_graphs_keep_the_rules_of_onnx(models, name):
    for last, path in graphs(models[name]):
        onnx.checker.check_model(str(path), full_check=True)
        graph = onnx.load(str(path), load_external_data=False)
        assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", OPSET)]
        assert graph.graph.name == name
        assert [entry.name for entry in graph.graph.output] == [f"stage_{index}" for index in range(last + 1)]
        used = {name for node in graph.graph.node for name in node.input}
        assert {constant.name for constant in graph.graph.initializer} <= used


def test_a_graph_that_ends_earlier_computes_less(models):
    """Runtimes compute all of a graph: what `--stage K` saves is what its graph leaves out."""
    for model in models.values():
        loaded = [onnx.load(path, load_external_data=False).graph for _, path in graphs(model)]
        convolutions = [sum(node.op_type in ("Conv", "ConvTranspose") for node in graph.node) for graph in loaded]
        assert convolutions == sorted(set(convolutions))


def test_weights_and_noise_are_kept_once_outside_of_the_graphs(models):
    for model in models.values():
        for last, path in graphs(model):
            graph = onnx.load(str(path), load_external_data=False).graph
            assert sum(len(constant.raw_data) for constant in graph.initializer) < 30_000  # the short weights
            places = {entry.value for c in graph.initializer for entry in c.external_data if entry.key == "location"}
            assert places - {NOISE_FILE} == set(model.stage_files()[: last + 1])
            assert (NOISE_FILE in places) == any(stage["kind"] == "pyramid" for stage in model.stages[: last + 1])


@pytest.mark.parametrize("name", CHAINS)
def test_inlined_weights_make_one_file_that_paints_the_same(models, photo, name):
    model = models[name]
    whole = onnx_file(model)
    onnx.checker.check_model(whole, full_check=True)
    image = {"image": as_input(photo[:40, :33]), "strength": FULL}
    expected = session(str(model.path("model.onnx"))).run(None, image)
    for one, other in zip(expected, session(whole).run(None, image)):  # from memory: there is no folder to look into
        assert np.array_equal(one, other)
