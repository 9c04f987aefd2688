"""Any style in one chain: paintings are described, and what describes them writes scales, shifts and biases."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import (
    AUTOENCODER,
    TINY,
    assert_one_sentence,
    changed_model,
    painting,
    photo_folder,
    pixels,
    save,
    tiny_chain,
)
from skimage import data

import e2e_art
from e2e_art.commands.main import main
from e2e_art.data.paintings import PaintingStream
from e2e_art.data.photos import Photos
from e2e_art.engines.choice import chosen
from e2e_art.engines.gluon import array, cpu, to_numpy
from e2e_art.errors import ModelError, OptionError
from e2e_art.images.arrays import to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.models.folder import DESCRIBE_FILE, VECTORS_FILE, read_model
from e2e_art.models.learned import learned_stage
from e2e_art.models.publish import load_chain, publish
from e2e_art.networks.autoencoder import Autoencoder
from e2e_art.networks.describer import Describer
from e2e_art.networks.styled import AnyStyleChain
from e2e_art.painting.describe import described_size, description_of, paintings_of
from e2e_art.training import options as options_module
from e2e_art.training.describing import fit_describer
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training

pytestmark = [pytest.mark.training, pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

CHEAP = LossOptions(style_layers=("relu1_1", "relu2_1"), content_layers=("relu2_1",))
FORM = {**TINY, "described": 6, "hidden": 5}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Tiny generators, and descriptions of few numbers."""
    monkeypatch.setitem(options_module.PRESETS, "tiny", [TINY] * 2)
    monkeypatch.setattr(options_module, "DESCRIBED", 6)
    monkeypatch.setattr(options_module, "HIDDEN", 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with paintings, photos and a student that has learned nothing."""
    folder = tmp_path_factory.mktemp("any")
    painting(folder / "paintings" / "waves.jpg")
    for name in ("gravel", "brick", "grass"):
        save(folder / "paintings" / f"{name}.png", getattr(data, name)()[:96, :128])
    save(folder / "paintings" / "stars.jpg", data.hubble_deep_field()[:96, :96])
    photo_folder(folder / "photos")
    student = Autoencoder(AUTOENCODER)
    student.draw_weights(1, [cpu()])
    publish(student, folder / "student", {"command": "", "photos": 1, "seconds": 1})
    return folder


@pytest.fixture(scope="module")
def chain(folder):
    """A chain whose describer knows five paintings, and that writes random styles."""
    chain, random = AnyStyleChain([FORM] * 2), np.random.RandomState(5)
    chain.draw_weights(2, [cpu()])
    student = load_chain(read_model(folder / "student")).stage_weights(0)
    pictures = (e2e_art.read_image(path) for path in sorted((folder / "paintings").iterdir()))
    fit_describer(chain.describer, student, (to_vgg_space(described_size(picture)) for picture in pictures))
    for stage in range(2):
        weights = chain.stage_weights(stage)
        drawn = random.uniform(-0.3, 0.3, weights["vector_weight"].shape).astype(np.float32)
        chain.set_stage_weights(stage, {**weights, "vector_weight": drawn})
    return chain


@pytest.fixture(scope="module")
def model(chain, tmp_path_factory):
    """That chain as a model on disk."""
    return publish(chain, tmp_path_factory.mktemp("models") / "any", {"photos": 3, "paintings": 5, "seconds": 60})


@pytest.fixture
def waves(folder):
    return folder / "paintings" / "waves.jpg"


# Descriptions


@pytest.mark.parametrize(
    ("shape", "size"),
    [((300, 400), (304, 400)), ((10, 10), (400, 400)), ((1, 900), (16, 400)), ((800, 400), (400, 192))],
)
def test_the_size_that_is_described(shape, size):
    assert described_size(np.zeros((*shape, 3), np.uint8)).shape[:2] == size


def test_a_graph_describes_as_the_network_does(model, chain, waves):
    picture = e2e_art.read_image(waves)
    mine = to_numpy(chain.describer(array(to_vgg_space(described_size(picture)))))[0]
    theirs = description_of(model, waves)  # of weights in half precision
    assert np.allclose(mine, theirs, atol=0.05) and np.abs(mine).max() > 0.1
    assert np.array_equal(description_of(model, picture), theirs)


def test_descriptions_of_the_paintings_learned_from_have_unit_variance_and_mean_zero(folder, chain):
    pictures = [e2e_art.read_image(path) for path in sorted((folder / "paintings").iterdir())]
    known = [to_numpy(chain.describer(array(to_vgg_space(described_size(each)))))[0] for each in pictures]
    assert np.allclose(np.mean(known, axis=0), 0, atol=1e-2)
    assert np.allclose(np.std(known, axis=0)[:4], 1, atol=1e-2)  # five paintings lie in four dimensions
    assert np.allclose(np.std(known, axis=0)[4:], 0, atol=1e-2)


def test_statistics_by_hand(folder):
    """A student whose features are known: relu1_1 of one pixel's value in its first channel, 0 elsewhere."""
    describer = Describer(4, parts=(1, 1, 1, 1), width=16)
    describer.initialize([cpu()])
    weights = describer.named_parameters()
    first = next(name for name in weights if name.startswith("student.level_1") and name.endswith("weight"))
    kernel = np.zeros(weights[first].shape, np.float32)
    kernel[0, 0, 1, 1] = 64  # undoes PIXEL_SCALE
    weights[first].set_data(kernel)
    parts = np.zeros((1, 16, 1, 1), np.float32)
    parts[0, 0] = 1
    weights["parts_1"].set_data(parts)
    basis = np.zeros((8, 4), np.float32)
    basis[0, 0] = basis[1, 1] = 1
    weights["basis"].set_data(basis)
    picture = np.zeros((1, 3, 16, 16), np.float32)
    picture[0, 0, :8] = 2  # half of it: a mean of 1, a mean square of 2
    assert np.allclose(to_numpy(describer(array(picture))), [[1, 2**0.5, 0, 0]], atol=1e-3)


def test_mixes_of_paintings(model, folder, tmp_path):
    odd = save(tmp_path / "a=b.png", data.gravel()[:64, :64])
    assert paintings_of(["a.jpg=0.7", "b.jpg=0.3"]) == {"a.jpg": 0.7, "b.jpg": 0.3}
    assert paintings_of([str(odd), "c.jpg"]) == {str(odd): 1, "c.jpg": 1}  # a file whose name holds a sign
    one, two = (str(folder / "paintings" / name) for name in ("waves.jpg", "stars.jpg"))
    mixed = description_of(model, {one: 3, two: 1})
    assert np.allclose(mixed, 0.75 * description_of(model, one) + 0.25 * description_of(model, two), atol=1e-4)


def test_descriptions_are_kept(model, waves, tmp_path):
    fresh = description_of(model, waves)
    assert np.array_equal(description_of(model, waves, cache=tmp_path / "c"), fresh)
    (kept,) = (tmp_path / "c").iterdir()
    np.save(kept, fresh + 1)
    assert np.array_equal(description_of(model, waves, cache=tmp_path / "c"), fresh + 1)  # it is what is read
    for damage in (b"", b"x" * 99, kept.read_bytes()[:-4]):
        kept.write_bytes(damage)
        assert np.array_equal(description_of(model, waves, cache=tmp_path / "c"), fresh)
    other = save(tmp_path / "waves.jpg", data.gravel()[:64, :64])  # the same name, another painting
    assert not np.array_equal(description_of(model, other, cache=tmp_path / "c"), fresh)
    (tmp_path / "file").touch()
    assert np.array_equal(description_of(model, waves, cache=tmp_path / "file"), fresh)  # a folder that cannot be made


@pytest.mark.parametrize(("words", "says"), [(["a.jpg=x"], "written as a.jpg=0.7"), (["a.jpg=0"], "are 0")])
def test_what_is_no_mix(words, says):
    with pytest.raises(OptionError, match=says):
        paintings_of(words)


# Painting, and learning a style


def test_engines_tiles_and_learned_models_paint_alike(model, photo, waves, tmp_path):
    painter = e2e_art.load(model, style=waves)
    whole = painter(photo).astype(int)
    assert np.abs(e2e_art.load(model, chosen(), style=waves)(photo) - whole).max() <= 1  # rounding
    other = e2e_art.load(model, style=waves.with_name("stars.jpg"))(photo)
    assert np.abs(other - whole).max() > 1
    assert main(["learn", str(waves), "-o", str(tmp_path / "waves"), "--model", str(model.folder)]) == 0
    learned = e2e_art.load(tmp_path / "waves")
    assert learned.model.kind.name == "chain"
    # Vectors are kept in half precision; so a level or two may differ.
    assert np.abs(learned(photo) - whole).max() <= 2
    by_engine = e2e_art.load(tmp_path / "waves", chosen())(photo).astype(int)
    assert np.abs(by_engine - learned(photo)).max() <= 1
    tiled = learned.stages(photo, [0], tile=96)[0].astype(int)
    assert np.abs(tiled - learned.stages(photo, [0], tile=0)[0]).max() <= 1


def test_a_learned_model_keeps_the_kernels_bit_for_bit(model, waves, tmp_path):
    from safetensors.numpy import load_file

    assert main(["learn", str(waves), "-o", str(tmp_path / "m"), "--model", str(model.folder)]) == 0
    learned = read_model(tmp_path / "m")
    for stage in range(2):
        before, after = (load_file(each.path(f"stage-{stage}.safetensors")) for each in (model, learned))
        kernels = [name for name in after if after[name].ndim == 4 or name.endswith(".scale")]
        assert kernels and all(np.array_equal(before[name], after[name]) for name in kernels)
    assert learned.record["styles"][0]["file"] == "waves.jpg" and len(learned.record["styles"][0]["sha256"]) == 64


def test_it_learns_without_an_engine(model, waves, tmp_path, fresh_python):
    run = fresh_python(
        "import sys\n"
        "from e2e_art.commands.main import main\n"
        "code = main(['learn', sys.argv[1], '-o', sys.argv[2], '--model', sys.argv[3]])\n"
        "assert not {'mxnet', 'torch'} & sys.modules.keys()\n"
        "sys.exit(code)",
        waves,
        tmp_path / "m",
        model.folder,
    )
    assert run.returncode == 0, run.stderr


def test_odd_paintings(model, photo, tmp_path):
    for name, picture in {
        "tiny": np.full((10, 10, 3), 200, np.uint8),
        "line": np.random.RandomState(0).randint(0, 256, (1, 700, 3)).astype(np.uint8),
        "gray": data.camera()[:50, :60],
        "one": np.zeros((64, 64, 3), np.uint8),
    }.items():
        path = save(tmp_path / f"{name}.png", picture)
        assert e2e_art.load(model, style=path)(photo).shape == photo.shape


def test_infer(model, photo, waves, tmp_path):
    source = save(tmp_path / "photo.png", photo)
    words = ["infer", source, "--model", model.folder, "--style", waves, "--no-cache", "-o", tmp_path / "a.png"]
    assert main([str(word) for word in words]) == 0
    assert np.abs(pixels(tmp_path / "a.png") - e2e_art.load(model, style=waves)(photo)).max() <= 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("infer {photo} --model {model} -o {out}", "paints in the style of any painting: add --style PAINTING"),
        ("infer {photo} --model {model} --style {photo}=x -o {out}", "written as a.jpg=0.7"),
        ("infer {photo} --model {model} --style none.jpg -o {out}", "none.jpg"),
        ("infer {photo} --model {model} --style {text} -o {out}", "words.jpg"),
        ("infer {photo} --style {photo} --model nothing -o {out}", "There is no model 'nothing'"),
        ("learn {photo} --model nothing -o {out}", "There is no model 'nothing'"),
        ("learn none.jpg --model {model} -o {out}", "none.jpg"),
        ("learn {text} --model {model} -o {out}", "words.jpg"),
        ("learn {photo} --model starry_night -o {out}", "is a model of kind 'chain', not 'anystyle'"),
        ("learn {photo} --model {model}", "-o is missing"),
        ("learn {photo} --model {model} -o {photo}", "exists"),
        ("train --any-style {paintings} --photos {photos} --out {out}", "add --student MODEL"),
        ("train --any-style {paintings} --photos {photos} --student starry_night --out {out}", "of kind 'chain'"),
        ("train --any-style {photo}.none --photos {photos} --student {student} --out {out}", "does not exist"),
    ],
)
def test_what_is_refused(model, folder, photo, tmp_path, capsys, words, says):
    save(tmp_path / "photo.png", photo)
    (tmp_path / "words.jpg").write_text("no picture")
    places = {"photo": tmp_path / "photo.png", "text": tmp_path / "words.jpg", "out": tmp_path / "m.png"}
    places |= {name: folder / name for name in ("paintings", "photos", "student")}
    code = main([word.format(model=model.folder, **places) for word in words.split()])
    assert_one_sentence(code, capsys.readouterr().err, says)
    assert not (tmp_path / "m.png").exists()


def test_damaged_models(model, waves, tmp_path):
    folder = changed_model(model.folder, tmp_path / "m", stages=[{**each, "described": 7} for each in model.stages])
    with pytest.raises(ModelError):
        e2e_art.load(folder, style=waves)(np.zeros((32, 32, 3), np.uint8))
    kept = {"hidden_weight": np.zeros((2, 2))}
    with pytest.raises(ValueError, match="no network that writes styles"):
        learned_stage(kept, [("a", 1)], np.zeros(2))
    names = json.loads(model.path(VECTORS_FILE).read_bytes())
    from e2e_art.models.weights_file import read_weights

    kept = read_weights(model.path("stage-1.safetensors").read_bytes())
    with pytest.raises(ValueError, match="other lengths"):
        learned_stage(kept, names[1][1:], np.zeros(6))


# Training


def options_of(folder, **others) -> TrainingOptions:
    given = dict(kind="anystyle", paintings=str(folder / "paintings"), photos=str(folder / "photos"))
    given |= dict(stages="tiny", steps=(6,), sizes=(32,), style_size=64, loss=CHEAP, stage_shares=(0.3, 0.7))
    return TrainingOptions(**{**given, "student": str(folder / "student"), **others})


def test_the_loss_falls_and_the_describer_stays(folder, tmp_path):
    training, losses = Training(options_of(folder, steps=(40,), learning_rates=(3e-3,)), tmp_path / "c.npz"), []
    described = []
    training.run(lambda step: (losses.append(step), described.append(training.chain.stage_weights(0))))
    last = [sum(step.losses[-1].values()) for step in losses if step.stage == 1]
    assert np.mean(last[-8:]) < 0.9 * np.mean(last[:8])
    kept = [name for name in described[0] if name.startswith("describer.")]
    assert kept and all(np.array_equal(described[0][name], described[-1][name]) for name in kept)
    assert np.abs(described[0]["describer.basis"]).max() > 0  # learned before the first step
    assert np.abs(described[-1]["vector_weight"]).max() > 0


def test_a_resumed_training_goes_on_as_if_nothing_had_happened(folder, tmp_path):
    whole = Training(options_of(folder), tmp_path / "whole.npz")
    whole.run()

    def stop(step) -> None:
        if step.total_step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Training(options_of(folder), tmp_path / "c.npz").run(stop)
    resumed = Training(options_of(folder), tmp_path / "c.npz", resume=True)
    resumed.run()
    for stage in range(2):
        one, two = (each.chain.stage_weights(stage) for each in (whole, resumed))
        assert all(np.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_a_large_style_term_counts_by_its_logarithm(folder, tmp_path):
    from e2e_art.engines.gluon import autograd, nd
    from e2e_art.training.any_style import LARGE

    task = Training(options_of(folder), tmp_path / "c.npz").task
    for value in (0.0, LARGE, 9 * LARGE):
        x = autograd.watch(array([value]))

        class Loss:
            @staticmethod
            def look(picture, content, grams):
                return {"style": nd.broadcast_mul(x, nd.ones_like(x)), "content": 0 * x}, []  # noqa: B023

        with autograd.record():
            style = task.losses(Loss, x, [([], [])])["style"]
        autograd.backward([style], [x])
        assert to_numpy(style).item() == pytest.approx(value)
        assert to_numpy(autograd.gradient(x)).item() == pytest.approx(1 / (1 + value / LARGE))


def test_it_begins_as_the_chain_that_it_starts_from(folder, tmp_path):
    start = tiny_chain(stages=2)
    training = Training(options_of(folder, start_from="x"), tmp_path / "c.npz", start_from=start)
    sample = to_vgg_space(data.astronaut()[:32, :48])
    mine, theirs = (to_numpy(pictures[-1]) for pictures in (training.task.paint(sample, 2), start(array(sample))))
    assert np.allclose(mine, theirs, atol=2e-2)


def test_paintings_with_colors_changed(folder):
    photos = Photos(folder / "paintings")
    with PaintingStream(photos, 32) as stream:
        crops = [next(stream)[0] for _ in range(60)]
    gray = [crop for crop in crops if np.ptp(crop.astype(int), axis=2).max() <= 2]
    colored = [crop for crop in crops if np.ptp(crop.astype(int), axis=2).max() > 20]
    assert gray and colored
    strongest = {int(crop.mean(axis=(0, 1)).argmax()) for crop in colored}
    assert len(strongest) > 1  # the two colored paintings have one strongest channel each


def test_train(folder, tmp_path, capsys):
    cheap = ("--style-layers", "relu1_1", "relu2_1", "--content-layer", "relu2_1", "--style-size", "64", "--size", "32")
    words = ["train", "--any-style", folder / "paintings", "--unseen-paintings", folder / "paintings"]
    words += ["--student", folder / "student", "--photos", folder / "photos", "--out", tmp_path / "any", "--steps", "3"]
    words += ["--stages", "pyramid,pyramid", "--stage-share", "0.5", "0.5", "--validate", folder / "photos" / "a"]
    words += ["--preview", folder / "photos" / "a" / "000.jpg"]
    assert main([str(word) for word in (*words, *cheap)]) == 0
    model = read_model(tmp_path / "any")
    assert model.record["paintings"] == 5 and len(model.record["validation"]) == 2
    assert {DESCRIBE_FILE, VECTORS_FILE, "sheet.jpg", "learned-model.onnx"} <= model.files.keys()


def test_without_unseen_paintings_it_is_validated_on_those_that_it_learns_from(folder, tmp_path):
    task = Training(options_of(folder), tmp_path / "c.npz").task
    photos = sorted((folder / "photos" / "a").glob("*.jpg"))[:2]
    assert [result["total"] > 0 for result in task.validate(photos, [0, 1])] == [True, True]
    assert task.record() == {"paintings": 5, "unseen_paintings": 0}
