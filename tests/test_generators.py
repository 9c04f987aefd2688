"""The generators one by one: what they leave alone, what they cost, and that they leave no grid."""

import math

import numpy as np
import pytest

from benchmarks.multiply_adds import multiply_adds
from e2e_art.engines.gluon import array, autograd, nd, to_numpy
from e2e_art.errors import OptionError
from e2e_art.images.arrays import to_vgg_space
from e2e_art.networks.chain import Chain, make_generator
from e2e_art.networks.layers import Convolution, InstanceNorm, JoinedConv, PaddedConv, UpsampledConv, WideConv, xavier
from e2e_art.networks.photo import Pyramid

pytestmark = pytest.mark.numerical

KINDS = ["conv", "deconv", "pyramid", "johnson"]  # that paint photos
SMALL = {
    "conv": {"widths": [8] * 6},
    "deconv": {"widths": [8, 16, 16]},
    "pyramid": {"channels": [16, 8], "details": 4},
    "johnson": {"widths": [4, 8, 8], "blocks": 1},
}


def drawn(generator, seed: int):
    generator.initialize()
    random = np.random.RandomState(seed)
    for _, parameter in sorted(generator.named_parameters().items()):
        if parameter.init is None:
            parameter.set_data(xavier(parameter.shape, random))
    return generator


def untrained(kind: str, seed: int = 1, **options):
    return drawn(make_generator(kind, **options), seed)


def paint(generator, inputs, strength: float = 1.0) -> np.ndarray:
    with autograd.train_mode():
        return to_numpy(generator(inputs, array([strength])))


@pytest.fixture(scope="module")
def inputs(photo):
    """What a kind takes: a photo in VGG space, (1, 3, 96, 128), and its mirror image and noise as conditioning."""
    picture = to_vgg_space(photo[:96, :128])
    noise = np.random.RandomState(0).randint(-128, 128, (1, 1, 96, 128))
    seven = array(np.concatenate([picture, picture[..., ::-1], noise], axis=1))
    return lambda kind: seven[:, : make_generator(kind).inputs]


# Blending


@pytest.mark.parametrize("kind", KINDS)
def test_a_residual_weight_of_0_leaves_the_picture_as_it_is(kind, inputs):
    x = inputs(kind)
    painted = paint(untrained(kind, residual_weight=0.0, **SMALL[kind]), x)
    assert np.array_equal(painted, to_numpy(x[:, :3]))


@pytest.mark.parametrize("kind", KINDS)
def test_strength_is_a_factor_on_the_residual_weight(kind, inputs):
    x = inputs(kind)
    generator = untrained(kind, residual_weight=0.4, **SMALL[kind])
    photo, one, half, double = to_numpy(x[:, :3]), *(paint(generator, x, s) for s in (1.0, 0.5, 2.0))
    assert np.array_equal(paint(generator, x, 0.0), photo)
    assert np.abs(one - photo).max() > 10
    assert np.allclose(half - photo, (one - photo) / 2, atol=1e-3)
    assert np.allclose(double - photo, (one - photo) * 2, atol=1e-3)
    whole = untrained(kind, residual_weight=1.0, **SMALL[kind])
    assert np.allclose(one, 0.4 * paint(whole, x) + 0.6 * photo, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_all_paint_and_no_photo_stays_within_the_colors_there_are(kind, inputs):
    painting = paint(untrained(kind, residual_weight=1.0, **SMALL[kind]), 100 * inputs(kind))
    colors = painting + np.reshape((123.68, 116.779, 103.939), (1, 3, 1, 1))
    assert -0.01 < colors.min() < 64
    assert 192 < colors.max() < 256.01


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("kind", KINDS)
def test_hybridized_or_not_it_paints_the_same(kind, norm, inputs):
    generator = untrained(kind, norm=norm, **SMALL[kind])
    x = inputs(kind)
    slow = paint(generator, x)
    generator.hybridize()
    assert np.allclose(paint(generator, x), slow, atol=1e-2)
    assert np.allclose(paint(generator, x), slow, atol=1e-2)  # the second call runs from the cache


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind, inputs):
    generator = untrained(kind, **SMALL[kind])
    with autograd.record():
        change = nd.sum(nd.square(generator(inputs(kind), array([1.0]))))
    parameters = generator.named_parameters()
    autograd.backward([change], list(parameters.values()))
    for name, parameter in parameters.items():
        assert parameter.learns and np.abs(to_numpy(parameter.list_grad()[0])).max() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_the_slope(kind, inputs):
    generator, x = untrained(kind, **SMALL[kind]), inputs(kind)[:, :, :48, :64]
    parameters = list(generator.named_parameters().values())
    weights = np.random.RandomState(5).uniform(-1, 1, (1, 3, 48, 64)).astype(np.float32)
    with autograd.record():
        total = nd.sum(generator(x, array([1.0])) * array(weights))
    autograd.backward([total], parameters)
    gradients = [to_numpy(parameter.list_grad()[0]) for parameter in parameters]
    own, random, step = [to_numpy(each.list_data()[0]) for each in parameters], np.random.RandomState(6), 1e-4
    directions = [random.normal(0, max(0.1, each.std()), each.shape).astype(np.float32) for each in own]
    values = []
    for sign in (1, -1):
        for parameter, each, direction in zip(parameters, own, directions):
            parameter.set_data(each + sign * step * direction)
        values.append((paint(generator, x).astype(np.float64) * weights).sum())
    slope = (values[0] - values[1]) / (2 * step)
    along = [(gradient * direction).sum() for gradient, direction in zip(gradients, directions)]
    assert sum(along) == pytest.approx(slope, abs=float(0.02 * sum(map(abs, along))))  # corners of ReLUs lie in between


# Normalization


def test_instance_norm_by_hand():
    # 0, 2, 4, 6: mean 3, variance 5.
    norm = InstanceNorm(1)
    norm.initialize()
    with autograd.train_mode():
        found = to_numpy(norm(array([[[[0, 2], [4, 6]]]])))
    assert found.ravel() == pytest.approx(np.array([-3, -1, 1, 3]) / 5**0.5, abs=1e-5)


# Costs


def test_costs_are_counted_by_hand():
    # Three to eight channels by 5x5; 8 to 8 by 5x5, 3x3 and three times 5x5; then 8 to 3 by 3x3.
    conv = 25 * 3 * 8 + (25 + 9 + 3 * 25) * 8 * 8 + 9 * 8 * 3
    assert multiply_adds(make_generator("conv", **SMALL["conv"])) == conv
    # Bing Xu's own widths, in full.
    widths = [3, 48, 32, 64, 32, 48, 32, 3]
    layers = zip(widths, widths[1:], (5, 5, 3, 5, 5, 5, 3))
    assert multiply_adds(make_generator("conv")) == sum(i * o * kernel**2 for i, o, kernel in layers) == 189_296
    # A half of the size has a quarter of the pixels; a deconvolution spends its weights on each pixel it takes.
    half = 25 * 3 * 64 + 9 * 64 * 48 + 9 * 64 * 96 + 64 * 96 * 3
    quarter = 25 * 48 * 128 + 9 * 128 * 96 + 9 * 128 * 160 + 49 * 160 * 64
    eighth = 25 * 96 * 256 + 9 * 256 * 192 + 49 * 192 * 128
    assert multiply_adds(make_generator("deconv")) == half / 4 + quarter / 16 + eighth / 64 == 121_264
    # Of 8x8 pixels, 7 channels each, to 16, six times 16 to 16, then 16 to 8; interpolation 4x4 a channel.
    coarse = 7 * 64 * 16 + 6 * 9 * 16 * 16 + 16 * 8 + 8 * 4 * 4
    # Of 4x4 pixels, 7 channels each, to 8, four times 8 to 8, 8 to 8 and 8 to 4; interpolation 8x8 a channel.
    fine = 7 * 16 * 8 + 4 * 9 * 8 * 8 + 9 * 8 * 8 + 8 * 4 + 4 * 8 * 8
    full = 9 * 7 * 4 + 9 * 4 * 3
    assert multiply_adds(make_generator("pyramid", **SMALL["pyramid"])) == coarse / 64 + fine / 16 + full
    # Johnson's: 9x9 at full size; a half and a quarter have fewer pixels; upsampled, 2x2 of 3x3 weights see values.
    first, halves, blocks = 81 * 3 * 32, 9 * 32 * 64 / 4 + 9 * 64 * 128 / 16, 10 * 9 * 128 * 128 / 16
    upsampled = 4 * 128 * 64 / 4 + 4 * 64 * 32
    johnson = first + halves + blocks + upsampled + 81 * 32 * 3
    assert multiply_adds(make_generator("johnson")) == pytest.approx(johnson, rel=1e-3)  # its padding counts
    assert johnson == 133_312
    numbers = {name: each.shape for name, each in make_generator("johnson").named_parameters().items() if each.learns}
    norms = 2 * (32 + 64 + 128 + 10 * 128 + 64 + 32)
    convolutions = 2 * 81 * 3 * 32 + 2 * 9 * (32 * 64 + 64 * 128) + 10 * 9 * 128 * 128
    assert sum(map(math.prod, numbers.values())) == convolutions + norms + 3 == 1_677_635


@pytest.mark.parametrize(("kind", "field"), [("conv", 25), ("deconv", 105), ("johnson", 107)])
def test_how_far_a_generator_sees(kind, field):
    # As many pictures as they have rows, each with another row turned over: which of them change the middle one?
    generator = untrained(kind, norm="batch", residual_weight=1.0)
    rows, middle = 128, 64
    picture = np.random.RandomState(0).uniform(-100, 100, (1, 3, rows, 8)).astype(np.float32)
    turned = np.where(np.eye(rows)[:, None, :, None] == 1, -picture, picture)
    strength = array([1.0])
    same = np.broadcast_to(picture, turned.shape)  # engines round by the size of a batch
    before, after = (to_numpy(generator(array(x), strength)[:, :, middle]) for x in (same, turned))
    (changed,) = np.nonzero(np.abs(after - before).sum(axis=(1, 2)))
    assert changed.tolist() == list(range(changed[0], changed[0] + field))


# Flat skies


SKY = np.reshape((40.0, 10.0, -60.0), (1, 3, 1, 1))


def painted_sky(generator, size: int) -> np.ndarray:
    """What a chain of one generator makes of a picture of one color, (3, size, size)."""
    chain = Chain([generator.describe()])
    chain.initialize()
    chain.generators[0] = generator
    return to_numpy(chain(array(np.broadcast_to(SKY, (1, 3, size, size))))[0])[0]


@pytest.mark.parametrize("kind", ["conv", "johnson"])
def test_pure_convolution_leaves_a_flat_sky_flat_up_to_the_border(kind):
    sky = painted_sky(untrained(kind, residual_weight=1.0), 48)
    assert np.ptp(sky, axis=(1, 2)).max() < 0.01
    assert np.abs(sky[:, 0, 0] - SKY.ravel()).max() > 10


def test_deconvolution_paints_a_flat_sky_in_squares_of_eight():
    # Why it is in no preset of ours but his: the sky is not flat, it repeats.
    sky = painted_sky(untrained("deconv", residual_weight=1.0), 128)[:, 40:-40, 40:-40]
    assert np.abs(sky[:, 8:] - sky[:, :-8]).max() < 0.01
    assert np.abs(sky[:, :, 8:] - sky[:, :, :-8]).max() < 0.01
    assert np.abs(sky[:, 4:] - sky[:, :-4]).max() > 1


class Unpacked(Pyramid):
    """How not to do it: the pyramid that comes back by depth to space."""

    def __init__(self, **options):
        super().__init__(**options)
        self.unpack = Convolution(self.details, 3 * 16)

    def paint_layers(self, F, x):
        return F.depth_to_space(
            self.unpack(self.fine(self.look_fine(F.space_to_depth(x / 64, block_size=4)))), block_size=4
        )


def grid(sky: np.ndarray, period: int) -> tuple[float, float]:
    """Returns how much a picture (3, H, W) repeats itself every few pixels, in two ways.

    The spread between the means of the period x period places in a cell, over the deviation of all pixels: of n cells
    of mere noise, about 1 / sqrt(n).  And the power at the period and its overtones, over that at the frequencies
    around them: of mere noise, about 1; a grid's grows with the picture, as it is in step with itself everywhere.
    """
    edge = sky.shape[1] // (8 * period) * 8 * period
    sky = sky[:, :edge, :edge] - sky[:, :edge, :edge].mean(axis=(1, 2), keepdims=True)
    cells = edge // period
    places = sky.reshape(3, cells, period, cells, period).mean(axis=(1, 3))
    power = (np.abs(np.fft.fft2(sky)) ** 2).sum(axis=0)
    at = around = 0.0
    for i, j in np.ndindex(period, period):
        if i or j:
            patch = np.roll(power, (4 - i * cells, 4 - j * cells), axis=(0, 1))[:9, :9]  # 81 frequencies, ours amid
            at += patch[4, 4]
            around += (patch.sum() - patch[4, 4]) / 80
    return places.std() / sky.std(), at / around


def sky_with_grid(kind, seed: int) -> np.ndarray:
    return painted_sky(drawn(kind(residual_weight=1.0), seed), 400)[:, 80:-80, 80:-80]  # where the borders do not reach


@pytest.mark.parametrize("seed", [1, 2])
def test_a_pyramid_leaves_no_grid_in_a_flat_sky(seed):
    sky = sky_with_grid(Pyramid, seed)
    assert sky.std() > 5  # the noise paints something
    for period in (8, 4, 2, 3, 5):  # neither its own nor any other stands out
        spread, power = grid(sky, period)
        assert spread < 0.05 and power < 10, period


@pytest.mark.parametrize("seed", [1, 2])
def test_depth_to_space_would_have_left_one(seed):
    sky = sky_with_grid(Unpacked, seed)
    spread, power = grid(sky, 4)
    assert spread > 0.15
    assert power > 100
    spread, power = grid(sky, 5)  # at 4 pixels, and not at any
    assert spread < 0.05 and power < 10


# What there is not


def test_arguments_out_of_range_are_refused():
    with pytest.raises(OptionError, match="unknown generator 'convolution': choose conv, deconv, pyramid"):
        make_generator("convolution")
    with pytest.raises(OptionError, match="unknown normalization 'layer': choose instance or batch"):
        make_generator("conv", norm="layer")
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(OptionError, match="A residual weight lies in 0..1, not at"):
            make_generator("pyramid", residual_weight=weight)


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_makes_the_same_generator_again(kind):
    generator = make_generator(kind, residual_weight=0.3, norm="batch", **SMALL[kind])
    description = generator.describe()
    again = make_generator(**description)
    assert again.describe() == description
    assert description["residual_weight"] == 0.3 and description["norm"] == "batch"
    shapes = [{k: p.shape for k, p in g.named_parameters().items()} for g in (generator, again)]
    assert shapes[0] == shapes[1]


# Layers of several convolutions in one, or of one in several


def value_and_gradients(block, weight: np.ndarray, *inputs: np.ndarray) -> list[np.ndarray]:
    """Returns what a block of one convolution makes, and the gradients to its weights and inputs."""
    block.initialize()
    parameters = block.named_parameters()
    for name, parameter in parameters.items():
        parameter.set_data(weight if name.endswith("weight") else np.arange(1, 1 + len(weight), dtype=np.float32))
    arrays = [autograd.watch(array(each)) for each in inputs]
    with autograd.record():
        made = block(*arrays)
        total = nd.sum(nd.square(made))
    autograd.backward([total], [*parameters.values(), *arrays])
    gradients = [to_numpy(parameters[name].list_grad()[0]) for name in sorted(parameters)]
    return [to_numpy(made), *gradients, *(to_numpy(autograd.gradient(each)) for each in arrays)]


def assert_alike(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    assert len(one) == len(other)
    for mine, theirs in zip(one, other):
        assert mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()


def normal(*shape: int) -> np.ndarray:
    return np.random.RandomState(4).normal(0, 0.5, shape).astype(np.float32)


@pytest.mark.parametrize(("kernel", "height", "width"), [(9, 5, 12), (9, 24, 17), (3, 2, 2)])
def test_row_by_row_of_its_kernel_a_convolution_is_the_same(kernel, height, width):
    weight, x = normal(3, 8, kernel, kernel), normal(2, 8, height, width)
    plain = value_and_gradients(PaddedConv(8, 3, kernel), weight, x)
    assert plain[0].std() > 1 and len(plain) == 4
    assert_alike(value_and_gradients(WideConv(8, 3, kernel), weight, x), plain)


class _Upsampled(PaddedConv):
    """A convolution of maps that are upsampled before it."""

    def hybrid_forward(self, F, x):
        return super().hybrid_forward(F, F.UpSampling(x, scale=2, sample_type="nearest"))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 4)])
def test_upsampling_and_a_convolution_are_one(height, width):
    weight, x = normal(6, 4, 3, 3), normal(2, 4, height, width)
    plain = value_and_gradients(_Upsampled(4, 6, bias=False), weight, x)
    assert plain[0].shape == (2, 6, 2 * height, 2 * width) and len(plain) == 3
    assert_alike(value_and_gradients(UpsampledConv(4, 6), weight, x), plain)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (6, 10)])
def test_joined_is_the_wide_convolution_of_upsampled_and_fine_maps(height, width):
    joined, wide = JoinedConv(3, 2, 4), PaddedConv(5, 4)
    random, weight = np.random.RandomState(2), np.random.RandomState(3).normal(0, 0.5, joined.weight.shape)
    for block, parameters in ((joined, joined), (wide, wide.convolution)):
        block.initialize()
        parameters.weight.set_data(weight.astype(np.float32))
        parameters.bias.set_data(np.arange(1, 5, dtype=np.float32))
    coarse = array(random.normal(size=(1, 3, height // 2, width // 2)))
    fine = array(random.normal(size=(1, 2, height, width)))
    upsampled = nd.UpSampling(coarse, scale=2, sample_type="nearest")
    expected = to_numpy(wide(nd.concat(upsampled, fine, dim=1)))
    assert expected.std() > 1
    assert np.allclose(to_numpy(joined(coarse, fine)), expected, atol=1e-5)
    joined.hybridize()
    assert np.allclose(to_numpy(joined(coarse, fine)), expected, atol=1e-5)
