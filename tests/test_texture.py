"""Textures: noise by number, the network of 2016, learning, and every seed through `infer.py`."""

import json
import logging

import numpy as np
import pytest
from helpers import assert_one_sentence, pixels, process, save
from skimage import data

from e2e_art import load_texture
from e2e_art.commands.main import main
from e2e_art.engines.choice import chosen
from e2e_art.engines.gluon import array, cpu, nd, to_numpy
from e2e_art.errors import OptionError
from e2e_art.losses.options import LossOptions
from e2e_art.models.folder import read_model
from e2e_art.models.kinds import TEXTURE
from e2e_art.models.publish import publish
from e2e_art.networks.chain import Chain, TextureChain
from e2e_art.networks.inputs import seeded_noise
from e2e_art.networks.texture import SCALES, Texture
from e2e_art.painting.noise import seam
from e2e_art.training.checkpoint import load_checkpoint
from e2e_art.training.options import TrainingOptions
from e2e_art.training.run_log import RunLog
from e2e_art.training.trainer import Training

pytestmark = [pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

BOOSTED = [{"kind": "texture", "residual_weight": 1.0}, {"kind": "texture", "sees_picture": True}]
STYLE_ONLY = LossOptions(content_weight=0.0, style_layers=("relu1_1", "relu2_1"))


def texture_chain(stages=BOOSTED[:1], seed: int = 1):
    chain = TextureChain(stages)
    chain.draw_weights(seed, [cpu()])
    return chain


@pytest.fixture(scope="module")
def brick(tmp_path_factory):
    """The file of a real texture."""
    return save(tmp_path_factory.mktemp("brick") / "brick.png", data.brick()[:128, :128], "RGB")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of an untrained model of two stages."""
    folder = tmp_path_factory.mktemp("textures") / "wall"
    publish(texture_chain(BOOSTED), folder, {"command": "by hand"})
    return folder


# Noise


def test_noise_is_the_hash_that_it_says():
    def mixed(x: int) -> int:  # lowbias32, in whole numbers
        x = (x + 0x9E3779B9) % 2**32
        x = ((x ^ x >> 16) * 0x7FEB352D) % 2**32
        x = ((x ^ x >> 15) * 0x846CA68B) % 2**32
        return x ^ x >> 16

    noise = seeded_noise(2**32 - 1, 3, 5, 7)
    assert noise.shape == (1, 3, 5, 7) and noise.dtype == np.float32
    for channel, row, column in ((0, 0, 0), (2, 4, 6), (1, 3, 2)):
        value = mixed(mixed(mixed(mixed(2**32 - 1) ^ channel) ^ row) ^ column)
        assert noise[0, channel, row, column] == np.float32(value / 2**31 - 1)


def test_noise_is_even_and_has_no_pattern():
    noise = seeded_noise(7, 6, 128, 128)
    assert abs(noise.mean()) < 0.01 and abs(noise.var() - 1 / 3) < 0.01
    planes = [*noise[0], np.roll(noise[0, 0], 1, 0), np.roll(noise[0, 0], 1, 1), seeded_noise(8, 1, 128, 128)[0, 0]]
    likeness = np.corrcoef([plane.ravel() for plane in planes]) - np.eye(len(planes))
    assert np.abs(likeness).max() < 0.04  # five standard deviations of chance


def test_larger_noise_begins_with_the_smaller():
    assert np.array_equal(seeded_noise(3, 6, 64, 96)[:, :2, :32, :64], seeded_noise(3, 2, 32, 64))


# The network


def test_it_has_the_parameters_of_2016():
    generator = texture_chain().generators[0]
    sizes = [int(np.prod(p.shape)) for p in generator.named_parameters().values() if p.learns]
    assert sum(sizes) == 116_915  # counted by hand: ../shared/anchors.md 2c


def test_no_two_scales_see_the_same_noise():
    generator = Texture()
    points = array(np.arange(9 * 64 * 64).reshape(1, 9, 64, 64))
    seen = [to_numpy(generator._seen(nd, points, scale)) for scale in range(SCALES)]
    assert [each.shape for each in seen] == [(1, 3, 64 >> scale, 64 >> scale) for scale in range(SCALES)]
    flat = np.concatenate([each.ravel() for each in seen])
    assert len(set(flat)) == len(flat)


def test_a_later_stage_sees_the_average_of_the_picture():
    x = array(np.random.RandomState(0).normal(0, 64, (1, 9, 64, 64)))
    seen = to_numpy(Texture(sees_picture=True)._seen(nd, x, 3))
    blocks = to_numpy(x)[:, :3].reshape(1, 3, 8, 8, 8, 8).mean(axis=(3, 5)) / 64
    assert np.allclose(seen[:, :3], blocks, atol=1e-5)


def test_noise_that_moves_around_moves_the_texture_around():
    chain, noise = texture_chain(BOOSTED), seeded_noise(1, 6, 64, 96)
    still = [to_numpy(picture) for picture in chain(array(noise))]
    moved = [to_numpy(picture) for picture in chain(array(np.roll(noise, (32, 64), (2, 3))))]
    for before, after in zip(still, moved):
        assert before.std() > 10
        assert np.abs(np.roll(before, (32, 64), (2, 3)) - after).max() < 0.1  # no border leaves a trace


def test_chains_take_their_own_kind_of_stage():
    with pytest.raises(OptionError, match="'pyramid' make no texture"):
        TextureChain([{"kind": "pyramid"}])
    with pytest.raises(OptionError, match="'texture' make no chain"):
        Chain([{"kind": "texture"}])


# Learning


def options_of(painting, **options) -> TrainingOptions:
    settings = dict(steps=(6,), sizes=(32,), style_size=64, loss=STYLE_ONLY)
    return TrainingOptions(styles=(str(painting),), kind="texture", **{**settings, **options})


@pytest.mark.training
def test_the_style_loss_falls(brick, tmp_path):
    training = Training(options_of(brick, steps=(30,)), tmp_path / "checkpoint.npz", bfloat16=False)
    before = training.task.validate((), [0])[0]
    training.run()
    after = training.task.validate((), [0])[0]
    assert after["total"] < before["total"] / 2
    assert before["content"] == after["content"] == 0


@pytest.mark.training
def test_a_second_stage_paints_on_the_first(brick, tmp_path):
    options = options_of(brick, stages="boosted-texture", steps=(2,))
    training = Training(options, tmp_path / "checkpoint.npz", bfloat16=False)
    first = training.chain.stage_weights(0)
    learned = []
    training.run(on_step=lambda step: learned.append((step.phase, training.chain.stage_weights(0)["finish.weight"])))
    assert [phase for phase, _ in learned] == [0, 0, 1, 1]
    assert not np.array_equal(first["finish.weight"], learned[1][1])
    assert np.array_equal(learned[1][1], learned[3][1])
    pictures = [to_numpy(picture) for picture in training.task.paint(training.task.noise(0), 2)]
    assert np.abs(pictures[0] - pictures[1]).max() > 1


@pytest.mark.training
def test_the_best_weights_are_kept(brick, tmp_path):
    training = Training(options_of(brick), tmp_path / "checkpoint.npz", bfloat16=False)
    validate, totals, weights = training.task.validate, iter((3.0, 1.0, 2.0)), []

    def judged(*arguments):  # the losses of a training that goes on for too long
        weights.append(training.chain.stage_weights(0)["finish.weight"])
        return [{**validate(*arguments)[0], "total": next(totals)}]

    training.task.validate = judged
    training.run(checkpoint_every=2)
    assert len(weights) == 3 and not np.array_equal(weights[1], weights[2])
    assert np.array_equal(training.chain.stage_weights(0)["finish.weight"], weights[1])


@pytest.mark.training
def test_a_checkpoint_validates_once_and_the_end_of_a_phase_the_weights_that_are_kept(brick, tmp_path):
    training = Training(options_of(brick), tmp_path / "checkpoint.npz", bfloat16=False)
    log = RunLog(tmp_path, training, (), {}, fresh=True)
    totals = iter((3.0, 1.0, 2.0, 1.0))  # two checkpoints, the last weights, and those before them, which are kept
    training.task.validate = lambda *arguments: [{"total": next(totals)}]
    training.run(on_checkpoint=lambda training: log.checkpoint(), checkpoint_every=2)
    assert [entry["validation"]["total"] for entry in log.entries()] == [3.0, 1.0, 1.0]
    assert next(totals, None) is None


@pytest.mark.training
def test_a_stopped_training_goes_on_as_if_nothing_had_happened(brick, tmp_path):
    class Stop(Exception):
        pass

    def stop(training) -> None:
        raise Stop

    options = options_of(brick, steps=(8,), batch=2)
    whole = Training(options, tmp_path / "whole.npz", bfloat16=False)
    whole.run(checkpoint_every=4)
    with pytest.raises(Stop):
        Training(options, tmp_path / "parts.npz", bfloat16=False).run(on_checkpoint=stop, checkpoint_every=4)
    assert len(load_checkpoint(tmp_path / "parts.npz").best) == 1
    resumed = Training(options, tmp_path / "parts.npz", bfloat16=False, resume=True)
    assert resumed.state.step == 4 and resumed.state.best_total < np.inf
    resumed.run(checkpoint_every=4)
    one, other = (training.chain.stage_weights(0) for training in (whole, resumed))
    assert all(np.allclose(one[name], other[name], atol=1e-5) for name in one)


@pytest.mark.training
def test_a_collapse_is_told(brick, tmp_path, caplog):
    training = Training(options_of(brick), tmp_path / "checkpoint.npz", bfloat16=False)
    caplog.clear()  # of what is said before
    with caplog.at_level(logging.WARNING):
        assert training.task.validate((), [0])[0]["diversity"] > 0.1
        assert not caplog.records
        weights = training.chain.stage_weights(0)
        training.chain.set_stage_weights(0, {**weights, "finish.weight": 0 * weights["finish.weight"]})
        assert training.task.validate((), [0])[0]["diversity"] == 0
    assert "All seeds make nearly one texture" in caplog.text


# On disk


@pytest.mark.parametrize("stage", [0, 1])
def test_both_engines_make_the_same(model, stage):
    textures = [load_texture(model, engine)(40, 64, seed=5, stage=stage) for engine in ("onnx", chosen())]
    assert textures[0].shape == (40, 64, 3) and textures[0].std() > 5
    assert np.abs(textures[0].astype(int) - textures[1]).max() <= 1


def test_seeds_and_stages(model):
    painter = load_texture(model)
    assert np.array_equal(painter(32, 32, seed=1), painter(32, 32, seed=1))
    assert not np.array_equal(painter(32, 32, seed=1), painter(32, 32, seed=2))
    assert all(np.array_equal(painter(32, 32, stage=k), picture) for k, picture in enumerate(painter.stages(32, 32)))


def test_seam():
    rows = np.array([0, 1, 2, 3, 4, 6, 7, 8], np.uint8)[:, None, None] * np.ones((1, 8, 3), np.uint8)
    across, within, most = seam(rows)  # to the right there is nothing
    assert (across, most) == (8 / 2, 2 / 2) and within == pytest.approx(8 / 7 / 2)
    assert seam(np.zeros((4, 4, 3), np.uint8)) == (0, 0, 0)


@pytest.mark.training
def test_train_and_make_as_the_readme_shows(brick, tmp_path, capsys):
    out = tmp_path / "wall"
    course = ["--steps", 4, "--size", 32, "--style-size", 64, "--style-layers", "relu1_1", "--checkpoint-every", 2]
    assert main([str(word) for word in ("train", "--texture", brick, "--out", out, "--no-bfloat16", *course)]) == 0
    assert f"infer --texture {out}" in capsys.readouterr().out
    record = read_model(out, TEXTURE).record
    assert record["options"]["kind"] == "texture" and record["validation"][0]["diversity"] > 0
    assert (tmp_path / "wall.training" / "seed-0_step-000004_stage-0.png").exists()
    kept = [json.loads(line) for line in (tmp_path / "wall.training" / "log.jsonl").read_text().splitlines()]
    assert [entry["total_step"] for entry in kept if "validation" in entry] == [2, 4]
    target = tmp_path / "made.png"
    done = process("infer.py", "--texture", out, "--size", "96x64", "--seed", 3, 4, "-o", target, "--tile-check")
    assert done.returncode == 0, done.stderr
    assert [pixels(tmp_path / f"made_seed-{seed}.png").shape for seed in (3, 4)] == [(64, 96, 3)] * 2
    assert (tmp_path / "made_sheet.jpg").exists() and not target.exists()
    assert done.stdout.decode().count("gray levels across its edges") == 2
    assert main(["infer", "--info", "--model", str(out)]) == 0
    assert "diversity" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["infer", "--texture", "{model}"], "Say where to"),
        (["infer", "--texture", "{model}", "-o", "{out}.png", "--size", "large"], "--size takes a long edge"),
        (["infer", "--texture", "{model}", "-o", "{out}.png", "--size", "0x64"], "--size takes a long edge"),
        (["infer", "--texture", "{model}", "-o", "{out}.png", "--seed", "-1"], "--seed takes a whole number from 0"),
        (["infer", "--texture", "{model}", "-o", "{out}.png", "--seed", "1", "1"], "given twice"),
        (["infer", "--texture", "{model}", "-o", "{out}.png", "--stage", "2"], "stages 0 to 1"),
        (["infer", "--texture", "{model}", "-o", "{out}.xyz"], ".xyz"),
        (["infer", "--texture", "{model}", "-o", "{brick}"], "exists"),
        (
            ["infer", "--texture", "{model}", "-o", "{out}.png", "{brick}"],
            "a PHOTO goes with photos, clips, doodles or --method",
        ),
        (["infer", "--texture", "starry_night", "-o", "{out}.png"], "not 'texture'"),
        (["infer", "{brick}", "--model", "{model}", "-o", "{out}.png"], "not 'chain'"),
        (["infer", "{brick}", "-o", "{out}.png", "--size", "64x64"], "long edge"),
        (["train", "--texture", "{brick}", "--out", "{out}", "--size", "40"], "multiples of 32"),
        (["train", "--texture", "{brick}", "--out", "{out}", "--photos", "."], "--photos goes with --style"),
        (["train", "--texture", "{brick}", "--out", "{out}", "--stages", "pyramid"], "make no texture"),
        (["train", "--texture", "{out}.jpg", "--out", "{out}"], "{out}.jpg"),
        (["train", "--out", "{out}"], "Say what to learn"),
    ],
)
def test_what_textures_refuse(model, brick, tmp_path, capsys, words, says):
    places = {"model": model, "brick": brick, "out": tmp_path / "new"}
    code = main([word.format(**places) for word in words])
    assert_one_sentence(code, capsys.readouterr().err, says.format(**places))
    assert not list(tmp_path.iterdir())
