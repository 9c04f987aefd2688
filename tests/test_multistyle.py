"""Several styles in one chain: kernels are shared; scales, shifts and biases are each style's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import TINY, assert_one_sentence, changed_model, painting, photo_folder, pixels, save, tiny_chain
from skimage import data

import e2e_art
from e2e_art.commands.main import main
from e2e_art.engines.choice import chosen
from e2e_art.engines.gluon import array, cpu, to_numpy
from e2e_art.errors import ModelError, OptionError
from e2e_art.losses.options import LossOptions
from e2e_art.losses.perceptual import PerceptualLoss
from e2e_art.losses.style_target import StyleTarget
from e2e_art.models.folder import read_model
from e2e_art.models.publish import load_chain, publish
from e2e_art.networks.styled import MultiStyleChain
from e2e_art.painting.styles import mix_of, weights_of
from e2e_art.training import options as options_module
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training

pytestmark = [pytest.mark.training, pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

CHEAP = LossOptions(style_layers=("relu1_1", "relu2_1"), content_layers=("relu2_1",))
STYLES = ("waves", "stars", "stones")


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch):
    monkeypatch.setitem(options_module.PRESETS, "tiny", [TINY] * 2)


@pytest.fixture(scope="module")
def chain():
    """A chain of three styles that differ, drawn at random."""
    chain = MultiStyleChain([{**TINY, "styles": 3}] * 2)
    ordinary, random = tiny_chain(stages=2), np.random.RandomState(5)
    chain.initialize([cpu()])
    for stage in range(2):
        chain.set_stage_weights(stage, ordinary.stage_weights(stage))
        weights = chain.stage_weights(stage)
        noise = random.uniform(-0.3, 0.3, weights["styles"].shape).astype(np.float32)
        chain.set_stage_weights(stage, {**weights, "styles": weights["styles"] + noise})
    return chain


@pytest.fixture(scope="module")
def model(chain, tmp_path_factory):
    """That chain as a model on disk."""
    record = {"styles": [{"file": f"{name}.jpg"} for name in STYLES], "photos": 3, "seconds": 60}
    return publish(chain, tmp_path_factory.mktemp("models") / "museum", record)


@pytest.fixture(scope="module")
def paintings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paintings")
    save(folder / "stones.png", data.gravel()[:96, :96])
    return [painting(folder / "waves.jpg"), save(folder / "stars.jpg", data.hubble_deep_field()[:96, :96])]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return photo_folder(tmp_path_factory.mktemp("photos"))


# The network


def test_with_the_vectors_of_one_chain_every_style_is_that_chain(photo):
    ordinary = tiny_chain(stages=2)
    chain = MultiStyleChain([{**TINY, "styles": 3}] * 2)
    chain.initialize([cpu()])
    for stage in range(2):
        chain.set_stage_weights(stage, ordinary.stage_weights(stage))
    x = array(np.random.RandomState(0).uniform(-100, 100, (2, 3, 24, 40)))
    chain.hybridize()
    for weights in ([[1, 0, 0], [0, 0, 1]], [[0.2, 0.3, 0.5]] * 2):  # a mix of equals is that, too
        for mine, theirs in zip(chain(x, 1.0, None, array(weights)), ordinary(x)):
            assert np.allclose(to_numpy(mine), to_numpy(theirs), atol=2e-2)


def test_each_picture_of_a_batch_has_a_style_of_its_own(chain):
    x = np.random.RandomState(1).uniform(-100, 100, (1, 3, 24, 24))
    both = to_numpy(chain(array(np.concatenate([x, x])), 1.0, None, array([[1, 0, 0], [0, 1, 0]]))[-1])
    for place, weights in enumerate([[[1, 0, 0]], [[0, 1, 0]]]):
        alone = to_numpy(chain(array(x), 1.0, None, array(weights))[-1])
        assert np.allclose(both[place : place + 1], alone, atol=2e-2)
    assert np.abs(both[0] - both[1]).max() > 1


def test_what_is_shared_and_what_is_not(chain):
    weights = chain.stage_weights(0)
    table = weights.pop("styles")
    ordinary = tiny_chain(stages=1).stage_weights(0)
    vectors = {name: weight for name, weight in ordinary.items() if weight.ndim == 1}
    assert weights.keys() == ordinary.keys() - vectors.keys()
    assert table.shape == (3, sum(map(len, vectors.values())))


def test_batch_normalization_is_refused():
    with pytest.raises(OptionError, match="normalize each picture by itself"):
        MultiStyleChain([{**TINY, "norm": "batch", "styles": 2}])


# Mixes


def test_mixes_by_hand():
    assert mix_of(["a=0.7,b=0.3"]) == {"a": 0.7, "b": 0.3}
    assert mix_of(["a", "b"]) == {"a": 1, "b": 1}
    assert weights_of("b", "abc", "m").tolist() == [0, 1, 0]
    assert weights_of({"a": 3, "c": 1}, "abc", "m").tolist() == [0.75, 0, 0.25]  # any sum will do
    assert weights_of("a=1,a=1,b=2", "abc", "m").tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize("word", ["a=", "=1", "", "a=x", "a=-1", "a=inf", "a=nan", "a,,b", "a=1=2"])
def test_what_is_no_mix(word):
    with pytest.raises(OptionError, match="written as a=0.7,b=0.3"):
        mix_of([word])


@pytest.mark.parametrize(
    ("style", "says"),
    [
        ("wave", "did you mean waves"),
        ("zzz", "it has waves, stars or stones"),
        ({"stars": -1}, "is to be 0 or more, not -1"),
        ({"stars": 0}, "All weights of --style are 0"),
    ],
)
def test_styles_that_there_are_not(model, style, says):
    with pytest.raises(OptionError, match=says):
        e2e_art.load(model, style=style)


# Painting


def test_engines_and_tiles_paint_alike(model, photo):
    mix = {"waves": 1, "stones": 2}
    painter = e2e_art.load(model, style=mix)
    assert painter.styles == list(STYLES)
    whole = painter(photo).astype(int)
    assert np.abs(e2e_art.load(model, chosen(), style=mix)(photo) - whole).max() <= 1  # rounding
    first = [painter.stages(photo, [0], tile=tile)[0].astype(int) for tile in (0, 96)]
    assert np.abs(first[0] - first[1]).max() <= 1  # a stage whose statistics are those of the whole
    others = [painter.with_style(name)(photo).astype(int) for name in STYLES]
    assert np.abs(others[0] - others[1]).max() > 1
    assert np.array_equal(painter(photo), whole)  # with_style leaves its own painter as it was


def test_strength_0_is_the_photo(model, photo):
    assert np.array_equal(e2e_art.load(model, style="stars")(photo, strength=0), photo)


def test_it_paints_in_a_style_that_is_named(model, photo):
    with pytest.raises(OptionError, match="name one as --style, waves, stars or stones"):
        e2e_art.load(model)(photo)


def test_other_models_have_one_style(tmp_path, photo):
    publish(tiny_chain(stages=1), tmp_path / "one", {})
    with pytest.raises(OptionError, match="has one style of its own"):
        e2e_art.load(tmp_path / "one", style="stars")


def test_the_table_is_kept_in_half_precision(model, chain):
    kept, own = load_chain(model).stage_weights(0)["styles"], chain.stage_weights(0)["styles"]
    assert np.array_equal(kept, own.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("count", [0, 2, 4, 1001])
def test_a_record_of_other_styles_is_refused(model, tmp_path, count):
    stages = [{**stage, "styles": count} for stage in model.stages]
    folder = changed_model(model.folder, tmp_path / "m", stages=stages)
    with pytest.raises(ModelError, match="describes no model"):
        read_model(folder)


# The command line


def command(*words) -> int:
    return main([str(word) for word in words])


def test_infer(model, photo, tmp_path):
    source = save(tmp_path / "photo.png", photo)
    style = ("--model", model.folder, "--style", "waves=0.5,stars=0.5")
    assert command("infer", source, *style, "-o", tmp_path / "a.png") == 0
    painted = e2e_art.load(model, style={"waves": 1, "stars": 1})(photo)
    assert np.abs(pixels(tmp_path / "a.png") - painted).max() <= 1
    style = ("--model", model.folder, "--style", "all", "--stages")
    assert command("infer", source, *style, "-o", tmp_path / "sheet.png") == 0
    height, width, _ = pixels(tmp_path / "sheet.png").shape
    assert width > 2 * 131 and height > 3 * 97  # three rows of two stages


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--style", "wavs"), "did you mean waves?"),
        ((), "name one as --style, waves, stars or stones"),
        (("--style", "all", "--guided"), "--guided is for one style's paintings"),
    ],
)
def test_infer_refuses(model, photo, tmp_path, capsys, words, says):
    source = save(tmp_path / "photo.png", photo)
    code = command("infer", source, "--model", model.folder, *words, "-o", tmp_path / "a.png")
    assert_one_sentence(code, capsys.readouterr().err, says)
    assert not (tmp_path / "a.png").exists()


# The loss, and training


def test_the_loss_of_a_mix_is_that_of_the_mixed_gram_matrices(photo):
    options = LossOptions(style_layers=("relu1_1", "relu2_1"), content_weight=0.0)
    random = np.random.RandomState(2)
    pictures = [random.uniform(-100, 100, (1, 3, 32, 32)).astype(np.float32) for _ in range(3)]
    single = [StyleTarget.of(options, [each]).grams for each in pictures[:2]]
    both = StyleTarget({layer: np.concatenate([each[layer] for each in single]) for layer in single[0]})
    blend = PerceptualLoss(options, StyleTarget.of(options, pictures[:2], (0.25, 0.75)), bfloat16=False)
    several = PerceptualLoss(options, both, bfloat16=False)
    x = array(pictures[2])
    mine = several.look(x, [], grams=several.mixed_grams(array([[0.25, 0.75]])))[0]["style"]
    assert to_numpy(mine) == pytest.approx(to_numpy(blend(x, [])["style"]), rel=1e-4)


def options_of(paintings, photos, **others) -> TrainingOptions:
    given = dict(
        kind="multistyle", styles=tuple(map(str, paintings)), photos=str(photos), stages="tiny", steps=(6,), sizes=(32,)
    )
    return TrainingOptions(**{**given, "style_size": 64, "loss": CHEAP, "stage_shares": (0.3, 0.7), **others})


def test_styles_take_turns(paintings, photos, tmp_path):
    training = Training(options_of(paintings, photos), tmp_path / "c.npz")
    turns = [training.task.style_of(number) for number in range(200)]
    assert all(sorted(turns[n : n + 2]) == [0, 1] for n in range(0, 200, 2))
    assert len(set(map(tuple, np.reshape(turns, (-1, 2))))) == 2  # in either order


def test_steps_look_at_stages_by_their_shares(paintings, photos):
    options = options_of(paintings, photos)
    looks = [options.looked_at([0, 1], position) for position in range(1000)]
    assert {tuple(each) for each in looks} == {(0,), (1,)}
    assert 0.62 < np.mean([each == [1] for each in looks]) < 0.78  # 0.7, and five standard deviations
    assert options.looked_at([1], 0) == [1]
    assert options_of(paintings, photos, stage_shares=(0.0,)).looked_at([0, 1], 7) == [0, 1]


def test_a_step_that_looks_at_the_first_stage_leaves_the_second_alone(paintings, photos, tmp_path):
    training = Training(options_of(paintings, photos, stage_shares=(1.0, 0.0)), tmp_path / "c.npz")
    before = [training.chain.stage_weights(stage) for stage in range(2)]
    training.run()
    after = [training.chain.stage_weights(stage) for stage in range(2)]
    assert all(np.array_equal(before[1][name], after[1][name]) for name in before[1])
    assert all(not np.array_equal(before[0][name], after[0][name]) for name in before[0])


def test_styles_grow_apart_and_the_loss_falls(paintings, photos, tmp_path):
    options = options_of(paintings, photos, steps=(40,), learning_rates=(3e-3,), stage_shares=(0.1, 0.9))
    training, losses = Training(options, tmp_path / "c.npz"), []
    training.run(lambda step: losses.append(sum(step.losses[-1].values())))
    table = training.chain.stage_weights(1)["styles"]
    assert np.abs(table[0] - table[1]).max() > 1e-3
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:8])


def train(*words):
    cheap = ("--style-layers", "relu1_1", "relu2_1", "--content-layer", "relu2_1", "--style-size", 64, "--size", 32)
    assert command("train", *words, *cheap, "--checkpoint-every", 2) == 0


@pytest.fixture(scope="module")
def trained(paintings, photos, tmp_path_factory):
    """Two styles, trained by the command line, to which a third is added."""
    folder = tmp_path_factory.mktemp("trained")
    one = ("--styles-in-one", "--photos", photos, "--stages", "pyramid,pyramid", "--stage-share", 0.5, 0.5)
    shown = ("--preview", photos / "a" / "000.jpg")
    train("--style", *paintings, *one, "--steps", 3, "--out", folder / "two", "--validate", photos / "a", *shown)
    added = paintings[0].with_name("stones.png")
    train(
        *("--start-from", folder / "two", "--add-style", added, "--photos", photos, "--stage-share", 0.5, 0.5),
        *("--steps", 4, "--out", folder / "three", *shown),
    )
    return folder


def test_what_a_training_writes(trained, capsys):
    model = read_model(trained / "two")
    assert model.kind.name == "multistyle" and model.styles == ["waves", "stars"]
    assert model.record["validation_by_style"].keys() == {"waves", "stars"}
    assert [stage["styles"] for stage in model.stages] == [2, 2]
    assert command("models", trained) == 0
    assert "2 styles: waves, stars" in capsys.readouterr().out


def test_an_added_style_leaves_the_others_bit_for_bit(trained):
    two, three = (read_model(trained / name) for name in ("two", "three"))
    assert three.styles == ["waves", "stars", "stones"]
    learned = []
    for stage in range(2):
        before, after = (load_chain(model).stage_weights(stage) for model in (two, three))
        tables = before.pop("styles"), after.pop("styles")
        assert all(np.array_equal(before[name], after[name]) for name in before)
        assert np.array_equal(tables[0], tables[1][:2])
        learned.append(np.abs(tables[1][2] - tables[0].mean(axis=0)).max())
    assert max(learned) > 1e-3  # in those stages that the few steps looked at


def test_each_style_has_a_thumbnail_and_keeps_it_when_others_are_added(trained):
    two, three = (
        {path.name: path.read_bytes() for path in sorted((trained / name).glob("style-*.jpg"))}
        for name in ("two", "three")
    )
    assert [*two] == ["style-0.jpg", "style-1.jpg"] and [*three] == [*two, "style-2.jpg"]
    assert two.items() <= three.items()
    assert len({*three.values()}) == 3
    assert max(pixels(trained / "three" / "style-2.jpg").shape) == 96


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--add-style {painting} --photos {photos} --out {out}", "--add-style adds to a model of several styles"),
        ("--add-style {painting} --photos {photos} --start-from starry_night --out {out}", "of kind 'chain'"),
        ("--add-style {painting} --photos {photos} --start-from {two} --out {out}", "would be called waves"),
        ("--style {painting} {painting} --styles-in-one --photos {photos} --out {out}", "would be called waves"),
        ("--style {painting} --styles-in-one --photos {photos} --gan-weight 1 --out {out}", "--gan-weight is 0"),
        ("--style {painting} --photos {photos} --stage-share 1 --out {out}", "add --coupling joint"),
        ("--texture {painting} --styles-in-one --out {out}", "--styles-in-one goes with --style"),
    ],
)
def test_trainings_that_are_refused(trained, paintings, photos, tmp_path, capsys, words, says):
    capsys.readouterr()
    places = {"painting": paintings[0], "photos": photos, "out": tmp_path / "m", "two": trained / "two"}
    code = command("train", *(word.format(**places) for word in words.split()))
    assert_one_sentence(code, capsys.readouterr().err, says)
    assert not (tmp_path / "m").exists()


def test_the_export_names_its_styles(model, tmp_path):
    onnx = pytest.importorskip("onnx")
    from e2e_art.models.onnx_file import METADATA, onnx_file

    proto = onnx.load_model_from_string(onnx_file(model))
    about = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(about[METADATA])["styles"] == list(STYLES)
    assert {place.name for place in proto.graph.input} == {"image", "strength", "style"}
