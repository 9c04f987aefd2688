"""Regions: masks drawn here, with every area known, and weights that can be counted by hand."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from e2e_art.errors import OptionError
from e2e_art.images import regions
from e2e_art.losses.regions import propagate_regions

WHITE, RED, BLUE, GREEN, YELLOW = (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 0)
LAYERS = [f"relu{block}_{index}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for index in range(1, count + 1)]


def drawn(height=120, width=160, colors=(WHITE, RED, BLUE, GREEN), antialiased=True) -> np.ndarray:
    """A background with a disk, a wedge and a bar, in order of area; edges in between where antialiased."""
    scale = 8 if antialiased else 1
    image = Image.new("RGB", (scale * width, scale * height), colors[0])
    pen, unit = ImageDraw.Draw(image), scale * height / 120
    pen.ellipse([10 * unit, 10 * unit, 70 * unit, 70 * unit], fill=colors[1])
    pen.polygon([(80 * unit, 100 * unit), (155 * unit, 110 * unit), (120 * unit, 60 * unit)], fill=colors[2])
    pen.rectangle([75 * unit, 5 * unit, 150 * unit, 20 * unit], fill=colors[3])
    return np.array(image.resize((width, height), Image.BOX))


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def random_regions(count, height, width, seed=0) -> np.ndarray:
    """Smooth random shares that add up to 1."""
    shares = np.random.RandomState(seed).rand(count, height, width).astype(np.float32) ** 4
    return shares / shares.sum(axis=0)


# The palette of a mask


@pytest.mark.parametrize("antialiased", [False, True])
def test_the_palette_is_what_was_drawn_the_largest_area_first(antialiased):
    palette = regions.find_palette(drawn(antialiased=antialiased))
    assert palette.dtype == np.uint8
    assert palette.tolist() == [list(color) for color in (WHITE, RED, BLUE, GREEN)]


@pytest.mark.parametrize("quality", [90, 60])
def test_jpeg_adds_no_colors(quality):
    palette = regions.find_palette(as_jpeg(drawn(240, 320), quality))
    assert palette.shape == (4, 3)
    assert np.abs(palette - np.array((WHITE, RED, BLUE, GREEN), int)).max() < 8


def test_neither_soft_edges_nor_nearby_levels_add_colors():
    mask = cv2.GaussianBlur(drawn(240, 320), (0, 0), 2)
    mask[200:] = (250, 250, 246)  # white, to an eye
    assert regions.find_palette(mask).tolist() == [list(color) for color in (WHITE, RED, BLUE, GREEN)]


def test_a_small_region_counts_and_a_speck_does_not():
    mask = drawn(240, 320)
    mask[100:107, 10:17] = YELLOW  # 5x5 of its pixels have only yellow neighbors: 0.03 percent
    assert len(regions.find_palette(mask)) == 5
    mask[100:107, 10:13] = WHITE
    assert len(regions.find_palette(mask)) == 4


def test_a_mask_of_one_color_is_one_region():
    assert regions.find_palette(np.full((1, 1, 3), 7, np.uint8)).tolist() == [[7, 7, 7]]


def test_as_many_colors_as_the_limit_and_no_more():
    colors = np.array([(x, y, 0) for x in (0, 80, 160, 240) for y in (0, 80, 160)], np.uint8)
    mask = np.repeat(np.repeat(colors[np.newaxis], 10, axis=0), 10, axis=1)  # twelve stripes
    assert len(regions.find_palette(mask)) == 12
    mask[-5:] = (240, 240, 240)  # a thirteenth, across the others
    with pytest.raises(OptionError, match="more than 12 colors"):
        regions.find_palette(mask)


@pytest.mark.parametrize("photo", [data.astronaut(), data.coffee(), data.rocket(), data.chelsea()])
def test_a_photo_is_no_mask(photo):
    with pytest.raises(OptionError, match="more than 12 colors"):
        regions.find_palette(photo)


def test_noise_is_no_mask():
    with pytest.raises(OptionError, match="no area of one color"):
        regions.find_palette(np.random.RandomState(0).randint(0, 256, (50, 50, 3)).astype(np.uint8))


# Labels


def test_palette_colors_keep_their_labels_however_thin():
    labels = np.random.RandomState(1).randint(0, 4, (40, 50))
    labels[:20] = 2
    labels[10, :] = 0  # a line in an area
    palette = np.array((WHITE, RED, BLUE, GREEN), np.uint8)
    snapped = regions.snap(palette[labels], palette)
    assert snapped.dtype.kind == "i"
    assert np.array_equal(snapped, labels)


@pytest.mark.parametrize("quality", [None, 90, 60])
def test_each_pixel_goes_to_its_own_region(quality):
    palette = np.array((WHITE, RED, BLUE, GREEN), np.uint8)
    mask, truth = drawn(240, 320), drawn(240, 320, antialiased=False)
    labels = regions.snap(mask if quality is None else as_jpeg(mask, quality), palette)
    wrong = (palette[labels] != truth).any(axis=-1)
    inside = cv2.erode(regions._is_flat(truth).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0  # 3 pixels from edges
    assert wrong.mean() < 0.02
    assert inside.mean() > 0.8 and not wrong[inside].any()


def test_an_edge_gets_no_third_color():
    lime = (192, 255, 0)  # three quarters of the way from green to yellow
    mask = np.full((40, 60, 3), GREEN, np.uint8)
    mask[:, 30:] = YELLOW
    mask[:, 29] = (180, 255, 0)  # the edge
    mask[30:, :10] = lime
    palette = np.array((GREEN, YELLOW, lime), np.uint8)
    expected = np.zeros((40, 60))
    expected[:, 29:] = 1  # nearer to lime than to yellow, but no lime is near
    expected[30:, :10] = 2
    assert np.array_equal(regions.snap(mask, palette), expected)


# Two masks


def test_two_masks_share_their_regions():
    style = drawn(120, 160, (WHITE, (255, 51, 31), BLUE, GREEN))
    target = as_jpeg(drawn(200, 300, ((0, 0, 254), (0, 255, 1), (254, 0, 0), WHITE)), 95)
    palette, style_labels, target_labels = regions.match_regions(style, target)
    assert palette.tolist() == [[255, 255, 255], [255, 51, 31], [0, 0, 255], [0, 255, 0]]
    assert style_labels.shape == (120, 160) and target_labels.shape == (200, 300)
    spots = [(5, 5), (40, 40), (95, 120), (12, 110)]  # background, disk, wedge, bar
    assert [style_labels[spot] for spot in spots] == [0, 1, 2, 3]
    assert [target_labels[y * 5 // 3, x * 5 // 3] for y, x in spots] == [2, 3, 1, 0]


def test_two_near_colors_stay_two_regions():
    reds = (WHITE, (255, 51, 31), (192, 0, 0), BLUE)
    palette, style, target = regions.match_regions(drawn(colors=reds), drawn(colors=reds[::-1]))
    assert len(palette) == 4
    assert np.array_equal(np.unique(style), np.arange(4)) and np.array_equal(np.unique(target), np.arange(4))
    assert (style[40, 40], target[40, 40], target[5, 5]) == (1, 2, 3)


@pytest.mark.parametrize(
    "style, target, sentence",
    [
        ((WHITE, RED, BLUE, GREEN), (WHITE, RED, BLUE, RED), "(only the style mask has #00ff00): draw"),
        ((WHITE, RED, BLUE, RED), (WHITE, RED, BLUE, GREEN), "(only the target mask has #00ff00): draw"),
        (
            (WHITE, RED, YELLOW, RED),
            (WHITE, GREEN, BLUE, RED),
            "(only the style mask has #ffff00, only the target mask has #00ff00, #0000ff)",
        ),
        ((WHITE, RED), (WHITE, (255, 100, 0)), "(only the style mask has #ff0000, only the target mask has #ff6400)"),
        ((WHITE, RED, (192, 0, 0), BLUE), (WHITE, RED, BLUE, RED), "(only the style mask has #c00000): draw"),
    ],
)
def test_colors_of_one_mask_only_are_listed(style, target, sentence):
    with pytest.raises(OptionError) as error:
        regions.match_regions(drawn(colors=style * (4 // len(style))), drawn(colors=target * (4 // len(target))))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_the_mask_that_is_none_is_named():
    with pytest.raises(OptionError, match="The style mask has more than 12 colors"):
        regions.match_regions(data.coffee(), drawn())
    with pytest.raises(OptionError, match="The target mask has more than 12 colors"):
        regions.match_regions(drawn(), data.coffee())


# Regions that nobody drew


def test_two_photos_are_cut_by_the_same_colors():
    photos = [data.coffee(), data.astronaut()]
    first, second = regions.segment(photos, 3)
    assert first.shape == photos[0].shape[:2] and second.shape == photos[1].shape[:2]
    for labels in (first, second):
        assert labels.dtype.kind == "i"
        assert np.array_equal(np.unique(labels), np.arange(3))
    assert first[5, 5] == second[450, 400]  # the dark table, the black helmet
    assert first[45, 220] == second[20, 120]  # the cup's rim, the bright wall
    assert len({first[5, 5], first[45, 220], first[200, 500]}) == 3


def test_segments_do_not_depend_on_chance():
    photos = [data.chelsea(), data.rocket()]
    once = regions.segment(photos, 4)
    regions.segment(photos, 3)
    assert all(map(np.array_equal, once, regions.segment(photos, 4)))


def test_areas_of_clear_colors_are_found_under_noise():
    truth = drawn(antialiased=False).astype(int)
    noisy = np.clip(truth + np.random.RandomState(0).normal(0, 20, truth.shape), 0, 255).astype(np.uint8)
    (labels,) = regions.segment([noisy], 4)
    palette = np.array((WHITE, RED, BLUE, GREEN))
    assert (palette[labels] == truth).all(axis=-1).mean() > 0.95  # region 0 is the largest, and so on


@pytest.mark.parametrize("count", [1, 0, -3])
def test_one_segment_is_none(count):
    with pytest.raises(OptionError, match=f"into {count} regions"):
        regions.segment([data.chelsea()], count)


def test_a_picture_of_one_color_and_one_of_one_pixel_can_be_cut():
    labels = regions.segment([np.full((20, 30, 3), 9, np.uint8), np.full((1, 1, 3), 200, np.uint8)], 3)
    assert [each.shape for each in labels] == [(20, 30), (1, 1)]
    assert len(np.unique(labels[0])) == 1 and labels[0][0, 0] != labels[1][0, 0]


# One-hot regions, and other sizes


def test_one_hot():
    hot = regions.one_hot(np.array([[0, 2], [1, 2]]), 4)
    assert hot.dtype == np.float32
    assert hot.tolist() == [[[1, 0], [0, 0]], [[0, 0], [1, 0]], [[0, 1], [0, 1]], [[0, 0], [0, 0]]]


def test_shrinking_averages():
    hot = regions.one_hot(np.array([[0, 1, 1, 1], [0, 0, 1, 1]]), 2)
    assert regions.resize_regions(hot, 1, 2).tolist() == [[[0.75, 0]], [[0.25, 1]]]


@pytest.mark.parametrize("size", [(97, 131), (16, 16), (31, 200), (200, 31), (300, 400), (1, 1)])
def test_resized_regions_add_up_to_one(size):
    resized = regions.resize_regions(random_regions(5, 97, 131), *size)
    assert resized.shape == (5, *size) and resized.dtype == np.float32
    assert resized.min() >= 0
    np.testing.assert_allclose(resized.sum(axis=0), 1, atol=1e-5)


# What a layer sees


@pytest.mark.parametrize("size", [(97, 131), (16, 16), (64, 48), (31, 17)])
def test_shapes_are_those_of_vgg(size):
    propagated = propagate_regions(random_regions(3, *size), LAYERS)
    assert list(propagated) == LAYERS
    for layer, weights in propagated.items():
        factor = 2 ** (int(layer[4]) - 1)
        assert weights.shape == (3, size[0] // factor, size[1] // factor)
        assert weights.dtype == np.float32


@pytest.mark.parametrize("size", [(97, 131), (16, 16)])
def test_ones_stay_ones_up_to_the_border(size):
    for weights in propagate_regions(np.ones((1, *size), np.float32), LAYERS).values():
        assert (weights == 1).all()


@pytest.mark.parametrize("size", [(97, 131), (16, 16), (50, 33)])
def test_regions_add_up_to_one_at_every_layer(size):
    hot = regions.one_hot(np.random.RandomState(2).randint(0, 6, size), 6)
    for weights in propagate_regions(hot, LAYERS).values():
        np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-5)
        assert weights.min() >= 0


@pytest.mark.parametrize(
    "pixel, own, neighborhoods",
    [((3, 4), 9, [[9, 9, 9]] * 3), ((0, 4), 6, [[6, 6, 6], [9, 9, 9]]), ((0, 0), 4, [[4, 6], [6, 9]])],
)
@pytest.mark.parametrize("turns", range(4))
def test_one_pixel_is_seen_by_its_neighbors(pixel, own, neighborhoods, turns):
    """A unit averages over the pixels that exist: 9 inside, 6 at an edge, 4 in a corner."""
    region = np.zeros((1, 7, 8), np.float32)
    region[0][pixel] = 1
    turned = propagate_regions(np.rot90(region, turns, (1, 2)), ["relu1_1"])["relu1_1"]
    weights = np.rot90(turned, -turns, (1, 2))[0]
    np.testing.assert_allclose(weights[pixel], 1 / own, rtol=1e-6)
    np.testing.assert_allclose(weights[weights > 0], 1 / np.ravel(neighborhoods), rtol=1e-6)


def test_two_convolutions_see_a_tent_and_a_pooling_its_mean():
    region = np.zeros((1, 12, 12), np.float32)
    region[0, 5, 5] = 1
    propagated = propagate_regions(region, ["relu1_2", "relu2_1"])
    tent = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]) / 81
    np.testing.assert_allclose(propagated["relu1_2"][0, 3:8, 3:8], tent, rtol=1e-6)
    pooled = np.zeros(6)
    pooled[1:4] = 0.5 / 9, 2.5 / 9, 1.5 / 9  # of columns 2 and 3, 4 and 5, 6 and 7: a half of 0 + 1, 2 + 3, 2 + 1
    mean = np.convolve(pooled, np.ones(3), "same") / (2, 3, 3, 3, 3, 2)
    np.testing.assert_allclose(propagated["relu2_1"][0], np.outer(mean, mean), rtol=1e-5)


def test_odd_last_rows_are_dropped_by_pooling():
    region = np.zeros((1, 5, 4), np.float32)
    region[0, 4] = 1  # only the last row
    propagated = propagate_regions(region, ["relu1_2", "relu2_1"])
    # Four rows and columns are pooled to 2x2, where every pixel has all four in its neighborhood.
    np.testing.assert_allclose(
        propagated["relu2_1"], np.full((1, 2, 2), propagated["relu1_2"][:, :4].mean()), rtol=1e-6
    )


def test_the_order_of_regions_does_not_matter():
    shares, order = random_regions(5, 45, 38), [3, 0, 4, 2, 1]
    straight, permuted = propagate_regions(shares, LAYERS), propagate_regions(shares[order], LAYERS)
    for layer in LAYERS:
        assert np.array_equal(straight[layer][order], permuted[layer])


def test_layers_come_as_they_were_asked_and_leave_the_regions_alone():
    shares = random_regions(2, 20, 20)
    before = shares.copy()
    assert list(propagate_regions(shares, ["relu4_2", "relu1_1"])) == ["relu4_2", "relu1_1"]
    assert propagate_regions(shares, []) == {}
    assert np.array_equal(shares, before)


def test_a_shallower_network_has_other_layers():
    shares = random_regions(2, 20, 20)
    assert list(propagate_regions(shares, ["relu5_2"], "zoo:vgg11")) == ["relu5_2"]
    with pytest.raises(OptionError, match="unknown loss network layer 'relu1_2': choose relu1_1, relu2_1, relu3_1"):
        propagate_regions(shares, ["relu1_2"], "zoo:vgg11")


@pytest.mark.parametrize("layer", ["relu6_1", "conv1_1", "relu3_5", ""])
def test_unknown_layers_are_named(layer):
    with pytest.raises(OptionError, match=f"unknown loss network layer '{layer}'"):
        propagate_regions(random_regions(2, 20, 20), [layer])


def test_too_small_a_picture_is_an_error_only_where_it_matters():
    shares = random_regions(2, 15, 40)
    assert propagate_regions(shares, ["relu4_4"])["relu4_4"].shape == (2, 1, 5)
    with pytest.raises(OptionError, match="too small for layer 'relu5_1'"):
        propagate_regions(shares, ["relu5_2"])


# Regions too small to compare


def test_present_needs_half_a_percent_in_both():
    style, target = np.zeros((4, 20, 20), np.float32), np.zeros((4, 10, 40), np.float32)
    for index, (in_style, in_target) in enumerate([(200, 200), (1, 200), (2, 2), (200, 0)]):  # of 400 pixels
        style[index].flat[:in_style] = target[index].flat[:in_target] = 1
    assert regions.present(style, target).tolist() == [True, False, True, False]


def test_the_blocks_are_those_of_the_loss_network():
    from e2e_art.networks.vgg import VGGFeatures

    assert VGGFeatures(["relu5_4"]).positions == [layer[len("relu") :] for layer in LAYERS]
    assert sorted(propagate_regions(np.ones((1, 16, 16), np.float32), LAYERS)) == LAYERS


def test_regions_need_no_mxnet(fresh_python):
    fresh_python("import sys, e2e_art.images.regions, e2e_art.painting.noise; assert 'mxnet' not in sys.modules")
