"""Networks that enlarge pictures, what they are shown, and how they learn from pixels and from features."""

import json

import numpy as np
import pytest
from helpers import assert_one_sentence, photo_folder, save, tiny_upscaler, value_and_gradient
from PIL import Image
from skimage import data

from e2e_art.commands.main import main
from e2e_art.data.photos import PatchStream, Photos
from e2e_art.engines.gluon import array, cpu, nd, to_numpy
from e2e_art.errors import OptionError
from e2e_art.images.arrays import from_vgg_space, to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.losses.reconstruction import FeatureLoss, grid_error, pixel_error
from e2e_art.models.folder import read_model
from e2e_art.models.publish import load_chain
from e2e_art.networks.chain import UpscaleChain
from e2e_art.training import options as options_module
from e2e_art.training.checkpoint import load_checkpoint
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training

pytestmark = [pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

COMPACT = {"kind": "compact", "channels": 8, "depth": 2}
JOHNSON = {"kind": "johnson-upscaler", "channels": 8, "blocks": 1, "norm": "batch"}
LOSS = LossOptions(content_layers=("relu2_2",))


def chain_of(*stages: dict, seed: int = 1) -> UpscaleChain:
    chain = UpscaleChain(stages)
    chain.draw_weights(seed, [cpu()])
    return chain


def enlarged(chain: UpscaleChain, image: np.ndarray) -> np.ndarray:
    return from_vgg_space(to_numpy(chain(array(to_vgg_space(image)))[-1])).astype(int)


def shaken(chain: UpscaleChain, scale: float = 0.02) -> UpscaleChain:
    """Gives every weight of every stage a random value, since new ones end in zeros."""
    random = np.random.default_rng(5)
    for stage in range(len(chain.generators)):
        weights = chain.stage_weights(stage)
        chain.set_stage_weights(
            stage, {n: (w + random.normal(0, scale, w.shape)).astype("f") for n, w in weights.items()}
        )
    return chain


# Networks


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_an_untrained_one_enlarges_bicubically(factor):
    image = data.chelsea()[100:140, 100:150]
    size = factor * image.shape[1], factor * image.shape[0]
    expected = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)).astype(int)
    found = enlarged(chain_of({**COMPACT, "factor": factor}), image)
    inside = slice(3 * factor, -3 * factor)  # where reflection and Pillow's own border do not reach
    assert np.abs(found - expected)[inside, inside].max() <= 1  # Pillow rounds between rows and columns


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (250, 3, 128)])
def test_flat_colors_stay_whatever_was_learned(color):
    chain = shaken(chain_of({**COMPACT, "factor": 2}), 0.2)
    weights = chain.stage_weights(0)
    chain.set_stage_weights(0, {name: 0 * w if name.endswith("bias") else w for name, w in weights.items()})
    found = enlarged(chain, np.full((9, 11, 3), color, np.uint8))
    assert found.shape == (18, 22, 3) and (found == color).all()


@pytest.mark.parametrize("stage", [COMPACT, JOHNSON], ids=lambda stage: stage["kind"])
@pytest.mark.parametrize("height, width", [(1, 1), (5, 7)])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_any_size_comes_out_so_many_times_as_large(stage, height, width, factor):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    assert enlarged(chain_of({**stage, "factor": factor}), image).shape == (factor * height, factor * width, 3)


def test_padding_hides_the_zeros_of_the_convolutions():
    """The middle of a picture does not depend on where it was cut, to as near its border as the network sees."""
    chain, image = shaken(chain_of({"kind": "compact", "factor": 2}), 0.05), data.coffee()[100:150, 200:260]
    part = enlarged(chain, image[10:])[2 * chain.padding :]
    assert np.abs(part - enlarged(chain, image)[20 + 2 * chain.padding :]).max() <= 1  # rounding


@pytest.mark.parametrize(
    ("form", "reach"),
    [
        ({"kind": "compact", "channels": 8, "factor": 4}, 12),
        ({"kind": "compact", "channels": 8, "factor": 2, "depth": 4}, 8),
        ({**JOHNSON, "factor": 2, "blocks": 4}, 15),
        ({**JOHNSON, "factor": 4, "blocks": 4}, 14),
        ({**JOHNSON, "factor": 8, "blocks": 1}, 8),
    ],
)
def test_an_upscaler_says_how_far_it_sees(form, reach):
    chain = shaken(chain_of(form), 0.1)
    assert chain.generators[0].reach == chain.padding == reach
    photo = to_vgg_space(data.coffee()[100:200, 200:300])
    changed, factor = photo.copy(), chain.factor
    changed[:, :, :50] = 100 - changed[:, :, :50]
    ends = [to_numpy(chain(array(each))[0])[:, :, 50 * factor :] for each in (photo, changed)]
    (rows,) = np.nonzero(np.abs(ends[0] - ends[1]).max(axis=(0, 1, 3)) > 1e-3)
    assert rows.max() // factor + 1 == reach  # rows below the last changed one


def test_a_flat_gradient_reaches_every_weight():
    chain = shaken(chain_of({**COMPACT, "factor": 2}))
    _, gradient = value_and_gradient(lambda x: chain.enlarge_padded(0, x, learning=True), np.zeros((1, 3, 30, 30)))
    assert np.allclose(gradient[:, :, 14:16, 14:16].mean(), 4, atol=0.5)  # a gray level more is four pixels of it


def test_stages_have_to_be_of_one_form():
    with pytest.raises(OptionError, match="of one kind and form"):
        UpscaleChain([{**COMPACT, "factor": 2}, {**COMPACT, "factor": 4}])
    with pytest.raises(OptionError, match="2, 4, 8, not 3"):
        UpscaleChain([{**COMPACT, "factor": 3}])
    with pytest.raises(OptionError, match="make no upscaler"):
        UpscaleChain([{"kind": "pyramid"}])


def test_a_network_whose_tiles_would_differ_is_refused():
    with pytest.raises(OptionError, match="learn with --norm batch"):
        UpscaleChain([{**JOHNSON, "norm": "instance"}])


# What they are shown


def test_patches_are_parts_of_the_photos(tmp_path):
    photo = data.astronaut()[:80, :120]
    save(tmp_path / "photo.png", photo)
    with PatchStream(Photos(tmp_path), 32, photo_scales=(1.0, 1.0)) as stream:
        patches = [patch for _ in range(12) for patch in next(stream)]
    windows = np.lib.stride_tricks.sliding_window_view(photo, (32, 32, 3))[:, :, 0]
    for patch in patches:
        assert any((windows == each).all(axis=(2, 3, 4)).any() for each in (patch, patch[:, ::-1]))
    assert len({patch.tobytes() for patch in patches}) > 6


def test_patches_go_on_where_they_stopped_and_fit_any_photo(tmp_path):
    photo_folder(tmp_path, 3)
    save(tmp_path / "small.png", data.rocket()[:20, :300])  # a short edge shorter than a patch
    photos, options = Photos(tmp_path, seed=3), {"photo_scales": (0.6, 1.4)}
    with PatchStream(photos, 48, 2, **options) as stream:
        first, second, third = (next(stream) for _ in range(3))
    with PatchStream(photos, 48, 2, position=4, **options) as stream:
        assert (next(stream) == third).all()
    assert first.shape == second.shape == (2, 48, 48, 3)


# The loss


def test_the_pixel_error_is_a_share_of_all_levels():
    black, white = np.zeros((2, 3, 4, 4)), np.full((2, 3, 4, 4), 255)
    white[1] = 51
    assert np.allclose(to_numpy(pixel_error(nd, array(black), array(white))), [1, 0.2])


def test_the_grid_error_is_that_of_places_in_squares():
    truth = np.random.default_rng(0).uniform(-99, 99, (1, 3, 32, 32)).astype("f")
    grid = np.zeros_like(truth)
    grid[:, :, ::2, ::2] = 51  # one place of four is 51 too bright: the mean of all is 12.75 too bright
    brighter = np.full_like(truth, 51)
    for error, expected in ((0 * grid, 0), (brighter, 0), (grid, (51 - 12.75 + 3 * 12.75) / 4 / 255)):
        found = to_numpy(grid_error(nd, array(truth + error), array(truth), 2)).item()
        assert found == pytest.approx(expected, abs=1e-6)


def test_the_feature_error_is_nothing_for_the_picture_itself():
    loss = FeatureLoss(LOSS, bfloat16=False)
    photo = to_vgg_space(data.chelsea()[:48, :64])
    features, others = (loss.features(array(each)) for each in (photo, 0.5 * photo))
    assert to_numpy(loss.error(features, features)).item() == pytest.approx(0, abs=1e-6)
    assert 0.01 < to_numpy(loss.error(others, features)).item() < 1


# Learning


@pytest.fixture
def small_presets(monkeypatch):
    monkeypatch.setitem(options_module.PRESETS, "upscaler", [COMPACT] * 3)


def options_for(photos, **more) -> TrainingOptions:
    given = {"kind": "upscaler", "factor": 2, "photos": str(photos), "sizes": (64,), "batch": 2, "loss": LOSS, **more}
    return TrainingOptions(**given)


@pytest.mark.training
def test_it_learns_to_be_nearer_than_bicubic(files, tmp_path):
    options = options_for(
        files / "photos", stages="compact", steps=(60,), learning_rates=(2e-3,), feature_weights=(0.0,)
    )
    training = Training(options, tmp_path / "checkpoint.npz", bfloat16=False)
    photos = sorted((files / "photos").rglob("*.jpg"))[:2]
    (before,) = training.task.validate(photos, [0])
    training.run(checkpoint_every=1000)
    (after,) = training.task.validate(photos, [0])
    assert after["pixel"] < 0.97 * before["pixel"]  # 0.9 or less in either engine
    assert after["psnr"] > before["psnr"]


@pytest.mark.training
def test_stages_begin_with_the_weights_of_the_one_before(files, tmp_path, small_presets):
    options = options_for(files / "photos", steps=(2, 1, 1), gan_weights=(0.0,))
    training = Training(options, tmp_path / "checkpoint.npz", bfloat16=False)
    totals = []
    training.run(lambda step: totals.append(step.losses[-1]))
    assert totals[0]["feature"] == totals[1]["feature"] == 0 < totals[2]["feature"]
    begun = options_for(files / "photos", steps=(0, 0, 1), start_from="x", gan_weights=(0.0,))
    (weights,) = {tuple(np.concatenate([w.ravel() for w in training.chain.stage_weights(0).values()]))}
    single = chain_of({**COMPACT, "factor": 2})
    single.set_stage_weights(0, training.chain.stage_weights(0))
    later = Training(begun, tmp_path / "later.npz", start_from=single, bfloat16=False)
    for stage in range(3):
        own = np.concatenate([w.ravel() for w in later.chain.stage_weights(stage).values()])
        assert np.allclose(own, weights)


@pytest.mark.training
def test_a_training_makes_a_model(files, tmp_path, small_presets, capsys):
    out = tmp_path / "x2"
    words = ["train", "--super-resolution", "2", "--photos", files / "photos", "--out", out, "--steps", 2, 2, 2]
    words += ["--size", 64, "--batch", 1, "--validate", files / "photos", "--preview", files / "photo.png"]
    save(files / "photo.png", data.chelsea()[:90, :120])
    assert main([str(word) for word in (*words, "--compressed", 1, "--blurred", 1, "--noisy", 1)]) == 0
    model = read_model(out)
    assert model.kind.name == "upscaler" and [stage["factor"] for stage in model.stages] == [2, 2, 2]
    assert [sorted(each) for each in model.record["validation"]] == [["feature", "pixel", "psnr", "stage", "total"]] * 3
    assert {"sheet.jpg", "thumbnail.jpg"} <= model.files.keys() and "style.npz" not in model.files
    entries = [json.loads(line) for line in (tmp_path / "x2.training" / "log.jsonl").read_text().splitlines()]
    assert [sorted({"pixel", "feature", "gan"} & entry.keys()) for entry in entries if "phase" in entry]
    kept = load_checkpoint(tmp_path / "x2.training" / "checkpoint.npz").weights
    for stage, weights in enumerate(kept):
        for name, weight in load_chain(model).stage_weights(stage).items():
            assert np.abs(weight - weights[name]).max() <= 1e-3 * max(1, np.abs(weight).max())  # half precision


@pytest.mark.training
def test_one_photo_of_three_is_enough(tmp_path, small_presets, capsys, caplog):
    caplog.set_level("INFO")
    photos = photo_folder(tmp_path / "photos", 3)
    for path in sorted(photos.rglob("*.jpg"))[:2]:
        path.write_bytes(b"no picture")
    (photos / "notes.txt").write_text("of three photos")
    words = ["--super-resolution", "2", "--photos", str(photos), "--out", str(tmp_path / "x2"), "--size", "64"]
    assert main(["train", *words, "--steps", "2", "2", "2"]) == 0
    assert "2 photos could not be read and were skipped: a/000.jpg, a/002.jpg" in capsys.readouterr().out
    assert read_model(tmp_path / "x2").record["skipped"] == 2
    said = [record.getMessage() for record in caplog.records]
    assert sum("Skipped a photo" in each for each in said) == 2
    assert sum("passed over" in each for each in said) == 1


def test_pictures_of_any_size_are_validated_and_previewed(files, tmp_path, small_presets):
    training = Training(options_for(files / "photos", stages="compact"), tmp_path / "checkpoint.npz", bfloat16=False)
    dot, flat = (
        save(tmp_path / "dot.png", np.full((1, 1, 3), 90, np.uint8)),
        save(tmp_path / "flat.png", np.zeros((1, 40, 3), np.uint8)),
    )
    shapes = [sample.shape for sample in training.task.samples([dot, flat]).values()]
    assert shapes == [(1, 3, 1, 1), (1, 3, 1, 20)]
    (result,) = training.task.validate([dot, flat], [0])
    assert 90 < result["psnr"] <= 120  # and not endless, which no record could hold
    weights = training.chain.stage_weights(0)
    training.chain.set_stage_weights(0, {name: weight + 0.2 for name, weight in weights.items()})
    assert training.task.validate([dot], [0])[0]["psnr"] == 0  # however far away: records take no less


@pytest.mark.parametrize(
    "words, part",
    [
        (["--super-resolution", "3"], "choose 2, 4 or 8"),
        (["--super-resolution", "4"], "--super-resolution learns from photos: add --photos DIR"),
        (["--style", "{painting}"], "--style learns from photos: add --photos DIR"),
        (["--photos", "{photos}"], "Say what to learn: --style PAINTING and --photos DIR, --texture"),
        (
            ["--super-resolution", "4", "--photos", "{photos}", "--style", "{painting}"],
            "--style and --super-resolution are two trainings: choose one",
        ),
        (["--super-resolution", "4", "--texture", "{painting}"], "--texture and --super-resolution are two trainings"),
        (["--super-resolution", "4", "--doodle", "{painting}"], "--doodle and --super-resolution are two trainings"),
        (["--super-resolution", "4", "--photos", "{photos}", "--style-weight", "2"], "--style-weight goes with"),
        (["--super-resolution", "2", "--photos", "{photos}", "--stages", "johnson-x4"], "enlarges 4 times"),
        (["--super-resolution", "2", "--photos", "{photos}", "--stages", "pyramid"], "make no upscaler"),
        (["--super-resolution", "2", "--photos", "{photos}", "--photo-scale", "1"], "such as 0.6 1.4, not 1"),
        (["--super-resolution", "2", "--photos", "{photos}", "--photo-scale", "1.4", "0.6"], "not 1.4 0.6"),
        (["--super-resolution", "2", "--photos", "{photos}", "--stages", "johnson-upscaler"], "--norm batch"),
        (["--super-resolution", "2", "--photos", "{photos}", "--norm", "batch"], "leave --norm batch out"),
        (
            ["--super-resolution", "2", "--photos", "{photos}", "--pixel-weight", "0", "--gan-weight", "1"],
            "--pixel-weight and --feature-weight are 0 for stage 0, which would learn nothing",
        ),
        (["--super-resolution", "4", "--photos", "{photos}", "--size", "60"], "--size is 64 pixels or more"),
        (["--super-resolution", "4", "--photos", "{photos}", "--size", "66"], "multiples of 4 for a factor of 4, such"),
        (
            ["--style", "{painting}", "--photos", "{photos}", "--stages", "compact"],
            "'compact' make no chain: choose other",
        ),
        (
            ["--super-resolution", "2", "--photos", "{photos}", "--start-from", "{x4}"],
            "enlarges 4 times, and this training 2 times",
        ),
        (["--style", "{painting}", "--photos", "{photos}", "--pixel-weight", "2"], "--pixel-weight goes with"),
    ],
)
def test_what_cannot_be_trained_is_refused(words, part, files, tmp_path, capfd):
    places = {"photos": files / "photos", "painting": files / "painting.jpg"}
    if "{x4}" in words:
        places["x4"] = tiny_upscaler(tmp_path / "x4", factor=4)
    words = [word.format(**places) for word in words]
    code = main(["train", *words, "--out", str(tmp_path / "out")])
    assert_one_sentence(code, capfd.readouterr().err, part)
    assert not (tmp_path / "out").exists()
