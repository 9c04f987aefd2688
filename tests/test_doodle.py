"""Doodles: masks to learn on, the skip network, learning region by region, and painting through `infer.py`."""

import numpy as np
import pytest
from helpers import assert_one_sentence, pixels, process, save
from skimage import data

from e2e_art import load_doodle
from e2e_art.commands.main import main
from e2e_art.data.masks import LEAST, Masks, height_map, jitter_edges, make_mask
from e2e_art.engines.choice import chosen
from e2e_art.engines.gluon import array, cpu, nd, to_numpy
from e2e_art.errors import OptionError
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.images.arrays import to_vgg_space
from e2e_art.images.io import read_image
from e2e_art.images.regions import color_name, style_regions
from e2e_art.images.resize import resize_long_edge
from e2e_art.losses.options import LossOptions
from e2e_art.losses.perceptual import PerceptualLoss, total_variation
from e2e_art.losses.style_target import StyleTarget
from e2e_art.models.folder import ModelError, read_model
from e2e_art.models.kinds import DOODLE
from e2e_art.models.publish import publish
from e2e_art.networks.chain import DoodleChain
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training

pytestmark = [pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

PALETTE = np.array([[255, 0, 0], [0, 0, 255], [255, 255, 255]], np.uint8)
STAGES = [{"kind": "doodle", "regions": 3}, {"kind": "doodle", "regions": 3, "sees_picture": True}]
RECORD = {"palette": [{"color": "#" + bytes(color).hex(), "name": color_name(color)} for color in PALETTE]}


def doodle_chain(stages=STAGES[:1], seed: int = 1):
    """Returns a chain of random weights, those of the regions' own scales and shifts among them."""
    random = np.random.RandomState(seed)
    chain = DoodleChain(stages)
    chain.draw_weights(seed, [cpu()])
    for index in range(len(stages)):
        weights = chain.stage_weights(index)
        for name in weights:
            if name.endswith(("gain.weight", "shift.weight")):
                weights[name] = weights[name] + random.normal(0, 0.3, weights[name].shape).astype(np.float32)
        chain.set_stage_weights(index, weights)
    return chain


def drawing(height: int = 40, width: int = 56) -> np.ndarray:
    """Returns a doodle in all three colors."""
    doodle = np.empty((height, width, 3), np.uint8)
    doodle[:] = PALETTE[2]
    doodle[height // 2 :] = PALETTE[1]
    doodle[5:20, 8:30] = PALETTE[0]
    return doodle


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A painting and its mask."""
    folder = tmp_path_factory.mktemp("files")
    picture = data.coffee()[::4, ::4]
    mask = np.empty(picture.shape, np.uint8)
    mask[:] = PALETTE[1]
    mask[:40], mask[30:70, 40:90] = PALETTE[0], PALETTE[2]
    save(folder / "painting.png", picture)
    save(folder / "mask.png", mask)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of an untrained model of two stages."""
    folder = tmp_path_factory.mktemp("doodles") / "pond"
    publish(doodle_chain(STAGES), folder, RECORD)
    return folder


# Masks


def test_hills_are_means_of_their_neighbors_where_nothing_is_random():
    heights = height_map(5, 0.0, np.random.RandomState(3))
    corners = np.random.RandomState(3).uniform(0, 1, (3, 3))
    assert np.array_equal(heights[::2, ::2], corners)
    assert heights[1, 1] == pytest.approx(corners[:2, :2].mean())
    assert heights[0, 1] == pytest.approx((corners[0, 0] + corners[0, 1] + heights[1, 1]) / 3)  # at a border, three
    assert heights[1, 2] == pytest.approx((corners[0, 1] + corners[1, 1] + heights[1, 1] + heights[1, 3]) / 4)


def test_rougher_hills_are_rougher():
    steps = [np.abs(np.diff(height_map(129, r, np.random.RandomState(0)), axis=0)).mean() for r in (0.2, 0.5, 0.8)]
    assert steps[0] < steps[1] / 2 < steps[2] / 4


def test_every_region_of_a_mask_has_room():
    seen = set()
    for number in range(60):
        mask = make_mask(0, number, 4)
        areas = np.bincount(mask.ravel(), minlength=4) / mask.size
        assert mask.shape == (200, 200) and areas[areas > 0].min() >= LEAST
        seen.add(int((areas > 0).sum()))
    assert seen == {1, 2, 3, 4}  # people leave regions out, too


def test_all_pairs_of_regions_meet():
    meet = np.zeros((4, 4), int)
    for number in range(30):
        mask = make_mask(1, number, 4)
        np.add.at(meet, (mask[1:].ravel(), mask[:-1].ravel()), 1)
    assert meet.min() > 300


def test_masks_are_made_again_the_same():
    with pytest.raises(OptionError, match="cannot be made"):
        Masks(40)
    one, other = Masks(3, seed=5, count=3), Masks(3, seed=5, count=3)
    assert all(np.array_equal(mask, other[number]) for number, mask in enumerate(one))
    assert np.array_equal(one[4], one[1]) and not np.array_equal(one[0], one[1])
    assert not np.array_equal(Masks(3, seed=6)[0], one[0])


def test_masks_can_be_looked_at(files, tmp_path, capsys):
    target = tmp_path / "masks.png"
    assert main(["masks", "--preview", str(target), "--mask", str(files / "mask.png")]) == 0
    colors, counts = np.unique(pixels(target).reshape(-1, 3), axis=0, return_counts=True)
    assert {tuple(color) for color in colors} == {*map(tuple, PALETTE.tolist()), (40, 40, 40)}
    assert sum(counts[(colors != 40).any(axis=1)]) == 25 * 200 * 200
    for words, says in (
        (["masks", "--preview", target], "exists"),
        (["masks", "--preview", tmp_path / "a.png", "--regions", "40"], "--regions takes a whole number from 1 to 16"),
        (["masks", "--preview", tmp_path / "a.png", "--regions", "0"], "--regions takes a whole number from 1 to 16"),
        (["masks", "--preview", tmp_path / "a.png", "--regions", "3", "--mask", files / "mask.png"], "leave --regions"),
        (["masks", "--preview", tmp_path / "a.png", "--mask", files / "painting.png"], "painting.png"),
        (["masks", "--preview", tmp_path / "a.png", "--seed", "-1"], "--seed"),
    ):
        assert_one_sentence(main([str(word) for word in words]), capsys.readouterr().err, says)
    assert [path.name for path in tmp_path.iterdir()] == ["masks.png"]


def test_edges_can_be_moved_for_the_loss(files, tmp_path):
    mask = np.kron([[0, 1], [2, 0]], np.ones((64, 64), int))
    planes = (mask == np.arange(3)[:, None, None]).astype(np.float32)
    moved = jitter_edges(planes, 4, seed=1)
    assert (moved.sum(axis=0) == 1).all() and set(np.unique(moved)) == {0, 1}
    changed = (moved != planes).any(axis=0)
    assert changed[:, 56:72].mean() > 0.2 and not changed[:40, :40].any()  # near an edge, and nowhere else
    assert np.array_equal(moved, jitter_edges(planes, 4, seed=1)) and not np.array_equal(
        moved, jitter_edges(planes, 4, seed=2)
    )
    training = Training(options_of(files, edge_jitter=4.0), tmp_path / "checkpoint.npz", bfloat16=False)
    given, loss = training.task.noise(0)[0], training.task.loss.options
    judged, learned = (training.task.beside(given, loss, number)[0] for number in (None, 0))
    assert judged.shape == learned.shape and not np.array_equal(judged, learned)


# The network


def flat(region: int, noise, size: int = 64):
    given = np.concatenate([np.zeros((1, 3, size, size), np.float32), noise[:, :, :size, :size]], axis=1)
    given[:, region] = 1
    return array(given)


def test_a_flat_doodle_depends_on_its_region():
    noise = np.random.RandomState(0).uniform(-1, 1, (1, 16, 64, 64)).astype(np.float32)
    chain = doodle_chain()
    paintings = [to_numpy(chain(flat(region, noise))[0]) for region in range(3)]
    assert all(np.abs(paintings[k] - paintings[k - 1]).mean() > 1 for k in range(3))


def test_a_flat_doodle_has_no_lines_at_its_border():
    """Rows at the border are, over many seeds, as bright and as rough as those in the middle."""
    chain, rows = doodle_chain(), []
    for seed in range(24):
        noise = np.random.RandomState(seed).uniform(-1, 1, (1, 16, 64, 64)).astype(np.float32)
        rows.append(to_numpy(chain(flat(0, noise))[0])[0].mean(axis=2))  # (3, rows)
    rows = np.array(rows)
    chance = rows.std(axis=0) / np.sqrt(len(rows))
    for edge in (0, -1):
        assert (np.abs(rows[:, :, edge].mean(axis=0) - rows[:, :, 24:40].mean(axis=(0, 2))) < 5 * chance[:, edge]).all()


@pytest.mark.parametrize(("engine", "height", "width"), [("onnx", 40, 56), ("onnx", 17, 33), (chosen(), 40, 56)])
def test_paintings_have_the_size_of_their_doodles(model, engine, height, width):
    painting = load_doodle(model, engine)(drawing(height, width), seed=3)
    assert painting.shape == (height, width, 3) and painting.std() > 5


@pytest.mark.parametrize("stage", [0, 1])
def test_both_engines_paint_the_same(model, stage):
    paintings = [load_doodle(model, engine)(drawing(), 5, stage).astype(int) for engine in ("onnx", chosen())]
    assert np.abs(paintings[0] - paintings[1]).max() <= 1


def test_colors_snap_to_the_palette(model):
    painter, doodle = load_doodle(model), drawing()
    assert painter.names == ["red", "blue", "white"]
    stained = np.clip(doodle.astype(int) + np.random.RandomState(0).randint(-6, 7, doodle.shape), 0, 255)
    assert np.array_equal(painter(doodle), painter(stained.astype(np.uint8)))
    assert not np.array_equal(painter(doodle, 1), painter(doodle, 2))


# Learning


def options_of(files, **options) -> TrainingOptions:
    loss = LossOptions(content_weight=0.0, style_layers=("relu1_1", "relu2_1"))
    settings = dict(steps=(30,), sizes=(64,), style_size=96, loss=loss, regions=3, kind="doodle")
    paths = dict(styles=(str(files / "painting.png"),), style_mask=str(files / "mask.png"))
    return TrainingOptions(**{**settings, **paths, **options})


@pytest.mark.training
def test_the_style_loss_falls(files, tmp_path):
    training = Training(options_of(files, sizes=(32,)), tmp_path / "checkpoint.npz", bfloat16=False)
    assert np.array_equal(np.sort(training.task.palette, axis=0), np.sort(PALETTE, axis=0))
    before = training.task.validate((), [0])[0]
    training.run()
    after = training.task.validate((), [0])[0]
    assert after["total"] < before["total"] / 2
    assert before["content"] == after["content"] == 0


@pytest.mark.training
def test_each_region_learns_its_own_part(files, tmp_path):
    """Where the painting's regions have flat colors of their own, so have the doodle's."""
    colors = np.array([[200, 60, 40], [40, 60, 200], [220, 210, 190]], np.uint8)
    mask = pixels(files / "mask.png")
    labels = np.argmin([np.abs(mask - color.astype(int)).sum(axis=2) for color in PALETTE], axis=0)
    grain = np.random.RandomState(0).randint(-20, 20, (*labels.shape, 1))
    painted = save(tmp_path / "painting.png", np.clip(colors[labels] + grain, 0, 255).astype(np.uint8))
    options = options_of(files, styles=(str(painted),), steps=(60,), sizes=(32,), learning_rates=(1e-2,))
    training = Training(options, tmp_path / "checkpoint.npz", bfloat16=False)
    training.run()
    order = [int(np.abs(training.task.palette.astype(int) - color).sum(axis=1).argmin()) for color in PALETTE]
    given = training.task.noise(1)
    picture = to_numpy(training.task.paint(given, 1)[0])[0] + np.array([[[123.68]], [[116.78]], [[103.94]]])
    means = [picture[:, given[0, place] > 0].mean(axis=1) for place in order if given[0, place].any()]
    wanted = [color for color, place in zip(colors, order) if given[0, place].any()]
    assert len(means) >= 2
    for mean, want in zip(means, wanted):
        distances = [np.linalg.norm(mean - other) for other in wanted]
        assert np.linalg.norm(mean - want) == min(distances)


@pytest.mark.training
def test_a_missing_region_does_not_count(files, tmp_path):
    training = Training(options_of(files), tmp_path / "checkpoint.npz", bfloat16=False)
    given = training.task.noise(0)
    given[:, :3], given[:, 1] = 0, 1  # region 1 alone
    picture = array(np.random.RandomState(0).normal(0, 40, (1, 3, *given.shape[2:])))
    loss = training.task.loss
    beside = [array(layer[np.newaxis]) for layer in training.task.beside(given[0], loss.options)]
    features = training.task.features(loss, array(given), beside)
    style = to_numpy(training.task.losses(loss, picture, features)["style"]).item()
    target = training.task.target(loss.options)
    alone = StyleTarget({layer: gram[1:2] for layer, gram in target.grams.items()})
    assert style == pytest.approx(
        to_numpy(PerceptualLoss(loss.options, alone, bfloat16=False)(picture, [])["style"]).item(), rel=1e-4
    )


def test_targets_of_regions_survive_the_file():
    random = np.random.RandomState(0)
    maps = {"relu1_2": random.normal(size=(3, 8, 20)), "relu3_1": random.normal(size=(3, 5, 20))}
    grams = {layer: x @ x.transpose(0, 2, 1) for layer, x in maps.items()}
    again = StyleTarget.load(StyleTarget(grams).save()).grams
    assert list(again) == list(grams)
    for layer, gram in grams.items():
        assert again[layer].shape == gram.shape
        assert np.allclose(again[layer], gram, atol=np.abs(gram).max() / 1000)


@pytest.mark.training
def test_the_painting_itself_is_the_best_of_its_doodles(files, tmp_path):
    """Judged by its own regions it is perfect, up to how the file keeps them; by those of others it is not."""
    options = options_of(files, style_size=128, loss=LossOptions(content_weight=0.0))
    task = Training(options, tmp_path / "checkpoint.npz").task
    style = task.target(task.loss.options).save()
    evaluator = Evaluator(publish(doodle_chain(), tmp_path / "pond", RECORD, {"style.npz": style}))
    painting = resize_long_edge(read_image(files / "painting.png"), 128)
    palette, regions = style_regions(painting, read_image(files / "mask.png"), "mask.png")
    tv = to_numpy(total_variation(nd, array(to_vgg_space(painting)))).item() * evaluator.options.tv_weight
    assert evaluator.total(painting, regions) == pytest.approx(tv, abs=0.01)
    assert evaluator.total(painting, regions[[1, 2, 0]]) > 1
    assert evaluator.total(painting[:, ::-1].copy(), regions) > 0.5
    with pytest.raises(ModelError):
        Evaluator(publish(doodle_chain(), tmp_path / "plain", RECORD))


@pytest.mark.training
def test_train_and_paint_as_the_readme_shows(files, tmp_path, capsys):
    out = tmp_path / "cup"
    course = ["--steps", 4, "--size", 32, "--style-size", 64, "--style-layers", "relu1_1", "--checkpoint-every", 2]
    subject = ["--doodle", files / "painting.png", "--mask", files / "mask.png"]
    assert main([str(word) for word in ("train", *subject, "--out", out, "--no-bfloat16", *course)]) == 0
    assert f"infer DOODLE --model {out}" in capsys.readouterr().out
    palette = read_model(out, DOODLE).record["palette"]
    assert sorted(each["name"] for each in palette) == ["blue", "red", "white"]
    doodle, target = save(tmp_path / "doodle.png", drawing()), tmp_path / "made.png"
    done = process("infer.py", doodle, "--model", out, "-o", target, "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert pixels(target).shape == (40, 56, 3)
    assert main(["infer", str(doodle), "--model", str(out), "-o", str(target), "--seed", "1", "2", "--size", "28"]) == 0
    assert pixels(tmp_path / "made_seed-2.png").shape == (20, 28, 3)


def test_what_doodles_refuse(model, files, tmp_path, capsys):
    green = save(tmp_path / "in" / "green.png", np.full((20, 20, 3), (0, 255, 0), np.uint8))
    doodle = save(tmp_path / "in" / "doodle.png", drawing())
    single = save(tmp_path / "in" / "single.png", np.full((100, 150, 3), 255, np.uint8))
    tall = save(tmp_path / "in" / "tall.png", np.full((100, 50, 3), 255, np.uint8))
    text = tmp_path / "in" / "text.png"
    text.write_text("no picture")
    out = tmp_path / "out"
    learn = ["train", "--doodle", files / "painting.png", "--out", out]
    paint = ["infer", "--model", model, "-o", out.with_suffix(".png")]
    for words, says in (
        ([*learn], "--doodle paints by regions: add --mask MASK"),
        ([*learn, "--mask", single], "single color"),
        ([*learn, "--mask", tall], "its painting"),
        ([*learn, "--mask", text], "text.png"),
        ([*learn, "--mask", files / "painting.png"], "painting.png"),  # of a thousand colors
        ([*learn, "--mask", files / "mask.png", "--stages", "texture"], "make no doodle"),
        ([*learn, "--mask", files / "mask.png", "--validate", "."], "--validate goes with --style"),
        ([*paint, green], "#ff0000 red, #0000ff blue, #ffffff white"),
        ([*paint, doodle, doodle], "One doodle at a time"),
        ([*paint, doodle, "--seed", "-1"], "--seed takes a whole number from 0"),
        ([*paint, doodle, "--seed", "1", "1"], "given twice"),
        ([*paint, doodle, "--stage", "7"], "stages 0 to 1"),
        ([*paint, doodle, "--size", "wide"], "--size takes"),
        ([*paint, text], "text.png"),
        (["infer", "--texture", model, "-o", out.with_suffix(".png")], "not 'texture'"),
    ):
        assert_one_sentence(main([str(word) for word in words]), capsys.readouterr().err, says)
        assert {path.name for path in tmp_path.iterdir()} == {"in"}
