"""`train.py` from end to end: what it learns, what it writes, and what it refuses."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import (
    TINY,
    assert_one_sentence,
    photo_folder,
    pixels,
    process,
    save,
    tiny_chain,
    tiny_model,
    tree,
)
from skimage import data

import e2e_art
from e2e_art.commands import train as train_command
from e2e_art.commands.main import _parser, main
from e2e_art.data.photos import PhotoStream
from e2e_art.engines.choice import chosen
from e2e_art.engines.gluon import array, autograd, devices, to_numpy
from e2e_art.images.arrays import to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.models.folder import read_model
from e2e_art.models.publish import load_chain
from e2e_art.networks.inputs import NOISE_PERIOD
from e2e_art.training import options as options_module
from e2e_art.training import trainer
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import WARM_UP, Training, TrainingError

pytestmark = [pytest.mark.training, pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

# A loss that looks at shallow layers only: quick, and enough for all that is not about the loss.
CHEAP = LossOptions(style_layers=("relu1_1", "relu2_1"), content_layers=("relu2_1",))
CHEAP_FLAGS = ("--style-layers", "relu1_1", "relu2_1", "--content-layer", "relu2_1", "--style-size", 64, "--size", 32)


@pytest.fixture(autouse=True)
def tiny_presets(monkeypatch):
    """Presets of tiny generators: kinds named by the command line have their full width."""
    monkeypatch.setitem(options_module.PRESETS, "tiny", [TINY] * 2)
    monkeypatch.setitem(options_module.PRESETS, "three", [TINY] * 3)
    narrow = {"kind": "conv", "widths": [4] * 6}
    monkeypatch.setitem(options_module.PRESETS, "mixed", [narrow, TINY, TINY])


@pytest.fixture
def training_of(files, tmp_path):
    """Makes a training in this process from options that differ from the tiny ones."""

    def make(on=None, start_from=None, **options) -> Training:
        tiny = dict(stages="tiny", steps=(3,), sizes=(32,), style_size=64, loss=CHEAP, style_boosts=(1.0,))
        tiny.update(styles=(str(files / "painting.jpg"),), photos=str(files / "photos"))
        wanted = TrainingOptions(**{**tiny, **options})
        path = tmp_path / "checkpoint.npz"
        return Training(wanted, path, devices=on, start_from=start_from, bfloat16=False)

    return make


def train(files, out, *words) -> int:
    """Runs the command line in this process, on tiny generators by default."""
    command = ["train", "--style", files / "painting.jpg", "--photos", files / "photos", "--out", out]
    command += ["--stages", "tiny", "--steps", 3, "--no-bfloat16", *CHEAP_FLAGS, *words]
    return main([str(word) for word in command])


def weights_of(chain) -> list[dict[str, np.ndarray]]:
    return [chain.stage_weights(stage) for stage in range(len(chain.generators))]


def distance(one: dict, other: dict) -> float:
    """Returns the largest difference of two stages' weights."""
    assert one.keys() == other.keys()
    return max(np.abs(one[name] - other[name]).max() for name in one)


def entries_of(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


# Published settings


def options_of(files, *words) -> TrainingOptions:
    """Returns the options that flags ask for."""
    given = ["train", "--style", files / "painting.jpg", "--photos", files / "photos", "--out", files / "new", *words]
    return train_command._options(_parser().parse_args([str(word) for word in given]))


def test_a_preset_sets_what_is_not_given(files):
    options = options_of(files, "--preset", "johnson", "--loss-network", "vgg16")
    assert (options.stages, options.steps, options.sizes, options.batch) == ("johnson", (40000,), (256,), 4)
    assert (options.optimizer, options.learning_rates, options.style_size) == ("adam", (1e-3,), 256)
    loss = options.loss
    assert (loss.convention, loss.pooling, loss.loss_network) == ("mean", "max", "vgg16")
    assert (loss.style_layers, loss.content_layers) == (("relu1_2", "relu2_2", "relu3_3", "relu4_3"), ("relu3_3",))
    assert (loss.style_weight, loss.content_weight) == (4 * 5.0, 1.0)
    # Half the sum of squared differences over four crops, where ours is a mean; the other terms are means there, too.
    assert loss.tv_weight == pytest.approx(1e-6 / 2 * 4 * 3 * 256**2)
    words = ("--steps", 100, "--batch", 1, "--style-weight", 20, "--tv-weight", 1e-5, "--style-layers", "relu1_1")
    options = options_of(files, "--preset", "johnson", "--loss-network", "vgg19", "--stages", "johnson-half", *words)
    assert (options.steps, options.batch, options.sizes, options.stages) == ((100,), 1, (256,), "johnson-half")
    assert options.generators()[0]["widths"] == [16, 32, 64]
    assert (options.loss.tv_weight, options.loss.style_layers, options.loss.convention) == (1e-5, ("relu1_1",), "mean")


def test_without_a_preset_flags_stand_beside_the_defaults(files):
    assert options_of(files).loss == TrainingOptions().loss
    assert options_of(files, "--content-weight", 1).loss == replace(TrainingOptions().loss, content_weight=1.0)
    layers = options_of(files, "--content-layer", "relu2_1").loss
    assert (layers.content_layers, layers.content_layer_weights) == (("relu2_1",), ())


def test_a_preset_asks_for_the_loss_network_of_its_authors(files, tmp_path, capfd):
    words = ["train", "--style", files / "painting.jpg", "--photos", files / "photos", "--out", tmp_path / "out"]
    code = main([*map(str, words), "--preset", "johnson"])
    assert_one_sentence(code, capfd.readouterr().err, "--preset johnson measures with a VGG-16", "--loss-network")
    code = main(
        ["train", "--texture", str(files / "painting.jpg"), "--out", str(tmp_path / "out"), "--preset", "johnson"]
    )
    assert_one_sentence(code, capfd.readouterr().err, "--preset goes with --style: leave it out with --texture")


# The whole way


def test_train_and_paint_as_the_readme_shows(files, tmp_path, capsys):
    out, photo = tmp_path / "models" / "waves", files / "photos" / "a" / "000.jpg"
    photo_folder(tmp_path / "val", 2)
    words = ["--style", files / "painting.jpg", "--photos", files / "photos", "--out", out, "--steps", 3, "--size", 32]
    words += ["--stages", "pyramid,pyramid", "--validate", tmp_path / "val", "--preview", photo, "--style-size", 64]
    words += ["--content-weight", 1, "--content-layer", "relu4_2"]  # as records have it, so that they can be compared
    assert main(["train", *map(str, words), "--checkpoint-every", "2"]) == 0
    said = "".join(capsys.readouterr())
    assert f"{out} is trained: e2e-art infer PHOTO --model {out} -o OUT" in said
    for stage in (0, 1):
        assert re.search(rf"Stage {stage}, first step: style [\d.]+, content [\d.]+, tv [\d.]+ \(weighted\)", said)
        assert re.search(rf"Stage {stage}, step {3 * stage + 3}, on 2 photos: style [\d.]+, content [\d.]+", said)
    assert set(tree(out)) == {
        "model.json", "model.onnx", "noise.int8", "sheet.jpg", "stage-0.onnx", "stage-0.safetensors",
        "stage-1.safetensors", "style.npz", "thumbnail.jpg", "tile-0.onnx", "tile-1.onnx"
    }  # fmt: skip

    working = tmp_path / "models" / "waves.training"
    entries = entries_of(working)
    steps = [entry for entry in entries if "style" in entry]
    assert [(entry["phase"], entry["step"], entry["total_step"]) for entry in steps] == [
        (0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 4), (1, 2, 5), (1, 3, 6)
    ]  # fmt: skip
    for entry in steps:
        assert all(entry[name] > 0 for name in ("style", "content", "tv", "gradient_norm", "learning_rate", "seconds"))
    checks = [entry for entry in entries if "validation" in entry]
    assert [(entry["stage"], entry["total_step"]) for entry in checks] == [(0, 2), (0, 3), (1, 5), (1, 6)]
    assert (working / "curves.png").exists()
    previews = {path.name for path in working.glob("000_*.png")}
    names = [(2, 0), (3, 0), (5, 1), (6, 1)]
    assert previews == {f"000_step-{step:06}_stage-{stage}.png" for step, stage in names}
    assert pixels(working / "000_step-000006_stage-1.png").shape == pixels(photo).shape

    record = read_model(out).record
    assert record["photos"] == 8
    assert record["skipped"] == 0
    assert record["command"].startswith(f"e2e-art train --style {files}/painting.jpg --photos")
    assert record["options"]["steps"] == [3, 3]
    assert record["styles"][0]["file"] == "painting.jpg"
    assert [result["stage"] for result in record["validation"]] == [0, 1]
    for result, check in zip(record["validation"], checks[1::2]):
        total = result["style"] + result["content"] + result["tv"]
        assert result["total"] == pytest.approx(total)
        assert result["total"] == pytest.approx(check["validation"]["total"], rel=0.02)  # there perhaps in bfloat16

    painted = process("infer.py", photo, "--model", out, "-o", tmp_path / "painted.png")
    assert painted.returncode == 0
    assert pixels(tmp_path / "painted.png").shape == pixels(photo).shape
    # The last preview shows the same, before weights went to half precision.
    assert np.abs(pixels(tmp_path / "painted.png") - pixels(working / "000_step-000006_stage-1.png")).max() <= 3


def test_the_loss_falls(training_of):
    """Below two thirds (it is a half) in 24 steps, on small crops, with the loss that models are trained with."""
    totals = []
    training = training_of(stages="pyramid", steps=(24,), sizes=(48,), loss=LossOptions(), learning_rates=(6e-3,))
    training.run(lambda step: totals.append(sum(step.losses[0].values())))
    assert np.mean(totals[-5:]) < 0.67 * np.mean(totals[:5])


# Photos


def test_limit_and_list_choose_the_photos(files, tmp_path):
    assert train(files, tmp_path / "limit", "--limit", 5) == 0
    assert read_model(tmp_path / "limit").record["photos"] == 5
    (tmp_path / "list.txt").write_text("a/000.jpg 0\n/b/001.jpg 1\na/004.jpg 0\n")
    assert train(files, tmp_path / "list", "--list", tmp_path / "list.txt") == 0
    assert read_model(tmp_path / "list").record["photos"] == 3


def test_one_unreadable_photo_is_skipped_and_reported(files, tmp_path, capsys):
    photo_folder(tmp_path / "photos", 30)
    (tmp_path / "photos" / "b" / "007.jpg").write_bytes(b"no picture")
    assert train(files, tmp_path / "out", "--photos", tmp_path / "photos", "--steps", 15) == 0
    said = capsys.readouterr().out
    assert "1 photo could not be read and was skipped: b/007.jpg" in said
    assert read_model(tmp_path / "out").record["skipped"] == 1
    assert read_model(tmp_path / "out").record["photos"] == 30


def test_several_paintings_blend(files, tmp_path):
    save(tmp_path / "other.png", data.coffee()[:80, :80])
    words = ("--style", files / "painting.jpg", tmp_path / "other.png", "--style-blend", 3, 1)
    assert train(files, tmp_path / "out", *words) == 0
    record = read_model(tmp_path / "out").record
    assert [style["file"] for style in record["styles"]] == ["painting.jpg", "other.png"]


# How stages learn


def test_staged_trains_one_stage_after_another(training_of):
    training = training_of(warm_start=False)
    before = weights_of(training.chain)
    course = []
    training.run(lambda step: course.append((step.phase, weights_of(training.chain))))
    assert [phase for phase, _ in course] == [0, 0, 0, 1, 1, 1]
    for phase, weights in course:
        if phase == 0:
            assert distance(weights[0], before[0]) > 0
            assert distance(weights[1], before[1]) == 0
        else:
            assert distance(weights[0], course[2][1][0]) == 0
            assert distance(weights[1], before[1]) > 0


@pytest.mark.parametrize("coupling", ["straight-through", "joint"])
def test_coupled_stages_learn_all_at_once(training_of, coupling):
    training = training_of(coupling=coupling)
    before = weights_of(training.chain)
    steps = []
    training.run(steps.append)
    assert [(step.phase, step.step, len(step.losses)) for step in steps] == [(0, 1, 2), (0, 2, 2), (0, 3, 2)]
    for old, new in zip(before, weights_of(training.chain)):
        assert distance(old, new) > 0


def gradients_by_hand(training: Training, position: int, coupling: str) -> list[dict[str, np.ndarray]]:
    """Returns the gradient of each stage, from the image gradients of each stage's own loss.

    A stage is asked for its gradient given the gradient of its picture, which is that of its own loss, plus: nothing
    (staged), the image gradients of all later losses as they are (straight-through), or as the stages between make
    of them (joint).
    """
    options, chain, loss = training.options, training.chain, training.task.loss
    with PhotoStream(options.find_photos(), options.sizes[0], position=position) as stream:
        photo = array(to_vgg_space(next(stream)[0]))
    across, down = divmod(np.random.RandomState(position).randint(NOISE_PERIOD**2), NOISE_PERIOD)
    features = loss.content_features(photo)
    inputs, image_gradients = [], []
    picture = chain.pad(photo)
    conditioning = chain.conditioning(picture, (down, across))
    for stage in range(len(chain.generators)):
        inputs.append(picture)
        picture = autograd.watch(array(to_numpy(chain.paint(stage, picture, conditioning))))
        with autograd.record():
            terms = loss(chain.crop(picture, photo), features)
            total = options.style_boosts[stage] * terms["style"] + terms["content"] + terms["tv"]
        autograd.backward([total], [picture])
        image_gradients.append(array(to_numpy(autograd.gradient(picture))))
        picture = picture.detach()

    results, passed_on = [], 0
    for stage in reversed(range(len(inputs))):
        head = image_gradients[stage] + passed_on
        below = autograd.watch(array(to_numpy(inputs[stage])))
        with autograd.record():
            product = chain.paint(stage, below, conditioning, learning=True) * head  # whose sum has that gradient
        autograd.backward([product], [below, *chain.learning_parameters([stage]).values()])
        results.append(gradients_of(chain, stage))
        own = array(to_numpy(autograd.gradient(below)))
        passed_on = {"staged": 0, "straight-through": head, "joint": own}[coupling]
    return results[::-1]


def gradients_of(chain, stage: int) -> dict[str, np.ndarray]:
    parameters = chain.generators[stage].named_parameters()
    return {name: to_numpy(each.list_grad()[0]) for name, each in parameters.items() if each.learns}


@pytest.mark.parametrize("coupling", ["staged", "straight-through", "joint"])
def test_gradients_flow_as_the_coupling_says(training_of, coupling):
    course = dict(steps=(1,), learning_rates=(1e-12,), gradient_clip=1e9, warm_start=False)  # weights stand still
    training = training_of(stages="three", coupling=coupling, style_boosts=(1.0, 1.5, 2.0), **course)
    found = []

    def on_step(step):
        stages = training.phases[step.phase]
        found.extend(gradients_of(training.chain, stage) for stage in stages)

    training.run(on_step)
    for stage, gradient in enumerate(found):
        position = stage if coupling == "staged" else 0  # staged, each stage sees a photo of its own
        expected = gradients_by_hand(training, position, coupling)[stage]
        assert gradient.keys() == expected.keys()
        size = max(np.abs(value).max() for value in expected.values())
        for name, value in expected.items():
            assert np.abs(gradient[name] - value).max() < 1e-4 * size, name
        if stage == 0:  # where the couplings differ, they do so by far
            for other in {"staged", "straight-through", "joint"} - {coupling}:
                wrong = gradients_by_hand(training, position, other)[0]
                assert max(np.abs(wrong[name] - value).max() for name, value in gradient.items()) > 0.01 * size


def test_shared_weights(files, tmp_path):
    assert train(files, tmp_path / "out", "--share-weights") == 0
    assert [path.name for path in sorted((tmp_path / "out").glob("*.safetensors"))] == ["stage-0.safetensors"]
    chain = load_chain(read_model(tmp_path / "out"))
    assert chain.generators[0] is chain.generators[1]
    assert e2e_art.load(tmp_path / "out")(data.chelsea()[:20, :30]).shape == (20, 30, 3)


@pytest.mark.parametrize("coupling", ["staged", "joint"])
def test_shared_weights_learn_in_every_phase(training_of, coupling):
    training = training_of(share_weights=True, coupling=coupling)
    course = [weights_of(training.chain)]
    training.run(lambda step: course.append(weights_of(training.chain)))
    for before, after in zip(course, course[1:]):
        assert distance(before[0], after[0]) > 0
        assert distance(after[0], after[1]) == 0


@pytest.mark.parametrize("warm", [True, False])
def test_warm_start(training_of, warm):
    training = training_of(warm_start=warm, steps=(2,))
    initial = weights_of(training.chain)
    at_the_end_of_phases = []
    training.run(on_checkpoint=lambda training: at_the_end_of_phases.append(weights_of(training.chain)))
    after = at_the_end_of_phases[0]
    assert distance(after[0], initial[0]) > 0
    assert distance(after[1], after[0] if warm else initial[1]) == 0


def test_warm_start_only_where_stages_are_of_a_kind(training_of):
    training = training_of(stages="mixed", steps=(1,))
    initial = weights_of(training.chain)
    ends = []
    training.run(on_checkpoint=lambda training: ends.append(weights_of(training.chain)))
    assert distance(ends[0][1], initial[1]) == 0  # conv to pyramid
    assert distance(ends[1][2], ends[1][1]) == 0  # pyramid to pyramid


def test_a_cold_start_through_the_command(files, tmp_path):
    still = ("--learning-rate", 1e-12, "--steps", 1)
    assert train(files, tmp_path / "warm", *still) == 0
    assert train(files, tmp_path / "cold", *still, "--cold-start") == 0
    warm, cold = (weights_of(load_chain(read_model(tmp_path / name))) for name in ("warm", "cold"))
    assert distance(warm[0], warm[1]) < 1e-6
    assert distance(cold[0], cold[1]) > 1e-2
    assert distance(warm[0], cold[0]) < 1e-6


def test_start_from_a_trained_model(files, tmp_path, training_of):
    model = tiny_model(tmp_path / "model")
    expected = weights_of(load_chain(read_model(model)))
    still = ("--learning-rate", 1e-12, "--steps", 1)
    assert train(files, tmp_path / "out", "--start-from", model, "--cold-start", *still) == 0
    for stage, weights in enumerate(weights_of(load_chain(read_model(tmp_path / "out")))):
        assert distance(weights, expected[stage]) < 1e-6  # each keeps its own
    assert train(files, tmp_path / "warm", "--start-from", model, *still) == 0
    for weights in weights_of(load_chain(read_model(tmp_path / "warm"))):
        assert distance(weights, expected[0]) < 1e-6  # each goes on from the one before, which learns another painting
    record = read_model(tmp_path / "out").record
    assert record["started_from"] == read_model(model).record
    assert train(files, tmp_path / "last", "--start-from", model, "--steps", 0, 2) == 0
    first, last = weights_of(load_chain(read_model(tmp_path / "last")))
    assert distance(first, expected[0]) == 0
    assert distance(last, expected[1]) > 0
    assert train(files, tmp_path / "anew", "--start-from", model, "--start-stage", 3, *still) == 0
    for weights in weights_of(load_chain(read_model(tmp_path / "anew"))):
        assert distance(weights, expected[3]) < 1e-6  # the first began as the last, and each as the one before
    chain = tiny_chain(seed=8)
    for stage, weights in enumerate(weights_of(training_of(start_from=chain).chain)):
        assert distance(weights, chain.stage_weights(stage)) == 0


# How a step is taken


def test_the_learning_rate_rises_and_falls_along_a_cosine(training_of):
    steps = []
    training_of(steps=(30, 10), learning_rates=(1e-3, 2e-4), loss=LossOptions(
        style_layers=("relu1_1",), content_layers=("relu1_1",)
    )).run(steps.append)  # fmt: skip
    for count, rate, phase in ((30, 1e-3, 0), (10, 2e-4, 1)):
        rates = [step.learning_rate for step in steps if step.phase == phase]
        assert len(rates) == count
        for step, found in enumerate(rates):
            cosine = (1 + math.cos(math.pi * step / count)) / 2
            assert found == pytest.approx(rate * min(1, (step + 1) / WARM_UP) * cosine)
        assert rates[-1] < rate / 50


@pytest.mark.parametrize("batch", [1, 3])
def test_the_gradient_is_clipped(training_of, batch):
    norms, reported = {}, {}
    for clip in (1e9, 1e-3):
        training = training_of(steps=(1,), gradient_clip=clip, coupling="joint", batch=batch)

        def on_step(step, training=training, clip=clip):
            gradients = [value for stage in (0, 1) for value in gradients_of(training.chain, stage).values()]
            norms[clip] = math.sqrt(sum((value.astype(float) ** 2).sum() for value in gradients))  # of their mean
            reported[clip] = step.gradient_norm

        training.run(on_step)
    assert reported[1e9] == pytest.approx(norms[1e9], rel=1e-4)
    assert reported[1e-3] == pytest.approx(norms[1e9], rel=1e-4)  # as it was
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(("batch", "coupling"), [(2, "staged"), (3, "joint")])
def test_two_devices_learn_what_one_learns(training_of, batch, coupling):
    results = []
    for cpus in (1, 2):
        training = training_of(on=devices(cpus=cpus), batch=batch, coupling=coupling, steps=(4,))
        before = weights_of(training.chain)
        losses = []
        training.run(lambda step, losses=losses: losses.append(step.losses[-1]["style"]))
        results.append((before, weights_of(training.chain), losses))
    (before, one, losses), (same, two, same_losses) = results
    assert losses == pytest.approx(same_losses, rel=1e-4)
    for stage in (0, 1):
        assert distance(before[stage], same[stage]) == 0
        assert distance(before[stage], one[stage]) > 3e-4
        assert distance(one[stage], two[stage]) < 1e-4


def test_two_devices_through_the_command(files, tmp_path):
    results = []
    for count in (1, 2):
        out = tmp_path / str(count)
        assert train(files, out, "--batch", 2, "--cpu-devices", count) == 0
        results.append(weights_of(load_chain(read_model(out))))
    for one, two in zip(*results):
        assert distance(one, two) < 2e-3  # half precision


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_either_normalization_trains_and_paints(files, tmp_path, norm):
    assert train(files, tmp_path / "out", "--norm", norm, "--batch", 2) == 0
    photo = data.chelsea()[40:97, 60:120]
    paintings = [e2e_art.load(tmp_path / "out", engine)(photo).astype(int) for engine in ("onnx", chosen())]
    assert np.abs(paintings[0] - paintings[1]).max() <= 1


# Losses that are fetched every few steps, as on GPUs


@pytest.fixture
def seldom(monkeypatch):
    monkeypatch.setattr(trainer, "on_cpu", lambda devices: False)
    monkeypatch.setattr(trainer, "FETCH_EVERY", 3)


def test_no_step_is_lost_where_losses_are_fetched_seldom(training_of, seldom, monkeypatch):
    found, reported = [], []
    for every in (1, 3):
        monkeypatch.setattr(trainer, "FETCH_EVERY", every)
        training, steps, before = training_of(steps=(7, 2), batch=2), [], 0

        def on_step(step, training=training, steps=steps):
            steps.append(step)
            reported.append(training.total_step - step.total_step)

        training.run(on_step, checkpoint_every=5)
        found.append(steps)
    assert reported == [0] * 9 + [2, 1, 0, 1, 0, 1, 0, 1, 0]  # three steps, two up to a checkpoint, up to a phase's end
    for one, other in zip(*found):
        assert (one.phase, one.step, one.learning_rate) == (other.phase, other.step, other.learning_rate)
        assert one.losses[0] == pytest.approx(other.losses[0], rel=1e-4)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-4)
        assert other.seconds >= before
        before = other.seconds


def test_ctrl_c_loses_no_step_where_losses_are_fetched_seldom(training_of, seldom):
    training, seen = training_of(steps=(9,)), []

    def stop(step):
        seen.append(step.total_step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.run(stop)
    assert seen == [1, 2, 3]  # done when the first was reported
    assert Training(training.options, training.checkpoint, resume=True, bfloat16=False).state.step == 3


def test_a_divergence_is_found_before_anything_is_saved(training_of, seldom):
    training, seen = training_of(learning_rates=(1e30,), steps=(40,)), []
    with pytest.raises(TrainingError, match="not finite at step ") as error:
        training.run(lambda step: seen.append(step.step), checkpoint_every=2)
    wrong = int(re.search(r"at step (\d+)", str(error.value))[1])
    assert seen == list(range(1, wrong))
    saved = Training(training.options, training.checkpoint, resume=True, bfloat16=False).state.step
    assert saved < wrong and saved % 2 == 0


# When it goes wrong


@pytest.fixture
def refused(files, tmp_path, capsys):
    """Runs a command that must fail before the first step, and must leave the folder as it was."""

    def run(*words, says=(), out=tmp_path / "out"):
        before = tree(tmp_path)
        code = train(files, out, *words)
        said = capsys.readouterr()
        last = re.split(r"[\r\n]+", said.err.strip())[-1]  # the progress bar may have begun
        assert_one_sentence(code, last, *says)
        assert "Traceback" not in said.err
        assert tree(tmp_path) == before

    return run


@pytest.mark.parametrize("flags", [("--learning-rate", 1e30), ("--style-weight", 1e30)])
def test_a_loss_that_is_not_finite_stops(files, tmp_path, capsys, flags):
    assert train(files, tmp_path / "out", "--steps", 40, *flags) == 2
    said = re.split(r"[\r\n]+", capsys.readouterr().err.strip())[-1]
    assert re.search(r"The loss is not finite at step \d+ of stage 0 ", said)
    for word in ("style", "content", "tv", "gradient", "lower --learning-rate", "checkpoint is kept"):
        assert word in said
    assert not (tmp_path / "out").exists()
    with np.load(tmp_path / "out.training" / "checkpoint.npz") as checkpoint:
        assert all(np.isfinite(checkpoint[name]).all() for name in checkpoint.files)


def test_a_loss_that_is_not_finite_keeps_the_weights_before(training_of):
    training = training_of(learning_rates=(1e30,), steps=(40,))
    with pytest.raises(TrainingError, match="not finite"):
        training.run(checkpoint_every=1000)
    fresh = training_of(learning_rates=(1e30,), steps=(40,))
    saved = Training(fresh.options, fresh.checkpoint, resume=True, bfloat16=False)
    for stage, weights in enumerate(weights_of(saved.chain)):
        assert distance(weights, fresh.chain.stage_weights(stage)) == 0


def test_styles_that_cannot_be_read(refused, files, tmp_path):
    refused("--style", tmp_path / "none.jpg", says=[tmp_path / "none.jpg", "does not exist"])
    (tmp_path / "text.jpg").write_text("This is a text.")
    refused("--style", tmp_path / "text.jpg", says=[tmp_path / "text.jpg", "is no picture"])
    refused("--style", files / "photos", says=[files / "photos", "is a folder"])
    refused("--style", files / "painting.jpg", tmp_path / "text.jpg", says=[tmp_path / "text.jpg"])


def test_photos_that_cannot_be_read(refused, files, tmp_path):
    refused("--photos", tmp_path / "none", says=[tmp_path / "none", "does not exist"])
    refused("--photos", files / "painting.jpg", says=[files / "painting.jpg", "is a file", "give the folder"])
    (tmp_path / "empty").mkdir()
    refused("--photos", tmp_path / "empty", says=[tmp_path / "empty", "holds no photos"])
    refused("--list", tmp_path / "none.txt", says=[tmp_path / "none.txt", "cannot be read"])
    (tmp_path / "list.txt").write_text("c/000.jpg 0\n")
    refused("--list", tmp_path / "list.txt", says=[tmp_path / "list.txt", "names no photo"])


@pytest.mark.parametrize("words", [("--style", "painting.jpg"), ("--super-resolution", "2")])
def test_an_empty_folder_is_found_at_once(files, tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(files)
    monkeypatch.setattr(train_command, "choose", None)  # not called: engines take seconds to load
    (tmp_path / "empty").mkdir()
    code = main(["train", *words, "--photos", str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
    assert_one_sentence(code, capsys.readouterr().err, f"{tmp_path / 'empty'} holds no photos: put .jpg or .png files")


def broken_photos(folder, count: int, broken: int):
    photo_folder(folder, count)
    for path in sorted(folder.rglob("*.jpg"))[:broken]:
        path.write_bytes(b"no picture")
    (folder / ".e2e-art-photos.json").touch()  # the list that is kept there is meant to stay
    return folder


def without_list(folder) -> dict:
    return {name: content for name, content in tree(folder).items() if ".e2e-art-photos.json" not in name}


@pytest.mark.parametrize(("count", "broken", "flags"), [(30, 12, ()), (5, 5, ("--batch", 2)), (1, 1, ())])
def test_too_few_photos_that_can_be_read(files, tmp_path, capsys, count, broken, flags):
    photos = broken_photos(tmp_path / "photos", count, broken)
    before = without_list(tmp_path)
    assert train(files, tmp_path / "out", "--photos", photos, "--steps", 40, *flags) == 2
    said = re.split(r"[\r\n]+", capsys.readouterr().err.strip())[-1]
    assert_one_sentence(2, said, photos, "cannot be read, remove them")
    left = without_list(tmp_path)
    if "out.training/log.jsonl" not in left:  # before the first step
        assert left == before


def test_outputs_that_exist_or_cannot_be_written(refused, tmp_path):
    (tmp_path / "out").mkdir()
    refused(says=[tmp_path / "out", "exists", "--overwrite"])
    file = tmp_path / "file"
    file.touch()
    refused(says=[file / "out", "choose another --out"], out=file / "out")
    refused(says=["/proc/out", "choose another --out"], out="/proc/out")
    refused(says=["long", "choose another"], out=tmp_path / ("long" * 80))


def test_overwriting_replaces_models_only(refused, files, tmp_path):
    """A slip in --out must not cost a folder of photos."""
    photo_folder(tmp_path / "photos", 2)
    says = [tmp_path / "photos", "is no model", "choose another --out"]
    refused("--overwrite", says=says, out=tmp_path / "photos")
    (tmp_path / "file").touch()
    refused("--overwrite", says=[tmp_path / "file", "is no model"], out=tmp_path / "file")
    assert train(files, tmp_path / "out") == 0
    before = (tmp_path / "out" / "model.json").read_bytes()
    assert train(files, tmp_path / "out", "--overwrite", "--seed", 5) == 0
    assert (tmp_path / "out" / "model.json").read_bytes() != before


def test_stages_that_do_not_go(refused, tmp_path):
    refused("--stages", "pyramid,cubist", says=["unknown generator 'cubist'", "conv, deconv, pyramid"])
    refused("--steps", 3, 3, 3, says=["--steps", "all 2 stages, or 2, not 3"])
    refused("--learning-rate", 1e-3, 1e-3, 1e-3, says=["--learning-rate", "2 stages", "not 3"])
    refused("--residual-weight", 0.4, 0.4, 0.4, says=["--residual-weight", "2 stages", "not 3"])
    refused("--residual-weight", 2, says=["--residual-weight", "from 0 to 1", "2"])
    model = tiny_model(tmp_path / "model")
    refused("--stages", "mixed", "--start-from", model, says=["model to start from", "stage 0", "--stages"])
    refused("--start-from", tmp_path / "none", says=[tmp_path / "none"])
    refused("--start-from", model, "--start-stage", 4, says=["--start-stage", "stages 0 to 3", "not 4"])
    refused("--start-from", model, "--start-stage", -1, says=["--start-stage takes a whole number of 0 or more"])
    refused("--start-stage", 1, says=["--start-stage", "--start-from"])


def test_patches_are_not_for_training(refused):
    refused("--patch-weight", 1, says=["unknown flag '--patch-weight'"])


def test_previews_of_the_same_name(refused, tmp_path):
    photos = [save(tmp_path / name, data.chelsea()[:40, :40]) for name in ("a/cat.png", "b/cat.jpg")]
    refused("--preview", *photos, says=["Two --preview photos", "cat"])


def test_weights_that_are_no_weights(refused):
    for flag in ("--style-weight", "--content-weight", "--tv-weight"):
        for value in ("inf", "nan", -1):
            refused(flag, value, says=[f"{flag} takes a number of 0 or more, not '{value}'"])


def test_losses_that_do_not_go(refused):
    refused("--style-layers", "relu9_9", says=["relu9_9", "relu1_1"])
    refused("--content-layer", "cubes", says=["cubes", "relu1_1"])
    refused("--style-layer-weights", 1, 2, 3, says=["--style-layer-weights", "style layers, 2, not 3"])
    refused("--style-layer-weights", 0, 0, says=["--style-layer-weights", "not all of them 0"])
    refused("--style-blend", 1, 2, says=["--style-blend", "each painting, 1, not 2"])
    refused("--style-blend", 0, says=["--style-blend", "not all of them 0"])
    refused("--loss-network", "resnet", says=["resnet", "vgg19"])
    refused("--loss-network", "no.pth", says=["no.pth is no loss network", "No such file", "choose another file"])


def test_numbers_that_do_not_go(refused):
    refused("--steps", 0, says=["--steps 0", "--start-from"])
    refused("--size", 16, says=["--size takes a whole number from 32 to 100000, not '16'"])
    refused("--style-size", 0, says=["--style-size takes a whole number from 1 to 100000, not '0'"])
    for flag in ("--batch", "--limit", "--workers", "--checkpoint-every", "--cpu-devices"):
        refused(flag, 0, says=[f"{flag} takes a whole number of 1 or more, not '0'"])
    refused("--seed", -1, says=["--seed takes a whole number from 0 to 4294967295, not '-1'"])
    refused("--gradient-clip", 0, says=["--gradient-clip takes a number above 0, not '0'"])
    refused("--learning-rate", "nan", says=["--learning-rate takes a number above 0, not 'nan'"])
    refused("--start-from", "brick", says=["--start-from brick is of kind 'texture'", "of kind 'chain'"])
    refused("--start-from", "starry_night", "--start-stage", 4, says=["--start-stage", "0 to 3", "not 4"])
    refused("--cpu-devices", 2, says=["batch size of 1", "2 devices"])


def test_gpus_that_are_not_there(refused):
    refused("--gpus", "77", says=["GPU 77", "leave the flag out"])
    refused("--gpus", "one", says=["'one'"])


def test_validation_and_preview_photos_that_cannot_be_read(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    refused("--validate", tmp_path / "empty", says=[tmp_path / "empty", "holds no pictures"])
    refused("--validate", tmp_path / "none", says=[tmp_path / "none", "is no folder"])
    refused("--preview", tmp_path / "none.jpg", says=[tmp_path / "none.jpg", "does not exist"])
    save(tmp_path / "val" / "good.jpg", data.chelsea()[:40, :40])
    (tmp_path / "val" / "text.jpg").write_text("This is a text.")
    refused("--validate", tmp_path / "val", says=[tmp_path / "val" / "text.jpg", "is no picture"])


def test_mishaps_through_the_script(files, tmp_path):
    words = ["--style", tmp_path / "none.jpg", "--photos", files / "photos", "--out", tmp_path / "out"]
    done = process("train.py", *words)
    assert_one_sentence(done.returncode, done.stderr.decode(), tmp_path / "none.jpg", "does not exist")
    assert done.stdout == b""
    assert tree(tmp_path) == {}
