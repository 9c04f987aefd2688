"""Every operator of engines/operators.py, in the engine at hand: values and gradients against numpy."""

import cv2
import numpy as np
import pytest

from e2e_art.engines import gluon
from e2e_art.engines.gluon import array, autograd, nd, to_numpy
from e2e_art.engines.operators import OPERATORS

RANDOM = np.random.RandomState(3)
CLOSE = 2e-5  # in units of the largest value: single precision has 6e-8, and sums here have some hundred terms


def rand(*shape):
    return RANDOM.uniform(-1, 1, shape).astype(np.float32)


X, Y = rand(2, 8, 6, 10), rand(2, 8, 6, 10)
ROWS, COLUMNS, SQUARES = rand(2, 5, 7), rand(2, 3, 7), rand(2, 7, 7)
MATRIX = rand(4, 5)
C = rand(8)


def convolved(x, weight, bias, stride, pad):
    """A convolution as its definition says, in numpy."""
    x, kernel = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))).astype(np.float64), weight.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,fcij->nfhw", windows, weight) + bias.reshape(1, -1, 1, 1)


def deconvolved(x, weight, stride, pad, adj):
    """A deconvolution: every input pixel adds its kernel."""
    n, _, height, width = x.shape
    _, channels, kernel, _ = weight.shape
    size = [(side - 1) * stride + kernel + adj for side in (height, width)]
    result = np.zeros((n, channels, *size))
    for i in range(height):
        for j in range(width):
            part = result[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            part += np.einsum("nc,cfij->nfij", x[:, :, i, j], weight)
    return result[:, :, pad : size[0] - pad, pad : size[1] - pad]


def normalized(x, axes):
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)


def channels(values):
    return values.reshape(1, -1, 1, 1)


def packed(x, block):
    n, c, h, w = x.shape
    return (
        x.reshape(n, c, h // block, block, w // block, block)
        .transpose(0, 3, 5, 1, 2, 4)
        .reshape(n, -1, h // block, w // block)
    )


def enlarged(x, factor):
    size = (x.shape[3] * factor, x.shape[2] * factor)
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in x.reshape(-1, *x.shape[2:])]
    return np.reshape(planes, (*x.shape[:2], *size[::-1]))


def running():
    """Running statistics of eight channels, as they are at first."""
    return array(np.zeros(8)), array(np.ones(8))


WEIGHT, BIAS = rand(4, 8, 3, 3), rand(4)
UP = rand(8, 4, 5, 5)

# operator: how it is called, what it is given, what comes out; gradients are checked, too
CASES = {
    "Activation": (lambda F, x: F.Activation(x, act_type="relu"), [X], np.maximum(X, 0)),
    "BatchNorm": (
        lambda F, x, g, b: F.BatchNorm(x, g, b, *running(), fix_gamma=False, eps=1e-5, momentum=0.9),
        [X, C, C[::-1].copy()],
        normalized(X, (0, 2, 3)) * channels(C) + channels(C[::-1]),
    ),
    "Convolution": (
        lambda F, x, w, b: F.Convolution(x, w, b, kernel=(3, 3), num_filter=4, stride=(2, 2), pad=(1, 1)),
        [X, WEIGHT, BIAS],
        convolved(X, WEIGHT, BIAS, 2, 1),
    ),
    "Deconvolution": (
        lambda F, x, w: F.Deconvolution(
            x, w, kernel=(5, 5), stride=(2, 2), pad=(2, 2), adj=(1, 1), num_filter=4, no_bias=True
        ),
        [X, UP],
        deconvolved(X, UP, 2, 2, 1),
    ),
    "LeakyReLU": (lambda F, x: F.LeakyReLU(x, slope=0.25), [X], np.where(X > 0, X, 0.25 * X)),
    "Pooling": (
        lambda F, x: F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg"),
        [X],
        X.reshape(2, 8, 3, 2, 5, 2).mean(axis=(3, 5)),
    ),
    "Pooling of maxima, an odd row aside": (
        lambda F, x: F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max"),
        [X[:, :, :5]],
        X[:, :, :4].reshape(2, 8, 2, 2, 5, 2).max(axis=(3, 5)),
    ),
    "UpSampling": (
        lambda F, x: F.UpSampling(x, scale=2, sample_type="nearest"),
        [X],
        X.repeat(2, axis=2).repeat(2, axis=3),
    ),
    "indices": (lambda F, x: F.take(x, F.indices(x, 1, 4), axis=3), [X], X[:, :, :, 1:4]),
    "abs": (lambda F, x: F.abs(x), [X], np.abs(X)),
    "add_n": (lambda F, x, y: F.add_n(x, y, x), [X, Y], 2 * X + Y),
    "batch_dot": (lambda F, x, y: F.batch_dot(x, y), [ROWS, SQUARES], ROWS @ SQUARES),
    "broadcast_add": (lambda F, x, y: F.broadcast_add(x, y), [X, X[:, :, :1]], X + X[:, :, :1]),
    "broadcast_axis": (
        lambda F, x: F.broadcast_axis(x, axis=0, size=3),
        [X[:1]],
        np.broadcast_to(X[:1], (3, *X.shape[1:])),
    ),
    "broadcast_div": (lambda F, x, y: F.broadcast_div(x, y), [X, 2 + X[:1]], X / (2 + X[:1])),
    "broadcast_mul": (lambda F, x, y: F.broadcast_mul(x, y), [X, X[:, :1]], X * X[:, :1]),
    "broadcast_sub": (lambda F, x, y: F.broadcast_sub(x, y), [X, X[..., :1]], X - X[..., :1]),
    "cast": (lambda F, x: F.cast(x, dtype="float32"), [X], X),
    "channels_and_pixels": (
        lambda F, x: (
            F.broadcast_mul(x, F.broadcast_mul(array([1.0]), F.channels_and_pixels(x)[0]))
            + F.broadcast_mul(x, F.broadcast_mul(array([1.0]), F.channels_and_pixels(x)[1]))
        ),
        [X],
        X * (8 + 60),
    ),
    "clip": (lambda F, x: F.clip(x, a_min=-0.5, a_max=0.25), [X], np.clip(X, -0.5, 0.25)),
    "concat": (lambda F, x, y: F.concat(x, y, x, dim=2), [X, Y], np.concatenate([X, Y, X], axis=2)),
    "depth_to_space": (lambda F, x: F.depth_to_space(x, block_size=2), [packed(X, 2)], X),
    "dot": (lambda F, x, y: F.dot(x, y), [MATRIX, MATRIX.T.copy()], MATRIX @ MATRIX.T),
    "expand_dims": (lambda F, x: F.expand_dims(x, axis=1), [X], X[:, None]),
    "instance_norm": (
        lambda F, x, g, b: F.instance_norm(x, g, b, array(np.zeros(8)), array(np.ones(8)), eps=1e-5),
        [X[:1], C, C[::-1].copy()],
        normalized(X[:1], (2, 3)) * channels(C) + channels(C[::-1]),
    ),
    "maximum": (lambda F, x: F.maximum(x, 0.25), [X], np.maximum(X, 0.25)),
    "mean": (lambda F, x: F.mean(x, axis=(1, 2), keepdims=True), [X], X.mean(axis=(1, 2), keepdims=True)),
    "mean of all axes but one": (lambda F, x: F.mean(x, axis=0, exclude=True), [X], X.mean(axis=(1, 2, 3))),
    "reshape": (lambda F, x: F.reshape(x, shape=(0, -3, -1)), [X], X.reshape(2, 48, 10)),
    "reshape to a new axis": (lambda F, x: F.reshape(x, shape=(1, -1, 0)), [ROWS], ROWS.reshape(1, 10, 7)),
    "reshape_like": (
        lambda F, x, y: F.reshape_like(x, y, lhs_begin=0, lhs_end=2, rhs_begin=0, rhs_end=2),
        [ROWS.reshape(1, 10, 7), ROWS],
        ROWS,
    ),
    "row_products": (
        lambda F, x, y: F.row_products(x, y),
        [ROWS, COLUMNS],
        ROWS @ COLUMNS.transpose(0, 2, 1),
    ),
    "slice": (
        lambda F, x: F.slice(x, begin=(None, 2, 1, 1), end=(None, 6, None, -1), step=(None, None, 2, 3)),
        [X],
        X[:, 2:6, 1::2, 1:-1:3],
    ),
    "slice_axis": (lambda F, x: F.slice_axis(x, axis=2, begin=-2, end=None), [X], X[:, :, -2:]),
    "space_to_depth": (lambda F, x: F.space_to_depth(x, block_size=2), [X], packed(X, 2)),
    "sqrt": (lambda F, x: F.sqrt(x), [1.5 + X], np.sqrt(1.5 + X)),
    "square": (lambda F, x: F.square(x), [X], X**2),
    "stack": (lambda F, x, y: F.stack(x, y, axis=0), [X, Y], np.stack([X, Y])),
    "sum": (lambda F, x: F.sum(x, axis=1), [X], X.sum(axis=1)),
    "take": (lambda F, x: F.take(x, array([0, 3, 3, 1]), axis=2), [X], X[:, :, [0, 3, 3, 1]]),
    "take with wrapping": (
        lambda F, x: F.take(x, array([-2, 7]), axis=2, mode="wrap"),
        [X],
        X[:, :, [4, 1]],
    ),
    "tanh": (lambda F, x: F.tanh(x), [X], np.tanh(X)),
    "to_float32": (lambda F, x: F.to_float32(x), [X], X),
    "transpose": (lambda F, x: F.transpose(x, axes=(1, 2, 0, 3)), [X], X.transpose(1, 2, 0, 3)),
    "transpose whole": (lambda F, x: F.transpose(x), [MATRIX], MATRIX.T),
    "upsample_bilinear": (lambda F, x: F.upsample_bilinear(x, None, channels=8, factor=4), [X], enlarged(X, 4)),
}
FLAT = {  # no gradient comes from these
    "BlockGrad": (lambda F, x: F.BlockGrad(x) + 0 * x, [X], X),
    "argmax": (lambda F, x: F.argmax(x, axis=1), [X], X.argmax(axis=1)),
    "ones_like": (lambda F, x: F.ones_like(x), [X], np.ones_like(X)),
    "zeros_like": (lambda F, x: F.zeros_like(x), [X], np.zeros_like(X)),
}


def test_every_operator_is_there_and_tested():
    tested = {name.split()[0] for name in (*CASES, *FLAT)} | {"col2im", "to_bfloat16"}  # below
    assert tested == set(OPERATORS)
    assert all(callable(getattr(nd, name)) for name in OPERATORS)


def compute(call, given):
    arrays = [autograd.watch(array(each)) for each in given]
    with autograd.record():
        result = call(nd, *arrays)
        total = (result * array(weights_of(result.shape))).sum()
    autograd.backward([total], arrays)
    return to_numpy(result), [to_numpy(autograd.gradient(each)) for each in arrays]


def weights_of(shape):
    return np.random.RandomState(7).uniform(-1, 1, tuple(shape)).astype(np.float32)


@pytest.mark.numerical
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    """The gradient along a random direction is the slope there, by differences of the numpy definition's engine run."""
    call, given, expected = CASES[name]
    result, gradients = compute(call, given)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, atol=CLOSE * max(1, np.abs(expected).max()), rtol=0)
    for place, (own, gradient) in enumerate(zip(given, gradients)):
        direction, step = rand(*own.shape), 1e-3  # small beside the distance of values to the corners of maxima
        values = []
        for sign in (1, -1):
            moved = [*given]
            moved[place] = own + sign * step * direction
            values.append(compute(call, moved)[0].astype(np.float64))
        slope = ((values[0] - values[1]) * weights_of(expected.shape)).sum() / (2 * step)
        size = np.abs(gradient * direction).sum() + 1e-6
        assert gradient.shape == own.shape
        # 2 %: a step of 1e-3 crosses the corner of some of a hundred values, and rounding of 1e-7 is 1e-4 of the step
        assert (gradient * direction).sum() == pytest.approx(slope, abs=float(0.02 * size)), place


@pytest.mark.numerical
@pytest.mark.parametrize("name", FLAT)
def test_values(name):
    call, given, expected = FLAT[name]
    np.testing.assert_array_equal(to_numpy(call(nd, *map(array, given))), expected)


@pytest.mark.numerical
def test_folding_patches_adds_them_up():
    image = rand(1, 4, 5, 6)
    windows = np.lib.stride_tricks.sliding_window_view(image[0], (3, 3), (1, 2))  # (4, 3, 4, 3, 3)
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(1, 36, 12)
    counts = np.zeros((5, 6))
    for i in range(3):
        for j in range(4):
            counts[i : i + 3, j : j + 3] += 1
    folded = nd.col2im(array(columns), output_size=(5, 6), kernel=(3, 3))
    np.testing.assert_allclose(to_numpy(folded), image * counts, atol=CLOSE)


@pytest.mark.numerical
def test_bfloat16_keeps_eight_bits_and_gives_gradients_in_float32():
    if not gluon.has_bfloat16([gluon.cpu()]):
        pytest.skip("there is no fast bfloat16 here")
    x = autograd.watch(array([1.0, 1.00390625, 3.14159265]))
    with autograd.record():
        y = nd.to_float32(nd.to_bfloat16(x)) * 3
        total = y.sum()
    autograd.backward([total], [x])
    np.testing.assert_array_equal(to_numpy(y) / 3, np.float32([1.0, 1.0, 3.140625]))
    np.testing.assert_array_equal(to_numpy(autograd.gradient(x)), np.float32([3, 3, 3]))


@pytest.mark.numerical
def test_products_in_bfloat16_are_sums_in_float32():
    if not gluon.has_bfloat16([gluon.cpu()]):
        pytest.skip("there is no fast bfloat16 here")
    rows = np.ones((1, 16, 3000), np.float32)  # bfloat16 would stop counting at 256
    product = nd.row_products(array(rows), array(rows), channels=16)
    np.testing.assert_allclose(to_numpy(product), np.full((1, 16, 16), 3000), rtol=2**-8)  # rounded once


@pytest.mark.numerical
def test_running_statistics_are_those_of_the_population():
    (mean, variance), x = running(), autograd.watch(array(X))
    with autograd.record():
        y = nd.BatchNorm(x, array(C), array(C), mean, variance, fix_gamma=False, eps=1e-5, momentum=0.9).sum()
    autograd.backward([y], [x])  # MXNet moves them only then
    np.testing.assert_allclose(to_numpy(mean), 0.1 * X.mean(axis=(0, 2, 3)), atol=CLOSE)
    expected = 0.9 + 0.1 * X.var(axis=(0, 2, 3))
    np.testing.assert_allclose(to_numpy(variance), expected, atol=CLOSE)
    predicted = nd.BatchNorm(array(X), array(C), array(C), mean, variance, fix_gamma=False, eps=1e-5, momentum=0.9)
    mean, variance = map(to_numpy, (mean, variance))
    expected = (X - channels(mean)) / np.sqrt(channels(variance) + 1e-5) * channels(C) + channels(C)
    np.testing.assert_allclose(to_numpy(predicted), expected, atol=CLOSE * 10)
    np.testing.assert_allclose(mean, 0.1 * X.mean(axis=(0, 2, 3)), atol=CLOSE)  # predictions leave them


@pytest.mark.numerical
def test_a_single_pixel_is_its_own_mean():
    x = autograd.watch(array(X[:1, :, :1, :1]))  # as the coarsest scale of a texture of 32 pixels
    with autograd.record():
        y = nd.BatchNorm(x, array(C), array(C), *running(), fix_gamma=False, eps=1e-5, momentum=0.9)
        total = nd.square(y).sum()
    autograd.backward([total], [x])
    np.testing.assert_allclose(to_numpy(y), channels(C), atol=316 * CLOSE)  # 1 / sqrt(eps) times what is rounded off
    np.testing.assert_allclose(to_numpy(autograd.gradient(x)), 0 * X[:1, :, :1, :1], atol=1e-3)
