"""The perceptual loss, with answers known by hand, and beside the conventions of others."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import needs_bfloat16, value_and_gradient

from e2e_art.engines.gluon import array, nd, to_numpy
from e2e_art.errors import OptionError
from e2e_art.images.arrays import to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.losses.perceptual import PerceptualLoss, gram_matrix, relative_error, total_variation
from e2e_art.losses.regions import region_weights
from e2e_art.losses.style_target import StyleTarget

pytestmark = pytest.mark.numerical

# A small loss: its layers lie near the surface, so that it is fast, and smooth enough for finite differences.
SHALLOW = LossOptions(style_layers=("relu1_1", "relu2_1"), content_layers=("relu2_1",))


@pytest.fixture(scope="module")
def pictures(photo):
    """Four crops of a real photo, each (1, 3, 24, 32) in VGG space."""
    crops = [photo[top : top + 24, left : left + 32] for top in (0, 60) for left in (10, 70)]
    return [array(to_vgg_space(crop)) for crop in crops]


@pytest.fixture(scope="module")
def loss(pictures):
    """What a picture has of the style of the first crop."""
    return PerceptualLoss(SHALLOW, StyleTarget.of(SHALLOW, pictures[:1]), bfloat16=False)


def terms_of(loss, picture, photo) -> dict[str, np.ndarray]:
    return {name: to_numpy(term) for name, term in loss(picture, loss.content_features(photo)).items()}


def random_maps(seed: int, channels=6, height=5, width=7):
    """Feature maps as a ReLU leaves them, (1, C, H, W), float64."""
    maps = np.random.RandomState(seed).normal(size=(1, channels, height, width)) * 10
    return array(np.maximum(maps, 0))


def relative_style(x, s) -> float:
    return float(to_numpy(relative_error(nd, gram_matrix(nd, x), gram_matrix(nd, s)))[0])


# The three terms


def test_gram_matrix_of_one_hot_features():
    # Of 2 x 3 pixels the first channel fires at four, the second, twice as strong, at two, the third never.
    maps = np.zeros((1, 3, 2, 3), np.float32)
    maps[0, 0, :, :2] = 1
    maps[0, 1, :, 2] = 2
    gram = to_numpy(gram_matrix(nd, array(maps)))
    assert np.allclose(gram[0] * 3 * 2 * 3, [[4, 0, 0], [0, 8, 0], [0, 0, 0]])


def test_covariance_leaves_out_the_mean():
    # Around its mean of 2/3 the first channel sums to 4 * (1/3)^2 + 2 * (2/3)^2, the second likewise times 4.
    maps = np.zeros((1, 3, 2, 3), np.float32)
    maps[0, 0, :, :2] = 1
    maps[0, 1, :, 2] = 2
    covariance = to_numpy(gram_matrix(nd, array(maps), covariance=True))
    assert np.allclose(covariance[0] * 18, [[4 / 3, -8 / 3, 0], [-8 / 3, 16 / 3, 0], [0, 0, 0]], atol=1e-5)
    shifted = to_numpy(gram_matrix(nd, array(maps + 5), covariance=True))
    assert np.allclose(shifted, covariance, atol=1e-5)


@needs_bfloat16
def test_gram_matrix_in_bfloat16_and_its_gradient():
    maps, direction = random_maps(3), array(np.eye(6)[None] + 1)  # a symmetric one, as a loss has
    found = [
        value_and_gradient(lambda maps, channels=channels: gram_matrix(nd, maps, channels=channels) * direction, maps)
        for channels in (None, 6)
    ]
    for exact, rounded in zip(*found):
        assert exact.shape == rounded.shape
        assert 0 < np.abs(rounded - exact).max() <= 2 * np.abs(exact).max() / 256  # 8 bits, of a sum and its parts


def test_gram_matrices_of_a_batch_do_not_mix():
    one, other = random_maps(1), random_maps(2)
    both = to_numpy(gram_matrix(nd, nd.concat(one, other, dim=0)))
    for gram, maps in zip(both, (one, other)):
        rows = to_numpy(maps).reshape(6, 35)
        assert np.allclose(gram, rows @ rows.T / 210, rtol=1e-5)


@pytest.mark.parametrize("covariance", [False, True])
def test_a_region_has_the_gram_matrix_of_a_picture_of_its_own(covariance):
    maps = random_maps(1, height=6, width=8)
    mask = np.zeros((3, 6, 8), np.float32)
    mask[0], mask[1, :, :5], mask[2, :, 5:] = 1, 1, 1  # all of it, its left and its right
    weights = mask.reshape(3, 1, -1) / np.sqrt(mask.sum((1, 2)))[:, None, None]
    found = to_numpy(gram_matrix(nd, maps, covariance, array(weights)))
    assert found.shape == (3, 6, 6)
    for gram, part in zip(found, (maps, maps[:, :, :, :5], maps[:, :, :, 5:])):
        assert np.allclose(gram, to_numpy(gram_matrix(nd, part, covariance))[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [None, pytest.param(6, marks=needs_bfloat16)])
@pytest.mark.parametrize("covariance", [False, True])
def test_each_region_has_a_gradient_at_its_own_pixels_only(covariance, channels):
    maps = random_maps(1, height=6, width=8)
    direction = array(np.eye(6)[None] + 1)  # a symmetric one, as a loss has
    _, expected = value_and_gradient(
        lambda maps: sum(gram_matrix(nd, part, covariance) * direction for part in split(maps)), maps
    )
    mask = np.zeros((2, 6, 8), np.float32)
    mask[0, :, :5], mask[1, :, 5:] = 1, 1
    weights = array(mask.reshape(2, 1, -1) / np.sqrt(mask.sum((1, 2)))[:, None, None])
    _, found = value_and_gradient(
        lambda maps: nd.broadcast_mul(gram_matrix(nd, maps, covariance, weights, channels), direction), maps
    )
    assert np.abs(found - expected).max() <= np.abs(expected).max() * (3 / 256 if channels else 1e-5)


def split(maps) -> tuple:
    """Returns the left and the right of maps that are 8 wide."""
    return maps[:, :, :, :5], maps[:, :, :, 5:]


def test_each_region_has_a_style_of_its_own_and_the_same_weight(pictures):
    """In bands of one color, whose features far from borders are those of a picture of that color alone."""
    painting = np.zeros((1, 3, 40, 96), np.float32)
    painting[..., :32], painting[..., 32:] = 80, -60  # a third, and two thirds
    mask = np.zeros((2, 40, 96), np.float32)
    mask[0, :, :24], mask[1, :, 40:] = 1, 1  # each away from the other band
    options = LossOptions(style_layers=("relu1_1",), content_weight=0, tv_weight=0, style_weight=1.0)
    loss = PerceptualLoss(options, StyleTarget.of(options, [painting], regions=mask), bfloat16=False)

    def style(picture, order=(0, 1)) -> float:
        weights = region_weights(mask[list(order)], options)
        return float(to_numpy(loss(array(picture), [], list(map(array, weights)))["style"])[0])

    def of_one_color(level: float):
        return StyleTarget.of(options, [np.full((1, 3, 40, 96), level, np.float32)]).grams["relu1_1"].astype(np.float64)

    one, other = of_one_color(80), of_one_color(-60)
    ones, others = (np.sum((one - other) ** 2) / np.sum(gram**2) for gram in (one, other))
    assert style(painting) < 1e-6
    half = painting.copy()
    half[..., :32] = -60  # the first region is lost, the second is as it was
    assert style(half) == pytest.approx(ones / 2, rel=0.02)  # zero padding at borders is all that differs
    assert style(painting, order=(1, 0)) == pytest.approx((ones + others) / 2, rel=0.02)


class Given:
    """Stands for a network that returns these features for any picture."""

    layers = ("relu1_1",)
    bfloat16 = False

    def __init__(self, maps):
        self.maps = maps

    def __call__(self, picture):
        return [self.maps]


@pytest.mark.parametrize("covariance", [False, True])
def test_normalized_gradients_have_one_norm_and_the_direction_of_the_gradient(pictures, covariance):
    """Layer by layer: the features' gradient is that of the plain loss, at an L1 norm of the weight."""
    for style, content in ((3.0, 0.0), (0.0, 5.0)):
        gradients = []
        for normalized in (False, True):
            options = LossOptions(
                style_layers=("relu1_1",), content_layers=("relu1_1",), style_weight=style, content_weight=content,
                tv_weight=0, covariance=covariance, normalize_gradients=normalized,
            )  # fmt: skip
            loss = PerceptualLoss(options, StyleTarget.of(options, pictures[:1]), bfloat16=False)
            loss.hybridize(active=False)
            features, given = loss.network(pictures[1])[0], loss.content_features(pictures[2])

            def total_of(features, loss=loss, given=given):
                loss.__dict__["network"] = Given(features)
                terms = loss(pictures[1], given)
                return terms["style"] + terms["content"]

            gradients.append(value_and_gradient(total_of, features))
        ((plain_total,), plain), ((total,), gradient) = gradients
        assert total == pytest.approx(plain_total, rel=1e-5)
        assert np.abs(gradient).sum() == pytest.approx(style + content, rel=0.35 if covariance else 1e-3)
        cosine = (gradient * plain).sum() / np.linalg.norm(gradient) / np.linalg.norm(plain)
        assert cosine > 0.9999


def test_without_content_there_need_be_no_photo(loss, pictures):
    options = replace(SHALLOW, content_weight=0.0)
    alone = PerceptualLoss(options, StyleTarget.of(options, pictures[:1]), bfloat16=False)
    terms = alone(pictures[1], [])
    assert to_numpy(terms["content"]) == 0
    assert to_numpy(terms["style"]) == pytest.approx(terms_of(loss, pictures[1], pictures[0])["style"], rel=1e-5)


def test_gram_matrix_does_not_grow_with_the_picture():
    maps = random_maps(1)
    tiled = array(np.tile(to_numpy(maps), (1, 1, 2, 3)))
    assert np.allclose(to_numpy(gram_matrix(nd, tiled)), to_numpy(gram_matrix(nd, maps)), rtol=1e-5)


def test_a_checkerboard_has_a_smoothness_of_two():
    checkerboard = np.indices((6, 8)).sum(0) % 2
    batch = array(np.broadcast_to(checkerboard, (1, 3, 6, 8)))
    batch = nd.concat(batch, 3 * batch, 0 * batch + 7, dim=0)
    assert to_numpy(total_variation(nd, batch)).tolist() == [2, 18, 0]


def test_smoothness_of_a_ramp_and_of_one_edge():
    ramp = np.broadcast_to(5.0 * np.arange(8), (1, 3, 6, 8))  # 25 across, nothing down
    edge = np.zeros((1, 3, 6, 8))
    edge[:, :, 3:] = 10  # 100 down in one of five rows, nothing across
    found = total_variation(nd, array(np.concatenate([ramp, edge])))
    assert to_numpy(found).tolist() == [25, 20]


def test_relative_error_is_0_at_the_target_and_1_at_nothing():
    target = gram_matrix(nd, random_maps(1))
    batch = nd.concat(target, 0 * target, 2 * target, 0.5 * target, dim=0)
    assert to_numpy(relative_error(nd, batch, target)) == pytest.approx([0, 1, 1, 0.25])


# The whole loss


def test_a_photo_has_all_of_its_own_content(loss, pictures):
    _, photo, other, _ = pictures
    assert terms_of(loss, photo, photo)["content"] == 0
    assert 0.1 < terms_of(loss, other, photo)["content"] < 10


def test_the_painting_has_all_of_its_own_style(loss, pictures):
    painting, photo, *_ = pictures
    assert terms_of(loss, painting, photo)["style"] < 1e-6
    assert terms_of(loss, photo, photo)["style"] > 0.01


def test_the_painting_mirrored_has_the_same_smoothness_and_other_content(loss, pictures):
    painting = pictures[0]
    mirrored = array(to_numpy(painting)[:, :, :, ::-1])
    one, other = terms_of(loss, painting, painting), terms_of(loss, mirrored, painting)
    assert one["tv"] == pytest.approx(other["tv"], rel=1e-5)
    assert one["content"] == 0 < other["content"]


def test_terms_are_the_formulas_written_out(loss, pictures):
    painting, photo, picture, _ = pictures
    network = loss.network.of_layers(["relu1_1", "relu2_1"])
    style = 0.0
    for x, s in zip(network(picture), network(painting)):
        x, s = (to_numpy(maps)[0].reshape(maps.shape[1], -1).astype(np.float64) for maps in (x, s))
        x, s = x @ x.T / x.size, s @ s.T / s.size
        style += np.mean((x - s) ** 2) / np.mean(s**2) / 2
    x, c = (to_numpy(network(image)[1]).astype(np.float64) for image in (picture, photo))
    down, across = (np.diff(to_numpy(picture).astype(np.float64), axis=axis) for axis in (2, 3))
    terms = terms_of(loss, picture, photo)
    assert list(terms) == ["style", "content", "tv"]
    assert terms["style"] == pytest.approx(20 * style, rel=1e-4)
    assert terms["content"] == pytest.approx(np.mean((x - c) ** 2) / np.mean(c**2), rel=1e-4)
    assert terms["tv"] == pytest.approx(1e-5 * (np.mean(down**2) + np.mean(across**2)), rel=1e-4)


def test_weights_of_terms_and_layers_count(loss, pictures):
    painting, photo, picture, _ = pictures
    one = terms_of(loss, picture, photo)

    def total_of(**options):
        options = LossOptions(style_layers=SHALLOW.style_layers, content_layers=SHALLOW.content_layers, **options)
        other = PerceptualLoss(options, StyleTarget.of(options, [painting]), bfloat16=False)
        return terms_of(other, picture, photo)

    doubled = total_of(style_weight=40.0, content_weight=3.0, tv_weight=0.0)
    assert doubled["style"] == pytest.approx(2 * one["style"])
    assert doubled["content"] == pytest.approx(3 * one["content"])
    assert doubled["tv"] == 0
    first, second = (total_of(style_layer_weights=weights)["style"] for weights in ((1.0, 0.0), (0.0, 5.0)))
    assert first != pytest.approx(second, rel=0.01)
    assert one["style"] == pytest.approx((first + second) / 2, rel=1e-5)
    mixed = total_of(style_layer_weights=(3.0, 1.0))["style"]
    assert mixed == pytest.approx(0.75 * first + 0.25 * second, rel=1e-5)


def test_a_batch_of_two_has_the_losses_of_two_singles(loss, pictures):
    _, one, other, photo = pictures
    both = terms_of(loss, nd.concat(one, other, dim=0), nd.concat(photo, one, dim=0))
    singles = [terms_of(loss, one, photo), terms_of(loss, other, one)]
    for name, values in both.items():
        assert values == pytest.approx(np.concatenate([single[name] for single in singles]), rel=1e-4), name


def test_hybridized_or_not_it_is_the_same_loss(loss, pictures):
    painting, photo, picture, _ = pictures
    slow = PerceptualLoss(SHALLOW, StyleTarget.of(SHALLOW, [painting]), bfloat16=False)
    slow.hybridize(False)
    for name, value in terms_of(slow, picture, photo).items():
        assert value == pytest.approx(terms_of(loss, picture, photo)[name], rel=1e-5), name


@needs_bfloat16
def test_a_batch_in_bfloat16_has_the_losses_of_two_singles(pictures):
    photo, painting = pictures[:2]
    fast = PerceptualLoss(SHALLOW, StyleTarget.of(SHALLOW, [painting]), bfloat16=True)
    batch = fast(nd.concat(photo, painting, dim=0), fast.content_features(nd.concat(painting, photo, dim=0)))
    for n, (one, other) in enumerate(((photo, painting), (painting, photo))):
        single = fast(one, fast.content_features(other))
        for name, term in single.items():
            assert batch[name].shape == (2,)
            assert to_numpy(batch[name])[n] == pytest.approx(to_numpy(term)[0], rel=1e-2, abs=1e-4)


@needs_bfloat16
def test_bfloat16_finds_nearly_the_same_loss(loss, pictures):
    painting, photo, picture, _ = pictures
    fast = PerceptualLoss(SHALLOW, StyleTarget.of(SHALLOW, [painting]), bfloat16=True)
    for name, value in terms_of(fast, picture, photo).items():
        assert value == pytest.approx(terms_of(loss, picture, photo)[name], rel=0.03), name


@pytest.mark.parametrize("covariance", [False, True])
def test_gradient_is_what_finite_differences_find(pictures, covariance):
    options = LossOptions(
        style_layers=("relu1_1", "relu2_1"), content_layers=("relu2_1",), tv_weight=1e-3, covariance=covariance
    )
    painting, photo, picture = (image[:, :, :8, :8] for image in pictures[:3])
    loss = PerceptualLoss(options, StyleTarget.of(options, [painting]), bfloat16=False)
    features = loss.content_features(photo)

    def total(image):
        return sum(loss(image, features).values())

    gradient = value_and_gradient(total, picture)[1].astype(np.float64)
    random = np.random.RandomState(0)
    directions = [gradient / np.abs(gradient).max(), *random.normal(size=(4, *picture.shape))]
    for direction in directions:
        step = array(0.05 * direction)
        difference = to_numpy(total(picture + step) - total(picture - step))[0] / 0.1
        expected = np.sum(gradient * direction)
        assert difference == pytest.approx(expected, rel=0.02, abs=float(0.01 * np.linalg.norm(gradient)))


# Several paintings


def test_blended_styles_are_the_mean_of_their_gram_matrices(pictures):
    one, other = (StyleTarget.of(SHALLOW, [painting]).grams.values() for painting in pictures[:2])
    assert [gram.shape for gram in one] == [(1, 64, 64), (1, 128, 128)]
    alike, weighted = (StyleTarget.of(SHALLOW, pictures[:2], blend).grams.values() for blend in ((), (6.0, 2.0)))
    for a, b, half, quarter in zip(one, other, alike, weighted):
        assert np.allclose(half, (a + b) / 2, rtol=1e-5)
        assert np.allclose(quarter, 0.75 * a + 0.25 * b, rtol=1e-5)


def test_paintings_of_any_sizes_blend(pictures):
    small = pictures[1][:, :, :9, :13]
    (one, _), (other, _) = (StyleTarget.of(SHALLOW, [painting]).grams.values() for painting in (pictures[0], small))
    assert np.allclose(StyleTarget.of(SHALLOW, [pictures[0], small]).grams["relu1_1"], (one + other) / 2, rtol=1e-5)


def test_options_that_do_not_add_up_are_refused(pictures):
    with pytest.raises(OptionError, match="--style-blend takes a share for each painting, 2, not 3"):
        StyleTarget.of(SHALLOW, pictures[:2], (1.0, 1.0, 1.0))
    with pytest.raises(OptionError, match="--style-layer-weights takes .* there are style layers, 5, not 2"):
        LossOptions(style_layer_weights=(1.0, 2.0))
    with pytest.raises(OptionError, match="at least one content layer"):
        LossOptions(content_layers=())
    with pytest.raises(OptionError, match="unknown loss network layer 'cubes'"):
        LossOptions(patch_layers=("cubes",))
    with pytest.raises(OptionError, match="unknown pooling 'median': choose average or max"):
        LossOptions(pooling="median")


def test_style_files_without_names_of_layers_have_the_default_ones():
    from e2e_art.models.folder import STYLE_FILE, model_folders, read_model

    grams = StyleTarget.load(read_model(model_folders()[0]).path(STYLE_FILE).read_bytes()).grams
    assert tuple(grams) == LossOptions().style_layers
    assert [gram.shape[-1] for gram in grams.values()] == [64, 128, 256, 512, 512]


# The conventions of others, as docs/losses.md tabulates them: each is a factor on our style loss of a layer


@pytest.fixture
def layer():
    """A layer of C channels and M pixels: features of a picture and of a painting, and what the factors are made of."""
    x, s = random_maps(1), random_maps(2)
    gram = to_numpy(gram_matrix(nd, s)).astype(np.float64)
    flat = [to_numpy(maps)[0].reshape(6, 35).astype(np.float64) for maps in (x, s)]
    return {"ours": relative_style(x, s), "norm": np.sum(gram**2), "flat": flat, "C": 6, "M": 35}


def test_factor_to_gatys(layer):
    # sum((F F^T - S S^T)^2) / (4 C^2 M^2)
    F, S = layer["flat"]
    gatys = np.sum((F @ F.T - S @ S.T) ** 2) / (4 * layer["C"] ** 2 * layer["M"] ** 2)
    assert gatys == pytest.approx(layer["norm"] / 4 * layer["ours"], rel=1e-4)


def test_factor_to_bing_xu(layer):
    # sum((F F^T - S S^T)^2) * 1.2 / (C^2 M)
    F, S = layer["flat"]
    bing_xu = np.sum((F @ F.T - S @ S.T) ** 2) * 1.2 / (layer["C"] ** 2 * layer["M"])
    assert bing_xu == pytest.approx(1.2 * layer["M"] * layer["norm"] * layer["ours"], rel=1e-4)


def test_factor_to_johnson(layer):
    # sum((F F^T / (C M) - S S^T / (C M))^2)
    F, S = layer["flat"]
    size = layer["C"] * layer["M"]
    johnson = np.sum((F @ F.T / size - S @ S.T / size) ** 2)
    assert johnson == pytest.approx(layer["norm"] * layer["ours"], rel=1e-4)
