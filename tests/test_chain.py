"""The chain: padding, noise, stages and their weights."""

import json

import numpy as np
import pytest

from benchmarks.multiply_adds import multiply_adds
from e2e_art.engines.gluon import array, autograd, cpu, devices, nd, to_numpy
from e2e_art.engines.onnx import Graph
from e2e_art.errors import OptionError
from e2e_art.images.arrays import to_vgg_space
from e2e_art.networks.chain import Chain, without_constants
from e2e_art.networks.inputs import NOISE_PERIOD, PADDING, noise_tile, reflect
from e2e_art.networks.layers import xavier
from e2e_art.training.options import TrainingOptions
from e2e_art.training.stages import PRESETS, stages_of

pytestmark = pytest.mark.numerical

SMALL = {
    "conv": {"kind": "conv", "widths": [4] * 6},
    "deconv": {"kind": "deconv", "widths": [8, 8, 8]},
    "pyramid": {"kind": "pyramid", "channels": [8, 4], "blocks": [1, 1], "details": 4},
}


@pytest.fixture(scope="module")
def vgg_photo(photo):
    return array(to_vgg_space(photo))


def arrays(pictures) -> list[np.ndarray]:
    return [to_numpy(picture) for picture in pictures]


# Padding


@pytest.mark.parametrize(
    ("length", "before", "after", "rows"),
    [
        (4, 2, 3, [2, 1, 0, 1, 2, 3, 2, 1, 0]),
        (2, 3, 2, [1, 0, 1, 0, 1, 0, 1]),
        (1, 2, 3, [0, 0, 0, 0, 0, 0]),
        (3, 5, 0, [1, 0, 1, 2, 1, 0, 1, 2]),
        (5, 0, 0, [0, 1, 2, 3, 4]),
    ],
)
def test_reflection_by_hand(length, before, after, rows):
    assert reflect(length, before, after).tolist() == rows


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (8, 16), (97, 131)])
def test_padding_surrounds_the_photo_and_is_cropped_again(height, width):
    chain = Chain([SMALL["deconv"], SMALL["pyramid"]])
    assert chain.multiple == 8
    photo = array(np.random.RandomState(0).uniform(size=(2, 3, height, width)))
    padded = chain.pad(photo)
    assert padded.shape[2] % 8 == padded.shape[3] % 8 == 0
    assert 2 * PADDING + height <= padded.shape[2] < 2 * PADDING + height + 8
    assert 2 * PADDING + width <= padded.shape[3] < 2 * PADDING + width + 8
    assert np.array_equal(to_numpy(chain.crop(padded, photo)), to_numpy(photo))
    if height > PADDING:
        above = padded[:, :, PADDING - 5, PADDING : PADDING + width]
        assert np.array_equal(to_numpy(above), to_numpy(photo[:, :, 5]))


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (97, 131)])
def test_any_size_keeps_its_size(make_chain, photo, kind, height, width):
    chain = make_chain([SMALL[kind]])
    pictures = arrays(chain(array(to_vgg_space(photo[:height, :width]))))
    assert [picture.shape for picture in pictures] == [(1, 3, height, width)]
    assert np.isfinite(pictures[0]).all()


# The noise


def test_the_noise_is_always_the_same():
    tile = noise_tile()
    assert tile.dtype == np.int8
    assert tile.shape == (1, 1, NOISE_PERIOD, NOISE_PERIOD) == (1, 1, 509, 509)
    assert np.array_equal(tile, noise_tile())
    assert (tile.min(), tile.max()) == (-128, 127)
    assert abs(tile.mean()) < 1
    # Trained weights rely on it: it must never change, with whatever numpy.
    assert tile[0, 0, 0, :4].tolist() == [-6, -48, -113, 27]
    assert tile[0, 0, -1, -4:].tolist() == [6, -53, -62, -31]


def noise_chain():
    chain = Chain([SMALL["pyramid"]])
    chain.initialize()
    return chain


def test_the_noise_repeats_after_its_period_and_shifts_as_asked():
    chain, tile = noise_chain(), noise_tile()[0, 0].astype(np.float32)
    wide = to_numpy(chain.conditioning(array(np.zeros((2, 3, 4, 520)))))[:, 3]
    assert wide.shape == (2, 4, 520)
    assert np.array_equal(wide[0], wide[1])
    assert np.array_equal(wide[0, :, :509], tile[:4])
    assert np.array_equal(wide[0, :, 509:], tile[:4, :11])
    moved = to_numpy(chain.conditioning(array(np.zeros((1, 3, 6, 8))), (3, 5)))[0, 3]  # 3 down, 5 across
    assert np.array_equal(moved, tile[3:9, 5:13])
    around = to_numpy(chain.conditioning(array(np.zeros((1, 3, 6, 8))), (508, 508)))[0, 3]
    assert around[0, 0] == tile[-1, -1] and around[1, 1] == tile[0, 0]


def test_the_conditioning_input_is_the_photo_and_noise():
    chain, photo = noise_chain(), array(np.random.RandomState(0).uniform(size=(2, 3, 8, 12)))
    conditioning = to_numpy(chain.conditioning(photo))
    assert conditioning.shape == (2, 4, 8, 12)
    assert np.array_equal(conditioning[:, :3], to_numpy(photo))


def test_only_pyramids_see_photo_and_noise(make_chain, vgg_photo):
    chain = make_chain([SMALL["pyramid"], SMALL["conv"], SMALL["deconv"]])
    picture = chain.pad(vgg_photo)
    inputs = chain.conditioning(picture), chain.conditioning(picture, (129, 24)), chain.conditioning(0.5 * picture)
    for index, generator in enumerate(chain.generators):
        one, *others = (to_numpy(chain.paint(index, picture, conditioning)) for conditioning in inputs)
        for other in others:
            assert (np.abs(one - other).max() > 1) == generator.conditioned == (index == 0)


# Stages


def test_every_stage_paints_on_the_one_before(make_chain, vgg_photo):
    chain = make_chain([SMALL["pyramid"], SMALL["conv"], SMALL["deconv"]])
    pictures = arrays(chain(vgg_photo))
    picture = chain.pad(vgg_photo)
    conditioning = chain.conditioning(picture)
    for index, expected in enumerate(pictures):
        picture = chain.paint(index, picture, conditioning)
        assert np.allclose(to_numpy(chain.crop(picture, vgg_photo)), expected, atol=1e-3)
    first, second = arrays(chain(vgg_photo, 1.0, 2))
    assert np.array_equal(first, pictures[0]) and np.array_equal(second, pictures[1])


def test_strength_0_is_the_photo_and_strength_scales_every_stage(make_chain, vgg_photo):
    chain = make_chain([SMALL["pyramid"], SMALL["conv"]])
    for picture in arrays(chain(vgg_photo, 0.0)):
        assert np.array_equal(picture, to_numpy(vgg_photo))
    photo, full, half = to_numpy(vgg_photo), to_numpy(chain(vgg_photo)[0]), to_numpy(chain(vgg_photo, 0.5)[0])
    assert np.allclose(half - photo, (full - photo) / 2, atol=1e-3)
    halved = make_chain([{**SMALL["pyramid"], "residual_weight": 0.2}, {**SMALL["conv"], "residual_weight": 0.2}])
    for one, other in zip(arrays(chain(vgg_photo, 0.5)), arrays(halved(vgg_photo))):  # 0.4 is the default
        assert np.allclose(one, other, atol=1e-2)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_hybridized_or_not_it_paints_the_same(make_chain, vgg_photo, norm):
    chain = make_chain([{**stage, "norm": norm} for stage in SMALL.values()])
    slow = arrays(chain(vgg_photo))
    chain.hybridize()
    for expected, found in zip(slow, arrays(chain(vgg_photo))):
        assert np.allclose(found, expected, atol=1e-2)


def test_instance_norm_paints_two_photos_as_it_paints_each(make_chain, vgg_photo):
    chain = make_chain(list(SMALL.values()))
    other = array(to_numpy(vgg_photo)[:, :, :, ::-1] * 0.5)
    both = arrays(chain(nd.concat(vgg_photo, other, dim=0)))
    for stage, one, two in zip(both, arrays(chain(vgg_photo)), arrays(chain(other))):
        assert np.allclose(stage, np.concatenate([one, two]), atol=1e-2)


def test_batch_norm_paints_by_the_batch_while_learning_and_by_what_it_remembers_after(make_chain, vgg_photo):
    chain = make_chain([{**SMALL["conv"], "norm": "batch"}])
    padded = chain.pad(vgg_photo)
    conditioning = chain.conditioning(padded)
    mean = chain.stage_weights(0)["body.0.1.running_mean"]
    before = to_numpy(chain.paint(0, padded, conditioning))
    assert np.array_equal(to_numpy(chain.paint(0, padded, conditioning)), before)
    assert np.array_equal(chain.stage_weights(0)["body.0.1.running_mean"], mean)
    with autograd.record():
        learning = chain.paint(0, padded, conditioning, learning=True)
    autograd.backward([learning], list(chain.learning_parameters([0]).values()))
    assert np.abs(to_numpy(learning) - before).max() > 1
    # The running mean moves a tenth of its way, to that of the first convolution's output.
    convolution = {"kernel": (5, 5), "pad": (2, 2), "num_filter": 4}
    weight, bias = (array(chain.stage_weights(0)[f"body.0.0.{name}"]) for name in ("weight", "bias"))
    output = to_numpy(nd.Convolution(padded / 64, weight, bias, **convolution))
    moved = 0.9 * mean + 0.1 * output.mean(axis=(0, 2, 3))
    assert np.allclose(chain.stage_weights(0)["body.0.1.running_mean"], moved, atol=1e-4)
    assert np.abs(to_numpy(chain.paint(0, padded, conditioning)) - before).max() > 0.01


def test_instance_norm_paints_alike_learning_or_not(make_chain, vgg_photo):
    chain = make_chain([SMALL["pyramid"]])
    padded = chain.pad(vgg_photo)
    conditioning = chain.conditioning(padded)
    one, other = (to_numpy(chain.paint(0, padded, conditioning, learning=learning)) for learning in (False, True))
    assert np.array_equal(one, other)


# Weights


def test_weights_of_a_stage_come_and_go(make_chain, vgg_photo):
    stages = [SMALL["pyramid"], SMALL["pyramid"]]
    one, other = make_chain(stages, seed=1), make_chain(stages, seed=2)
    assert np.abs(to_numpy(one(vgg_photo)[1] - other(vgg_photo)[1])).max() > 1
    for index in range(2):
        weights = one.stage_weights(index)
        assert weights["coarse.0.0.weight"].shape == (8, 64 * 7, 1, 1)
        other.set_stage_weights(index, weights)
    for a, b in zip(one(vgg_photo), other(vgg_photo)):
        assert np.array_equal(to_numpy(a), to_numpy(b))


def test_weights_of_another_shape_are_refused_and_change_nothing(make_chain):
    chain = make_chain([SMALL["pyramid"], SMALL["conv"]])
    before = chain.stage_weights(0)
    missing = {name: weight for name, weight in before.items() if name != "coarse.0.0.weight"}
    larger = {**before, "finish.1.bias": np.zeros(4, np.float32)}
    for weights in (chain.stage_weights(1), missing, {**before, "more": np.zeros(1)}, larger):
        with pytest.raises(ValueError, match="these weights do not fit stage 0.*pyramid"):
            chain.set_stage_weights(0, weights)
    after = chain.stage_weights(0)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_xavier_has_its_bound_and_variance():
    drawn = xavier((48, 32, 5, 5), np.random.RandomState(0))
    bound = (2 / ((48 * 25 + 32 * 25) / 2)) ** 0.5  # magnitude 2, over the mean of fan in and fan out
    assert drawn.dtype == np.float32 and drawn.shape == (48, 32, 5, 5)
    assert 0.999 * bound < drawn.max() <= bound and -bound <= drawn.min() < -0.999 * bound
    assert drawn.var() == pytest.approx(bound**2 / 3, rel=0.02)
    assert abs(drawn.mean()) < 0.02 * bound


def test_weights_are_drawn_from_the_seed_stage_by_stage():
    def drawn(stages, seed, **options):
        chain = Chain(stages, **options)
        chain.draw_weights(seed, devices(cpus=2))
        return chain, [chain.stage_weights(index) for index in range(len(stages))]

    def equal(one, other):
        return all(np.array_equal(one[name], other[name]) for name in one)

    stages = [SMALL["pyramid"], SMALL["pyramid"], SMALL["deconv"]]
    chain, first = drawn(stages, seed=3)
    _, again = drawn(stages, seed=3)
    _, other = drawn(stages, seed=4)
    _, alone = drawn(stages[:1], seed=3)
    _, shared = drawn(stages, seed=3, share_weights=True)
    assert all(equal(*pair) for pair in zip(first, again))
    assert not any(equal(*pair) for pair in zip(first, other)) and not equal(first[0], first[1])
    assert equal(first[0], alone[0]) and equal(shared[0], shared[1])
    for generator in chain.generators:
        for parameter in generator.named_parameters().values():
            copies = [to_numpy(each) for each in parameter.list_data()]
            assert all(np.array_equal(copies[0], each) for each in copies)
    for weights in first:
        for name, weight in weights.items():
            end = name.rpartition(".")[2]
            if end in ("bias", "beta"):
                assert not weight.any(), name
            elif end == "gamma":
                assert (weight == 1).all(), name
            else:
                assert end == "weight", name
                bound = (4 / ((weight.shape[0] + weight.shape[1]) * weight[0, 0].size)) ** 0.5
                assert 0.8 * bound < np.abs(weight).max() <= bound, name


def test_constants_of_former_files_are_left_out():
    names = ("means", "grow_fine.weight", "coarse.0.1.mean", "coarse.0.1.variance", "mean")
    kept = ("coarse.0.0.weight", "body.0.1.running_mean", "body.0.1.running_var", "coarse.0.1.gamma", "look.bias")
    weights = {name: np.zeros(1, np.float32) for name in (*names, *kept)}
    assert tuple(without_constants(weights)) == kept


def test_the_first_weights_never_change():
    """Records of trainings rely on it: with whatever numpy and engine, a seed gives these numbers."""
    chain = Chain([SMALL["conv"]])
    chain.draw_weights(0, [cpu()])
    assert chain.stage_weights(0)["body.0.0.weight"].ravel()[:3] == pytest.approx(
        [-0.105613, -0.092059, -0.101196], abs=1e-6
    )


def test_shared_weights_are_one_network(make_chain, vgg_photo):
    stages = [SMALL["conv"], SMALL["pyramid"], {**SMALL["pyramid"], "residual_weight": 0.3}, SMALL["conv"]]
    shared, own = make_chain(stages, share_weights=True), make_chain(stages)
    assert shared.generators[0] is shared.generators[3]
    assert shared.generators[1] is not shared.generators[2]  # of another residual weight
    assert len(set(own.generators)) == 4
    shared.set_stage_weights(0, own.stage_weights(0))
    assert np.array_equal(shared.stage_weights(3)["body.0.0.weight"], own.stage_weights(0)["body.0.0.weight"])
    padded = shared.pad(vgg_photo)
    conditioning = shared.conditioning(padded)
    assert np.array_equal(
        to_numpy(shared.paint(0, padded, conditioning)), to_numpy(shared.paint(3, padded, conditioning))
    )
    many, few, one = (len(set(block.named_parameters().values())) for block in (own, shared, own.generators[3]))
    assert many == few + one


def test_a_chain_needs_a_stage():
    with pytest.raises(OptionError, match="at least one stage"):
        Chain([])


# Presets


def test_the_boosted_chain_costs_no_more_than_one_johnson_network():
    chain = Chain(PRESETS["boosted"])
    assert len(chain.generators) == 4
    assert sum(map(multiply_adds, chain.generators)) <= 160e3


def test_the_boosted_chain_is_pure_convolution_at_both_ends():
    chain = Chain(PRESETS["boosted"])
    for generator in (chain.generators[0], chain.generators[-1]):
        generator.initialize()
        graph = Graph()
        generator(graph.input("picture", [1, 7, "H", "W"]), graph.input("strength", [1]))
        strides = {tuple(each.ints) for node in graph.nodes for each in node.attribute if each.name == "strides"}
        assert strides == {(1, 1)}
        assert not {node.op_type for node in graph.nodes} & {"ConvTranspose", "AveragePool", "DepthToSpace"}


def test_the_chain_of_2016_is_the_articles():
    stages = stages_of("bing-xu")
    assert [stage["kind"] for stage in stages] == ["conv", "deconv", "deconv", "conv"]
    assert {stage["residual_weight"] for stage in stages} == {0.4}


def test_stages_by_name_with_weights_and_norm():
    assert stages_of("pyramid, conv", (0.2, 0.7), "batch") == [
        {"kind": "pyramid", "residual_weight": 0.2, "norm": "batch"},
        {"kind": "conv", "residual_weight": 0.7, "norm": "batch"},
    ]
    assert [stage["residual_weight"] for stage in stages_of("boosted", (0.6,))] == [0.6] * 4
    assert [stage["residual_weight"] for stage in stages_of("boosted")] == [0.4, 0.4, 0.5, 0.6]
    assert [stage["residual_weight"] for stage in stages_of("pyramid,conv")] == [0.4, 0.4]
    described = [generator.describe() for generator in Chain(stages_of("pyramid,conv")).generators]
    assert json.loads(json.dumps(described)) == described
    assert [generator.describe() for generator in Chain(described).generators] == described


def test_stages_that_do_not_add_up_are_refused():
    with pytest.raises(OptionError, match="--residual-weight takes one number for all 4 stages, or 4, not 3"):
        stages_of("boosted", (0.1, 0.2, 0.3))
    with pytest.raises(OptionError, match="--residual-weight takes one number, as there is one stage, not 2"):
        stages_of("conv", (0.1, 0.2))
    for names in ("", "conv,", "boosted,conv", "convolution"):
        with pytest.raises(OptionError, match="unknown generator .*: choose conv, deconv, pyramid"):
            Chain(stages_of(names))
    with pytest.raises(OptionError, match="--steps takes one number for all 2 stages, or 2, not 3"):
        TrainingOptions(stages="conv,pyramid", steps=(1, 2, 3))
