"""What the recorder of ONNX graphs makes of operators and arithmetic, against numpy and the engine at hand."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from test_operators import CASES, FLAT

from e2e_art.engines.gluon import array, nd, to_numpy
from e2e_art.engines.onnx import Graph, TileGraph, Value
from e2e_art.networks.inputs import reflect, reflected, strided_noise

pytestmark = pytest.mark.numerical

CLOSE = 2e-5  # in units of the largest value, as between engines
RANDOM = np.random.RandomState(5)
BELOW = {"BatchNorm", "channels_and_pixels", "instance_norm", "upsample_bilinear", "take"}  # called otherwise there
RECORDED = [name for name in (*CASES, *FLAT) if hasattr(Graph, name.split()[0]) and name.split()[0] not in BELOW]
RECORDED.remove("reshape")  # two axes into one: no generator does that
RECORDED.remove("mean of all axes but one")  # nor that


def ran(graph: Graph, *given: np.ndarray) -> list[np.ndarray]:
    """Returns the outputs of a graph in onnxruntime, as its inputs are given."""
    session = onnxruntime.InferenceSession(graph.serialized("graph"), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(graph.inputs, given)))


def recorded(call, *given: np.ndarray) -> np.ndarray:
    """Returns what a function of F and arrays computes, recorded for arrays of any size and then run."""
    graph = Graph()
    places = [graph.input(f"x{n}", [f"x{n}_{axis}" for axis in range(each.ndim)]) for n, each in enumerate(given)]
    graph.output("y", call(graph, *places), None)
    return ran(graph, *given)[0]


def close(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.abs(one - other).max() <= CLOSE * max(1, np.abs(other).max())


@pytest.mark.parametrize("name", RECORDED)
def test_operators_are_those_of_engines(name):
    call, given, expected = {**CASES, **FLAT}[name]
    assert close(recorded(call, *given), np.asarray(expected, np.float32))


def maps(channels: int, height: int, width: int) -> np.ndarray:
    return RANDOM.uniform(-1, 1, (2, channels, height, width)).astype(np.float32)


# Operators, as generators call them, at sizes that nothing divides: each in the engine at hand and recorded.
WEIGHT, BIAS = RANDOM.uniform(-1, 1, (6, 4, 5, 5)).astype(np.float32), RANDOM.uniform(-1, 1, 6).astype(np.float32)
UP = RANDOM.uniform(-1, 1, (4, 6, 7, 7)).astype(np.float32)
ODD = {
    "Convolution": lambda F, x, w, b, u: F.Convolution(
        x, w, b, kernel=(5, 5), stride=(2, 2), pad=(2, 2), num_filter=6, no_bias=False
    ),
    "Convolution without a bias": lambda F, x, w, b, u: F.Convolution(
        x, w, None, kernel=(5, 5), num_filter=6, no_bias=True
    ),
    "Deconvolution": lambda F, x, w, b, u: F.Deconvolution(
        x, u, b, kernel=(7, 7), stride=(2, 2), pad=(3, 3), adj=(1, 1), num_filter=6, no_bias=False
    ),
    "Pooling": lambda F, x, w, b, u: F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg"),
    "UpSampling": lambda F, x, w, b, u: F.UpSampling(x, scale=2, sample_type="nearest"),
    "slice": lambda F, x, w, b, u: F.slice(x, begin=(None, None, 1, 2), end=(None, None, -1, None)),
    "slice by steps": lambda F, x, w, b, u: F.slice(
        x, begin=(None, 3, 1, 0), end=(None, 4, None, None), step=(None, None, 2, 3)
    ),
    "slice_axis": lambda F, x, w, b, u: F.slice_axis(x, axis=2, begin=-2, end=None),
    "reshape": lambda F, x, w, b, u: F.reshape(x, shape=(0, -1, 1, 1)),
    "broadcast_axis": lambda F, x, w, b, u: F.broadcast_axis(F.slice_axis(x, 0, 0, 1), axis=0, size=x.shape[0]),
    "take": lambda F, x, w, b, u: F.take(x, F.indices(x, 2, 5), axis=2),
    "take with wrapping": lambda F, x, w, b, u: F.take(x, F.indices(x, -3, 40) + 2, axis=3, mode="wrap"),
    "channels_and_pixels": lambda F, x, w, b, u: F.broadcast_div(x, F.channels_and_pixels(x)[1]),
    "strided noise": lambda F, x, w, b, u: strided_noise(F, x, 0, 2, 2),
}


@pytest.mark.parametrize("size", [(7, 9), (8, 5), (13, 31)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("name", ODD)
def test_odd_sizes_are_those_of_engines(name, size):
    given = maps(4, *size), WEIGHT, BIAS, UP
    call = ODD[name]
    assert close(recorded(call, *given), to_numpy(call(nd, *map(array, given))))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 2)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("factor", [2, 4])
def test_bilinear_upsampling_is_that_of_engines(size, factor):
    x, like = maps(3, *size), maps(1, *(factor * side for side in size))
    found = recorded(lambda F, x, like: F.upsample_bilinear(x, like, channels=3, factor=factor), x, like)
    assert close(found, to_numpy(nd.upsample_bilinear(array(x), array(like), channels=3, factor=factor)))


def normalized(x, gain, offset):
    """An instance normalization by its definition."""
    mean, variance = x.mean(axis=(2, 3), keepdims=True), x.var(axis=(2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain.reshape(1, -1, 1, 1) + offset.reshape(1, -1, 1, 1)


def test_instance_norm_takes_each_picture_by_itself_and_batch_norm_what_it_is_given():
    x, gain, offset = maps(5, 7, 9), *RANDOM.uniform(0.5, 2, (2, 5)).astype(np.float32)
    mean, variance = np.linspace(-1, 1, 5, dtype=np.float32), np.linspace(0.5, 2, 5, dtype=np.float32)

    def given(F):
        return (F.constant(each) for each in (gain, offset, mean, variance))

    assert close(recorded(lambda F, x: F.instance_norm(x, *given(F), eps=1e-5), x), normalized(x, gain, offset))
    found = recorded(lambda F, x: F.BatchNorm(x, *given(F), fix_gamma=False, eps=1e-5, momentum=0.9), x)
    columns = [each.reshape(1, -1, 1, 1) for each in (gain, offset, mean, variance)]
    assert close(found, (x - columns[2]) / np.sqrt(columns[3] + 1e-5) * columns[0] + columns[1])


def test_tiles_are_normalized_by_their_own_statistics_or_by_those_given():
    graph, x = TileGraph(), maps(3, 7, 9)[:1]
    gain, offset = RANDOM.uniform(0.5, 2, (2, 3)).astype(np.float32)
    y = graph.input("x", ["N", 3, "H", "W"])
    for _ in range(2):  # one normalization after the other
        y = graph.instance_norm(y, *map(graph.constant, (gain, offset, np.zeros(3), np.ones(3))), eps=1e-5)
    graph.output("y", y, ["N", 3, "H", "W"])
    given = RANDOM.uniform(0.5, 2, (2, 6)).astype(np.float32)
    first = normalized(x, gain, offset)
    own, measured = ran(graph, x, given, np.ones(1, np.float32))
    assert close(own, normalized(first, gain, offset))
    moments = [np.concatenate([getattr(z, of)(axis=(0, 2, 3)) for z in (x, first)]) for of in ("mean", "var")]
    assert close(measured, np.array(moments))
    found, _ = ran(graph, x, given, np.zeros(1, np.float32))
    expected = x
    for part in (given[:, :3], given[:, 3:]):
        mean, variance = (row.reshape(1, -1, 1, 1) for row in part)
        expected = (expected - mean) / np.sqrt(variance + 1e-5)
        expected = expected * gain.reshape(1, -1, 1, 1) + offset.reshape(1, -1, 1, 1)
    assert close(found, expected)


def test_arithmetic_is_pythons():
    x = maps(2, 3, 5)
    for call in (
        lambda x: 2 - x * 3 + 1,
        lambda x: (1 + x) - 2 * x / 4,
        lambda x: -x,
        lambda x: x * x - x,
        lambda x: x / (x * x + 1),
    ):
        assert close(recorded(lambda F, x: call(x), x), call(x))  # noqa: B023


@pytest.mark.parametrize("length", [1, 2, 3, 17, 40])
def test_the_index_formula_serves_numpy_engines_and_recorded_numbers(length):
    x = np.arange(length, dtype=np.float32).reshape(1, 1, length, 1)
    for begin, end in ((-16, 0), (length, length + 16 + -length % 8)):
        rows = reflect(length, 16, 16 + -length % 8)[begin + 16 : end + 16]
        padding = np.pad(np.arange(length), (16, 24), mode="reflect")[begin + 16 : end + 16]
        assert rows.tolist() == padding.tolist()
        eager = nd.take(array(x), reflected(nd, nd.indices(array(x), begin, end), length), axis=2)
        assert to_numpy(eager).ravel().tolist() == padding.tolist()

    def below(F, x):
        side = x.shape[2]
        return F.take(x, reflected(F, F.indices(x, side, side + 16 + -side % 8), side), axis=2)

    assert recorded(below, x).ravel().tolist() == padding.tolist()


def test_what_no_output_needs_is_left_out_and_constants_are_kept_once():
    graph = Graph()
    x = graph.input("x", ["N", 1, "H", "W"])
    graph.tanh(x)
    many = np.random.RandomState(0).uniform(size=(1, 64, 1, 1))
    other = many.copy()
    other[0, -1] = 7  # alike in the beginning alone
    y = x + graph.constant(many) + graph.constant(other) + graph.constant(many)
    assert isinstance(y, Value)
    graph.output("y", y, ["N", 64, "H", "W"])
    found = onnx.load_model_from_string(graph.serialized("sum")).graph
    assert [node.op_type for node in found.node] == ["Add", "Add", "Add", "Identity"]
    assert len(found.initializer) == 2
    zero = np.zeros((1, 1, 1, 1), np.float32)
    assert close(ran(graph, zero)[0], (2 * many + other).astype(np.float32))
