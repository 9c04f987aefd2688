"""Universal style transfer: the transform, its networks, their training, and painting with them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import assert_one_sentence, painting, save
from skimage import data

from e2e_art.commands.main import main
from e2e_art.engines.gluon import array, cpu, to_numpy
from e2e_art.errors import ModelError, OptionError
from e2e_art.images.arrays import from_vgg_space, to_vgg_space
from e2e_art.images.io import read_image
from e2e_art.models.folder import coding_files, read_model
from e2e_art.models.publish import load_chain, publish
from e2e_art.networks.autoencoder import Autoencoder
from e2e_art.networks.vgg import load_vgg
from e2e_art.networks.wct import LAYERS, LEVELS, widths_of
from e2e_art.painting import universal
from e2e_art.painting.transform import METHODS, Moments, Statistics, transform, transform_regions
from e2e_art.painting.universal import UniversalPainter
from e2e_art.training import decoding
from e2e_art.training.distillation import fit_decoder, fit_student
from e2e_art.training.options import TrainingOptions

pytestmark = [pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

# The transform


def features_of(seed: int, channels: int = 4, pixels: int = 500) -> np.ndarray:
    """Returns features of correlated channels, float64 (C, N)."""
    random = np.random.default_rng(seed)
    mix = random.normal(size=(channels, channels)) + 2 * np.eye(channels)
    return mix @ random.normal(size=(channels, pixels)) + random.normal(size=(channels, 1))


@pytest.mark.parametrize("method", ["ost", "wct"])
def test_transformed_features_have_mean_and_covariance_of_the_style(method):
    features, style = features_of(0), Statistics.of(features_of(1, pixels=300))
    result = Statistics.of(transform(Statistics.of(features), style, method)(features))
    np.testing.assert_allclose(result.mean, style.mean, atol=1e-9)
    np.testing.assert_allclose(result.covariance, style.covariance, atol=1e-9)


def test_adain_gives_each_channel_its_variance():
    features, style = features_of(0), Statistics.of(features_of(1))
    result = Statistics.of(transform(Statistics.of(features), style, "adain")(features))
    np.testing.assert_allclose(result.mean, style.mean, atol=1e-9)
    np.testing.assert_allclose(np.diag(result.covariance), np.diag(style.covariance), atol=1e-9)


def test_optimal_transport_is_symmetric_and_moves_least():
    content, style = Statistics.of(features_of(0)), Statistics.of(features_of(1))
    moves = {name: transform(content, style, name).matrix for name in ("ost", "wct")}
    matrix = moves["ost"]
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    np.testing.assert_allclose(matrix @ content.covariance @ matrix, style.covariance, atol=1e-9)
    cost = {name: np.trace((t - np.eye(4)) @ content.covariance @ (t - np.eye(4)).T) for name, t in moves.items()}
    assert cost["ost"] < cost["wct"]


def test_diagonal_covariances_by_hand():
    content = Statistics(np.array([1.0, 2.0]), np.diag([4.0, 9.0]))
    style = Statistics(np.array([5.0, 5.0]), np.diag([16.0, 1.0]))
    for method in METHODS:
        affine = transform(content, style, method)
        np.testing.assert_allclose(affine.matrix, np.diag([2.0, 1 / 3]), atol=1e-12)
        np.testing.assert_allclose(affine.offset, [3.0, 5 - 2 / 3], atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_strength(method):
    features, style = features_of(0), Statistics.of(features_of(1))
    content = Statistics.of(features)
    whole = transform(content, style, method)(features)
    np.testing.assert_array_equal(transform(content, style, method, strength=0)(features), features)
    half = transform(content, style, method, strength=0.5)(features)
    np.testing.assert_allclose(half, (features + whole) / 2, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rank", [4, 2, 1])
def test_same_features_as_both_are_a_fixed_point(method, rank):
    features = features_of(0)
    features[rank:] = features[:1]  # channels that say the same
    own = Statistics.of(features)
    np.testing.assert_allclose(transform(own, own, method)(features), features, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_constant_features_become_the_mean_of_the_style(method):
    style = Statistics.of(features_of(1))
    for features in (np.full((4, 30), 1e3 / 3), np.full((4, 1), 7.0)):  # also a single pixel
        result = transform(Statistics.of(features), style, method)(features)
        np.testing.assert_allclose(result, np.repeat(style.mean[:, np.newaxis], features.shape[1], axis=1))


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_style_leaves_its_color_alone(method):
    features, flat = features_of(0), Statistics.of(np.full((4, 9), 2.5))
    np.testing.assert_allclose(transform(Statistics.of(features), flat, method)(features), 2.5, atol=1e-9)


def test_small_variances_are_raised_to_a_share_of_the_mean():
    features = features_of(0)
    features[3] = 1e-9 * features[0]  # of 1e-18 of its variance: whitened, it would be noise
    content, style = Statistics.of(features), Statistics.of(features_of(1))
    for method in METHODS:
        assert np.abs(transform(content, style, method).matrix).max() < 2e3
    weak = Statistics.of(1e-3 * features_of(0))  # no floor stands above what varies little throughout
    result = Statistics.of(transform(weak, style)(1e-3 * features_of(0)))
    np.testing.assert_allclose(result.covariance, style.covariance, atol=1e-9)


def test_moments_of_tiles_are_those_of_the_whole():
    features = features_of(0).astype(np.float32)
    moments = Moments(4)
    for begin in range(0, 500, 130):
        moments.add(features[:, begin : begin + 130])
    whole, tiled = Statistics.of(features), moments.statistics()
    np.testing.assert_allclose(tiled.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(tiled.covariance, whole.covariance, rtol=1e-10)
    assert tiled.count == whole.count == 500


def test_each_region_has_a_transform_of_its_own():
    features, styles = features_of(0), [Statistics.of(features_of(seed)) for seed in (1, 2, 3)]
    places = np.arange(500)
    regions = [places < 200, (places >= 200) & (places < 450), places >= 496]  # the last one has four pixels
    result = transform_regions(features, regions, styles)
    for region, style in zip(regions[:2], styles):
        own = Statistics.of(result[:, region])
        np.testing.assert_allclose(own.mean, style.mean, atol=1e-9)
        np.testing.assert_allclose(own.covariance, style.covariance, atol=1e-9)
    np.testing.assert_array_equal(result[:, 450:], features[:, 450:])
    few = Statistics.of(features_of(4, pixels=4))
    np.testing.assert_array_equal(transform_regions(features, regions[:1], [few]), features)


def test_unknown_methods():
    own = Statistics.of(features_of(0))
    with pytest.raises(OptionError, match="unknown method 'ots': choose ost, wct or adain"):
        transform(own, own, "ots")


# Networks


def forms(width: int = 2) -> list[dict]:
    return [{"kind": "student", "width": width}, *({"kind": "decoder", "level": k, "width": width} for k in LEVELS)]


def chain_of(width: int = 2, seed: int = 1) -> Autoencoder:
    chain = Autoencoder(forms(width))
    chain.draw_weights(seed, [cpu()])
    return chain


def pictures(image: np.ndarray, count: int = 1, edge: int = 96) -> list:
    """Returns parts of a picture, (1, 3, 96, 96) in VGG space."""
    places = [slice(70 * n, 70 * n + edge) for n in range(count)]
    return [array(to_vgg_space(image[place, place])) for place in places]


@pytest.fixture(scope="module")
def vgg():
    layers = [f"relu{block}_{index}" for block, count in enumerate((2, 2, 4, 1), 1) for index in range(1, count + 1)]
    return load_vgg(layers)


@pytest.fixture(scope="module")
def fitted(vgg):
    """A small student and its decoders, fitted to a few pictures."""
    chain, given = chain_of(width=4), [*pictures(data.astronaut(), 5), *pictures(data.chelsea(), 3)]
    fit_student(chain.student, vgg, given, decoding.SCALES)
    for level in LEVELS:
        fit_decoder(chain.decoder(level), chain.student, given)
    return chain


@pytest.fixture(scope="module")
def model(fitted, tmp_path_factory):
    """The folder of that as a model."""
    folder = tmp_path_factory.mktemp("models") / "small"
    publish(fitted, folder, {"command": "e2e-art train --decoders", "photos": 3, "seconds": 60})
    return folder


@pytest.fixture(scope="module")
def painter(model):
    return UniversalPainter(model)


@pytest.fixture(scope="module")
def style():
    return np.ascontiguousarray(data.immunohistochemistry()[:96, :128])


def test_features_have_the_widths_and_sizes_of_their_level():
    chain = chain_of(width=3)
    features = chain.student(array(np.zeros((2, 3, 32, 48))))
    assert [each.shape for each in features] == [(2, 3, 32, 48), (2, 6, 16, 24), (2, 12, 8, 12), (2, 24, 4, 6)]
    for level, each in zip(LEVELS, features):
        assert chain.decoder(level)(each).shape == (2, 3, 32, 48)
    assert widths_of(64) == [64, 128, 256, 512]  # of VGG itself


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 17), (16, 16), (33, 5)])
def test_pictures_of_any_size_come_back_in_it(height, width):
    given = array(np.random.default_rng(0).normal(0, 50, (1, 3, height, width)))
    assert all(picture.shape == (1, 3, height, width) for picture in chain_of()(given))


def test_stages_are_a_student_and_a_decoder_for_each_level():
    for stages in (forms()[:-1], forms()[1:], [*forms()[:-1], forms(4)[-1]], forms()[::-1]):
        with pytest.raises(OptionError, match="a student and a decoder for each level"):
            Autoencoder(stages)
    with pytest.raises(OptionError, match="Decoders begin at a level of 1 to 4, not 5"):
        Autoencoder([*forms()[:-1], {"kind": "decoder", "level": 5}])
    with pytest.raises(OptionError, match="have no normalization"):
        Autoencoder([{**forms()[0], "norm": "batch"}, *forms()[1:]])


# Least squares


def embedding_errors(chain: Autoencoder, vgg, picture) -> list[float]:
    truths = dict(zip(vgg.layers, vgg(picture)))
    errors = []
    for features, each, scale, layer in zip(chain.student(picture), chain.student.maps, decoding.SCALES, LAYERS):
        wanted = to_numpy(truths[layer])
        errors.append(((scale * to_numpy(each(features)) - wanted) ** 2).sum() / (wanted**2).sum())
    return errors


def test_a_fitted_student_sees_much_of_what_vgg_does(fitted, vgg):
    (unseen,) = pictures(data.coffee())
    assert max(embedding_errors(fitted, vgg, unseen)) < 0.7  # of 4 to 32 channels instead of 64 to 512
    assert min(embedding_errors(chain_of(4), vgg, unseen)) > 0.9


def test_fitted_decoders_bring_pictures_back(fitted):
    (unseen,) = pictures(data.coffee())
    given = to_numpy(unseen)
    errors = [np.abs(to_numpy(picture) - given).mean() / 255 for picture in fitted(unseen)]
    assert errors[0] == 0  # the picture of the student is the given one
    assert errors[1] < 0.05 and max(errors) < 0.25
    assert errors[1] == min(errors[1:])  # nothing was pooled


def test_least_squares_find_the_convolution_that_there_was():
    from e2e_art.networks.layers import PaddedConv, UpsampledConv
    from e2e_art.training.distillation import _fit

    random = np.random.default_rng(0)
    maps = [array(random.normal(size=(1, 4, 12, 10))) for _ in range(2)]
    for block, other in [[PaddedConv(4, 3) for _ in range(2)], [UpsampledConv(4, 3, bias=True) for _ in range(2)]]:
        for each in (block, other):
            each.initialize()
            for parameter in each.named_parameters().values():
                parameter.set_data(random.normal(size=parameter.shape))
        _fit(other, maps, [to_numpy(block(x))[0].reshape(3, -1) for x in maps])
        np.testing.assert_allclose(to_numpy(other(maps[0])), to_numpy(block(maps[0])), atol=2e-2)


# Training


def train(files, out, *words: str) -> int:
    return main(["train", "--decoders", "--photos", str(files / "photos"), "--out", str(out), *words])


SMALL = ["--width", "2", "--size", "32", "--steps", "2", "1", "1", "1", "1", "--batch", "1"]


@pytest.fixture(autouse=True, scope="module")
def few_photos():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "FITTED", 2)
        yield


@pytest.mark.training
def test_a_training_makes_a_model(files, tmp_path):
    out, photos = tmp_path / "small", str(files / "photos")
    assert train(files, out, *SMALL, "--validate", photos, "--preview", str(files / "painting.jpg")) == 0
    model = read_model(out)
    assert [stage["kind"] for stage in model.stages] == ["student", *["decoder"] * 4]
    assert {name for level in LEVELS for name in coding_files(level)} <= model.files.keys()
    entries = [json.loads(line) for line in (tmp_path / "small.training" / "log.jsonl").read_text().splitlines()]
    steps = [entry for entry in entries if "phase" in entry]
    assert [entry["phase"] for entry in steps] == [0, 0, 1, 2, 3, 4]
    assert [entry["embedding"] > 0 for entry in steps] == [True, True, False, False, False, False]
    assert [entry["feature"] > 0 for entry in steps] == [False, False, True, True, True, True]
    assert len(model.record["validation"]) == 5
    again = load_chain(model)
    assert to_numpy(again(pictures(data.coffee())[0])[4]).shape == (1, 3, 96, 96)


@pytest.mark.training
def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(files, tmp_path):
    from e2e_art.training.trainer import Training

    options = TrainingOptions(
        kind="autoencoder", photos=str(files / "photos"), width=2, sizes=(32,), steps=(2, 2, 1, 1, 1), batch=1
    )

    def stop(step):
        if step.total_step == 3:
            raise KeyboardInterrupt

    whole = Training(options, tmp_path / "whole.npz")
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        Training(options, tmp_path / "parts.npz").run(stop)
    parts = Training(options, tmp_path / "parts.npz", resume=True)
    parts.run()
    for stage in range(5):
        weights = parts.chain.stage_weights(stage)
        for name, weight in whole.chain.stage_weights(stage).items():
            np.testing.assert_allclose(weights[name], weight, atol=1e-6, err_msg=f"{stage} {name}")


@pytest.mark.training
def test_decoders_learn_and_leave_the_student_alone(files, tmp_path):
    from e2e_art.training.trainer import Training

    options = TrainingOptions(
        kind="autoencoder", photos=str(files / "photos"), width=4, sizes=(32,), steps=(1, 12, 1, 1, 1), batch=2
    )
    training, losses = Training(options, tmp_path / "decoders.npz"), []
    weights = []

    def look(step):
        if step.phase == 1:
            losses.append(sum(step.losses[0].values()))
            weights.append(training.chain.stage_weights(0)["level_1.0.convolution.weight"])

    training.run(look)
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    np.testing.assert_array_equal(weights[0], weights[-1])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--size", "40"], "multiples of 16"),
        (["--width", "65"], "--width"),
        (["--stages", "student"], "--stages"),
        (["--style-weight", "3"], "--style-weight"),
        (["--super-resolution", "4"], "two trainings"),
    ],
)
def test_what_cannot_be_trained_is_refused(words, says, files, tmp_path, capfd):
    assert_one_sentence(train(files, tmp_path / "model", *words), capfd.readouterr().err, says)


def test_photos_are_needed(tmp_path, capfd):
    code = main(["train", "--decoders", "--out", str(tmp_path / "model")])
    assert_one_sentence(code, capfd.readouterr().err, "add --photos DIR")


# Painting


def test_strength_0_is_the_reconstruction(painter, fitted, style, photo):
    image = photo[:64, :80]
    picture = painter(image, style, strength=0, levels=[2])
    by_engine = from_vgg_space(to_numpy(fitted(array(to_vgg_space(image)))[2]))
    assert np.abs(picture.astype(int) - by_engine).max() <= 4  # weights are kept in half precision


@pytest.mark.parametrize("method", METHODS)
def test_the_same_picture_as_both_is_a_fixed_point(painter, photo, method):
    image, levels = np.ascontiguousarray(photo[:64, :80]), [4, 1]
    own = {level: painter._statistics(universal._padded(image), level)[0] for level in levels}
    once = painter(image, own, method=method, levels=[4])
    assert np.abs(once.astype(int) - painter(image, own, strength=0, levels=[4])).max() <= 1


def test_a_level_has_the_statistics_of_the_painting(painter, photo, style):
    picture = universal._padded(photo)
    wanted = painter.style(style)[3]
    content, features = painter._statistics(picture, 3)
    mapped = Statistics.of(transform(content, wanted)(features.reshape(len(features), -1)))
    np.testing.assert_allclose(mapped.mean, wanted.mean, atol=1e-3 * np.abs(wanted.mean).max())
    np.testing.assert_allclose(mapped.covariance, wanted.covariance, atol=1e-2 * np.trace(wanted.covariance))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 30), (37, 21)])
def test_photos_of_any_size_are_painted_in_it(painter, style, method, height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    assert painter(image, style, method=method).shape == image.shape


def test_gray_photos_and_paintings_of_one_color(painter, style, photo):
    gray = np.repeat(photo[..., :1], 3, axis=2)
    assert np.ptp(painter(gray, style).astype(int), axis=2).max() > 20  # it takes colors
    flat = painter(photo, np.full((10, 10, 3), (200, 40, 90), np.uint8)).astype(int)
    assert np.abs(flat - flat[50, 60]).max() <= 3
    assert painter(np.full((40, 40, 3), 7, np.uint8), style).shape == (40, 40, 3)


def test_size_and_colors(painter, style, photo):
    small, own = painter(photo, style, size=48), painter(photo, style)
    assert small.shape == own.shape == photo.shape
    assert not np.array_equal(small, own)
    kept = painter(np.repeat(photo[..., :1], 3, axis=2), style, keep_colors=True)
    assert np.ptp(kept.astype(int), axis=2).max() <= 1  # a gray photo's colors are none


def test_tiles_join_to_the_whole(painter, style, monkeypatch):
    image = np.ascontiguousarray(data.astronaut()[:200, 100:330])
    whole = painter(image, style)
    monkeypatch.setattr(universal, "TILE", 96)
    assert len(list(universal._tiles(universal._padded(image), 16))) == 9
    assert np.abs(painter(image, style).astype(int) - whole).max() <= 1


def test_options_out_of_range(painter, style, photo):
    for options, says in [
        ({"method": "gram"}, "unknown method 'gram'"),
        ({"levels": [5]}, "levels 1 to 4, not 5"),
        ({"levels": []}, "levels 1 to 4, not none"),
        ({"strength": 3}, "strength"),
        ({"size": -1}, "size"),
    ]:
        with pytest.raises(OptionError, match=says):
            painter(photo, style, **options)
    with pytest.raises(OptionError, match="A photo is uint8"):
        painter(photo[..., 0], style)
    with pytest.raises(ModelError, match="starry_night"):
        UniversalPainter("starry_night")


# Commands


@pytest.fixture
def given(tmp_path, photo):
    """A folder with a photo and a painting."""
    save(tmp_path / "photo.png", photo)
    painting(tmp_path / "painting.jpg")
    return tmp_path


def infer(folder, *words: str) -> int:
    photo, out = str(folder / "photo.png"), str(folder / "out.png")
    return main(["infer", photo, "-o", out, *(word.replace("DIR", str(folder)) for word in words)])


@pytest.mark.parametrize("method", METHODS)
def test_infer_paints_in_the_style_of_a_painting(given, painter, model, method, photo):
    assert infer(given, "--style", "DIR/painting.jpg", "--method", method, "--model", str(model)) == 0
    wanted = painter(photo, read_image(given / "painting.jpg"), method=method)
    np.testing.assert_array_equal(read_image(given / "out.png"), wanted)


def test_infer_knows_levels_strength_size_and_colors(given, painter, model, photo):
    words = ["--level", "2", "--strength", "0.5", "--size", "64", "--keep-colors"]
    assert infer(given, "--style", "DIR/painting.jpg", "--method", "ost", "--model", str(model), *words) == 0
    options = {"levels": [2], "strength": 0.5, "size": 64, "keep_colors": True}
    wanted = painter(photo, read_image(given / "painting.jpg"), **options)
    np.testing.assert_array_equal(read_image(given / "out.png"), wanted)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--method", "ost"], "add --style PAINTING"),
        (["--level", "2"], "--level goes with --method"),
        (["--method", "ost", "--style", "DIR/nothing.jpg"], "nothing.jpg"),
        (["--method", "ost", "--style", "DIR/painting.jpg", "--stages"], "--stages is for photos"),
        (["--method", "ost", "--style", "DIR/painting.jpg", "--model", "starry_night"], "starry_night"),
    ],
)
def test_what_makes_no_sense(given, words, says, capfd):
    assert_one_sentence(infer(given, *words), capfd.readouterr().err, says)


def test_other_commands_know_the_kind(given, model, capfd):
    assert main(["models", str(model)]) == 0
    assert "Small" in capfd.readouterr().out
    code = main(["export", "--onnx", str(given / "x.onnx"), "--model", str(model)])
    assert_one_sentence(code, capfd.readouterr().err, "several graphs")
    assert_one_sentence(infer(given, "--model", str(model)), capfd.readouterr().err, "--method")
