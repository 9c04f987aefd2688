"""The critic: what it says by hand, what it looks at, and how it learns beside the stages."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import TINY, assert_one_sentence, save

from e2e_art.commands.main import main
from e2e_art.engines.gluon import array, autograd, cpu, nd, to_numpy
from e2e_art.errors import OptionError
from e2e_art.losses.adversarial import fake_error, generator_error, real_error
from e2e_art.losses.options import LossOptions
from e2e_art.losses.perceptual import PerceptualLoss
from e2e_art.losses.style_target import StyleTarget
from e2e_art.networks.discriminator import Discriminator, SpectralConvolution
from e2e_art.networks.vgg import load_vgg
from e2e_art.training import options as options_module
from e2e_art.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from e2e_art.training.critic import _gradient_norms
from e2e_art.training.options import TrainingOptions
from e2e_art.training.paintings import PaintingFeatures
from e2e_art.training.trainer import Training

pytestmark = [pytest.mark.training, pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

CHEAP = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": ("relu2_2",)}
KINDS = {
    "chain": {"stages": "tiny", "steps": (4,), "batch": 2, "loss": LossOptions(**CHEAP)},
    "texture": {"kind": "texture", "steps": (4,), "sizes": (64,), "loss": LossOptions(**CHEAP, content_weight=0.0)},
    "upscaler": {
        "kind": "upscaler",
        "styles": (),
        "factor": 2,
        "sizes": (48,),
        "steps": (2, 2, 4),
        "batch": 2,
        "gan_weights": (),
    },
}


@pytest.fixture(autouse=True)
def tiny_presets(monkeypatch):
    monkeypatch.setitem(options_module.PRESETS, "tiny", [TINY] * 2)
    monkeypatch.setitem(options_module.PRESETS, "texture", [{"kind": "texture", "residual_weight": 1.0}])
    compact = {"kind": "compact", "channels": 8, "depth": 2, "residual_weight": 1.0}
    monkeypatch.setitem(options_module.PRESETS, "upscaler", [compact] * 3)


@pytest.fixture
def training_of(files, tmp_path):
    """Makes a training with a critic in this process, from options that differ from those of its kind."""

    def make(kind: str = "chain", name: str = "checkpoint", resume: bool = False, on=None, **options) -> Training:
        common = {"styles": (str(files / "painting.jpg"),), "photos": str(files / "photos"), "sizes": (32,)}
        common |= {"style_size": 64, "gan_weights": (0.2,), "loss": LossOptions(**CHEAP)}
        wanted = TrainingOptions(**{**common, **KINDS[kind], **options})
        return Training(wanted, tmp_path / f"{name}.npz", bfloat16=False, resume=resume, devices=on)

    return make


def numbers_of(training: Training) -> dict[str, np.ndarray]:
    """Returns the weights of the stages and of the critic, by name."""
    checkpoint = load_checkpoint(training.checkpoint)
    found = {f"{n}/{name}": each for n, stage in enumerate(checkpoint.weights) for name, each in stage.items()}
    return found | {f"critic/{name}": each for name, each in checkpoint.critic.items()}


def distance(one: dict, other: dict, part: str = "") -> float:
    """Returns the largest difference of two training's numbers, of a part of them."""
    assert one.keys() == other.keys()
    return max(np.abs(one[name] - other[name]).max() for name in one if name.startswith(part))


# The loss


def test_the_hinge_loss_by_hand():
    scores = array(np.reshape([[-3.0, -1, 0, 0.5], [1, 2, 3, 4]], (2, 1, 2, 2)))
    # Real ones miss 1 by 4, 2, 1 and 0.5; painted ones miss -1 by 0, 0, 1 and 1.5.
    assert to_numpy(real_error(nd, scores)) == pytest.approx([7.5 / 4, 0])
    assert to_numpy(fake_error(nd, scores)) == pytest.approx([2.5 / 4, (2 + 3 + 4 + 5) / 4])
    assert to_numpy(generator_error(nd, scores)) == pytest.approx([3.5 / 4, -2.5])


def test_a_score_that_is_far_enough_is_left_alone():
    scores = autograd.watch(array(np.reshape([-2.0, 0, 2], (1, 1, 1, 3))))
    for error, expected in ((real_error, [-1, -1, 0]), (fake_error, [0, 1, 1]), (generator_error, [-1, -1, -1])):
        with autograd.record():
            total = error(nd, scores)
        autograd.backward([total], [scores])
        assert to_numpy(autograd.gradient(scores)).ravel() == pytest.approx(np.array(expected) / 3)


# The discriminator


@pytest.mark.parametrize(
    ("layer", "shape", "scores"), [("relu1_2", (64, 48, 32), (6, 2)), ("relu3_1", (256, 8, 9), (1, 1))]
)
def test_scores_of_patches_leave_the_border_out(layer, shape, scores):
    discriminator = Discriminator(layer, 0.5)
    discriminator.draw_weights(3, [cpu()])
    features = np.random.default_rng(0).normal(0, 2, (2, *shape)).astype(np.float32)
    found = to_numpy(discriminator(array(features)))
    assert found.shape == (2, 1, *scores)
    assert 0.05 < np.abs(found).mean() < 5
    border = 8 if layer == "relu1_2" else 2  # 8 pixels
    changed = features.copy()
    changed[:, :, :border] = changed[:, :, :, -border:] = 9
    assert np.array_equal(to_numpy(discriminator(array(changed))), found)
    changed[:, :, border] = 9
    assert not np.array_equal(to_numpy(discriminator(array(changed))), found)


def test_the_seed_decides_the_first_weights():
    features = array(np.random.default_rng(0).normal(size=(1, 256, 8, 8)))
    found = []
    for seed in (3, 3, 4):
        discriminator = Discriminator("relu3_1")
        discriminator.draw_weights(seed, [cpu()])
        found.append(to_numpy(discriminator(features)).item())
    assert found[0] == found[1] != found[2]


def test_spectral_normalization_brings_the_largest_singular_value_to_one():
    convolution = SpectralConvolution(5, 6, kernel=3)
    convolution.initialize([cpu()])
    random = np.random.default_rng(0)
    weight = random.normal(size=(6, 5, 3, 3)).astype(np.float32)
    convolution.weight.set_data(weight)
    convolution.direction.set_data(np.eye(1, 6, dtype=np.float32))
    for _ in range(100):
        convolution.iterate()
    # Pictures of one pixel that is 1 in one channel, and 0 around it, bring the weights out, turned around.
    picture = array(np.eye(5).reshape(5, 5, 1, 1) * np.eye(5)[2].reshape(5, 1) * np.eye(5)[2])
    own = to_numpy(convolution(picture))[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)  # (6, 5, 3, 3)
    largest = np.linalg.svd(weight.reshape(6, -1), compute_uv=False)[0]
    assert np.allclose(own, weight / largest, atol=1e-3)
    assert np.linalg.norm(to_numpy(convolution.direction.list_data()[0])) == pytest.approx(1, abs=1e-5)


# What it looks at


def test_the_loss_hands_out_features_that_it_has_computed(photo):
    options = LossOptions(**CHEAP)
    picture = array(np.random.default_rng(0).normal(0, 50, (2, 3, 32, 40)))
    target = StyleTarget.of(options, [to_numpy(picture)[:1]])
    plain, loss = PerceptualLoss(options, target), PerceptualLoss(options, target, seen=["relu3_1"])
    content = plain.content_features(picture)
    terms, (seen,) = loss.look(picture, content)
    for name, term in plain(picture, content).items():
        assert np.allclose(to_numpy(term), to_numpy(terms[name]), rtol=1e-4)
        assert np.allclose(to_numpy(term), to_numpy(loss(picture, content)[name]), rtol=1e-4)
    (expected,) = load_vgg(["relu3_1"])(picture)
    assert np.allclose(to_numpy(seen), to_numpy(expected), atol=1e-3 * np.abs(to_numpy(expected)).max())


def test_parts_of_paintings_are_drawn_by_position(files, tmp_path):
    other = save(tmp_path / "white.png", np.full((80, 90, 3), 255, np.uint8))
    options = TrainingOptions((str(files / "painting.jpg"), str(other)), style_size=96, style_blend=(1.0, 0.0))
    network = load_vgg(["relu3_1"], bfloat16=False)
    paintings = PaintingFeatures(options, network, "relu3_1", cpu())
    found = paintings.parts(3, 32, 10)
    assert found.shape == (3, 256, 8, 8) and found.dtype == np.float32
    assert np.array_equal(paintings.parts(1, 32, 11)[0], found[1])
    assert not np.array_equal(found[0], found[1])
    assert paintings.parts(1, 4000, 0).shape[2:] == (9, 9)  # the short edge of the painting at half its size
    (white,) = network(array(np.full((1, 3, 64, 64), 130.0)))
    assert np.abs(found - to_numpy(white)[:, :, 8:9, 8:9]).mean() > 1  # a share of 0 is never drawn
    with pytest.raises(OptionError, match="painting.jpg is too narrow for --gan-weight"):
        PaintingFeatures(replace(options, style_size=20), network, "relu3_1", cpu())


# How it learns


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_beside_the_stages(training_of, kind):
    training, steps = training_of(kind), []
    training.run(steps.append)
    last = [step for step in steps if step.phase == steps[-1].phase]
    assert list(last[0].losses[0])[-2:] == ["gan", "critic"]
    assert last[0].losses[0]["gan"] == 0 and last[0].losses[0]["critic"] == pytest.approx(2, abs=1)  # it joins later
    assert all(step.losses[0]["gan"] != 0 for step in last[1:])
    assert ("gan" in steps[0].losses[0]) == (kind != "upscaler")


def test_it_learns_to_tell_real_from_painted(training_of):
    """Stages that stand still are told from photos soon."""
    errors = []
    training = training_of(steps=(40,), learning_rates=(1e-12,), stages="pyramid", critic_rate=1e-3)
    training.run(lambda step: errors.append(step.losses[0]["critic"]))
    assert np.mean(errors[:3]) > 1.2 and np.mean(errors[-5:]) < 0.5


def test_turns_do_not_mix(training_of):
    """The stages take no gradient of the critic's errors, and the critic none of their terms."""
    batch, found = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8), {}
    for name, weight, factor in (("without", 0.0, 0), ("silent", 0.2, 0), ("loud", 0.2, 100)):
        training = training_of(name=name, gan_weights=(weight,), steps=(100,))
        if critic := training.learner.critic:
            critic._set_factors(np.full(2, factor))
        training.learn(batch, 1e-3)
        training.save()
        found[name] = numbers_of(training)
    stages = [{n: each for n, each in found[name].items() if not n.startswith("critic")} for name in found]
    assert distance(stages[0], stages[1]) < 1e-6
    assert distance(stages[0], stages[2]) > 1e-4
    assert distance(found["silent"], found["loud"], "critic/weights") < 1e-6


def test_its_gradient_is_a_share_of_the_others(training_of):
    training = training_of("upscaler", gan_weights=(0.0, 0.0, 0.25))
    training.state = replace(training.state, phase=2)
    training._begin_phase()
    learner = training.learner
    with training._batches() as batches:
        batch = next(batches)
    (shares,) = training.task.arrays(batch, 0)
    learner._balance(learner.critic, shares)

    def terms(cut):
        return training.task.terms(shares, [2], learner.critic, cut)[0]

    (own,) = _gradient_norms(terms, lambda name: name == "gan")
    (others,) = _gradient_norms(terms, lambda name: name in ("pixel", "feature", "grid"))
    assert own == pytest.approx(0.25 * others, rel=1e-3) and own > 0
    assert np.array_equal(learner.critic.state()["factors"][:2], [0, 0])


def test_stages_that_learn_at_once_share_a_critic(training_of):
    training, steps = training_of(coupling="joint", gan_weights=(0.0, 0.3), steps=(6,)), []
    training.run(steps.append)
    first, second = steps[-1].losses
    assert first["gan"] == 0 and second["gan"] != 0
    assert all(0 < losses["critic"] < 4 for losses in (first, second))


def test_several_devices_are_one(training_of):
    found = []
    for name, on in (("one", [cpu()]), ("two", [cpu(), cpu()])):
        training = training_of(name=name, on=on, learning_rates=(1e-4,), steps=(1,), optimizer="adam")
        training.learner.critic._set_factors(np.ones(2))
        training.take_step(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8), 1e-4)
        training.save()
        found.append(numbers_of(training))
    assert distance(*found, part="critic/weights") < 1e-4


def test_without_a_weight_there_is_none(training_of):
    training = training_of(gan_weights=())
    assert training.options.gan_weights == (0.0, 0.0) and training.learner.critic is None
    assert training.learner.term_names == ("style", "content", "tv") and training.task.real is None


# Checkpoints


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_after_it_was_stopped(training_of, kind):
    whole = training_of(kind, "whole")
    whole.run()
    last = whole.total_steps - 2

    def stop(step):
        if step.total_step == last:
            raise KeyboardInterrupt

    stopped = training_of(kind, "stopped")
    with pytest.raises(KeyboardInterrupt):
        stopped.run(stop)
    assert load_checkpoint(stopped.checkpoint).critic["factors"].any()
    resumed = training_of(kind, "stopped", resume=True)
    assert resumed.total_step == last
    resumed.run()
    assert distance(numbers_of(whole), numbers_of(resumed)) < 1e-5


def test_a_checkpoint_from_before_the_critic_goes_on_where_a_phase_begins(training_of):
    training = training_of()
    training.save()
    checkpoint = load_checkpoint(training.checkpoint)
    del checkpoint.state["options"]["critic_rate"]
    save_checkpoint(training.checkpoint, replace(checkpoint, critic={}))
    training_of(resume=True).run()
    later = replace(checkpoint, critic={}, optimizer={**checkpoint.optimizer, "steps": np.array(3)})
    save_checkpoint(training.checkpoint, later)
    with pytest.raises(CheckpointError, match=r"its critic is another one.*delete it to start anew"):
        training_of(resume=True)


def test_a_critic_of_another_kind_is_refused(training_of):
    training = training_of()
    training.save()
    checkpoint = load_checkpoint(training.checkpoint)
    for name, wrong in (("weights/body.0.bias", np.zeros(3)), ("factors", np.zeros(5)), ("more", np.zeros(1))):
        critic = {**checkpoint.critic, name: wrong.astype(np.float32)}
        save_checkpoint(training.checkpoint, replace(checkpoint, critic=critic))
        with pytest.raises(CheckpointError, match="its critic is another one"):
            training_of(resume=True)


# The command


def test_a_training_with_a_critic_through_the_command(files, tmp_path, caplog):
    words = ["train", "--style", files / "painting.jpg", "--photos", files / "photos", "--out", tmp_path / "out"]
    words += ["--stages", "tiny", "--steps", 4, "--size", 32, "--style-size", 64, "--gan-weight", 0, 0.2]
    words += ["--style-layers", "relu1_1", "relu2_1", "--content-layer", "relu2_1", "--no-bfloat16"]
    with caplog.at_level("INFO"):
        assert main([*map(str, words)]) == 0
    joined = [record.message for record in caplog.records if "the critic joins" in record.message]
    assert len(joined) == 1 and joined[0].startswith("Stage 1: the critic joins; gradients to the pictures have norms")
    lines = (tmp_path / "out.training" / "log.jsonl").read_text().splitlines()
    assert ["critic" in entry for entry in map(json.loads, lines) if "style" in entry] == [False] * 4 + [True] * 4


def test_what_does_not_go(files, tmp_path, capsys):
    with pytest.raises(OptionError, match="--gan-weight is 0 for doodles"):
        TrainingOptions(kind="doodle", regions=2, gan_weights=(0.1,))
    words = ["train", "--doodle", files / "painting.jpg", "--mask", files / "painting.jpg", "--out", tmp_path / "out"]
    code = main([*map(str, words), "--gan-weight", "0.1"])
    assert_one_sentence(code, capsys.readouterr().err, "--gan-weight", "--style", "--super-resolution")
