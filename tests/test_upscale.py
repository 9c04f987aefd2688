"""Upscalers at work: by hand, by every engine, in tiles, at every strength; and those of strangers."""

import itertools
import re
import shutil

import numpy as np
import onnx
import pytest
from helpers import edit_description, forge, tiny_upscaler
from PIL import Image
from skimage import data

from e2e_art import load, load_upscaler, read_picture, write_image
from e2e_art.engines.choice import chosen
from e2e_art.errors import ImageError, ModelError, OptionError, UserError
from e2e_art.models.folder import read_model
from e2e_art.models.weights_file import read_weights, write_weights
from e2e_art.networks.inputs import reflect
from e2e_art.painting import upscale as module
from e2e_art.painting.enlarge import Enlarger, EnlargingPainter, find_upscalers
from e2e_art.painting.upscale import UpscalePainter

pytestmark = pytest.mark.numerical


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_upscaler(tmp_path_factory.mktemp("upscalers") / "tiny_x4")


@pytest.fixture
def copied(tmp_path, model):
    return shutil.copytree(model, tmp_path / model.name)


@pytest.fixture(params=["onnx", "gluon"])
def engine(request):
    return "onnx" if request.param == "onnx" else chosen()


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other).max()


def weights_of(model, stage: int) -> dict[str, np.ndarray]:
    return read_weights((model / f"stage-{stage}.safetensors").read_bytes())


# What they make


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_an_upscaler_that_has_learned_nothing_is_bicubic(tmp_path, photo, factor, engine):
    from e2e_art.engines.gluon import cpu
    from e2e_art.models.publish import publish
    from e2e_art.networks.chain import UpscaleChain

    chain = UpscaleChain([{"kind": "compact", "factor": factor, "channels": 8, "depth": 1}] * 2)
    chain.draw_weights(1, [cpu()])
    painter = load_upscaler(publish(chain, tmp_path / "new", {}), engine)
    assert painter.factor == factor
    wide = np.pad(photo, [(8, 8), (8, 8), (0, 0)], "reflect")
    size = [factor * side for side in wide.shape[1::-1]]
    by_pillow = np.asarray(Image.fromarray(wide).resize(size, Image.Resampling.BICUBIC))
    assert difference(painter(photo), by_pillow[8 * factor : -8 * factor, 8 * factor : -8 * factor]) <= 1


@pytest.mark.parametrize("strength", [0, 0.3, 1, 1.7, 2])
def test_engines_make_the_same_picture(model, photo, strength):
    pictures = [load_upscaler(model, each)(photo, strength) for each in ("onnx", chosen())]
    assert pictures[0].shape == (4 * 97, 4 * 131, 3)
    assert difference(*pictures) <= 1


def test_a_strength_mixes_the_weights_of_two_stages(tmp_path, model, photo, engine):
    halves = [weights_of(model, stage) for stage in (0, 1)]
    mean = {key: (np.float32(0.5) * halves[0][key] + np.float32(0.5) * halves[1][key]) for key in halves[0]}
    mixed = write_weights({key: weight.astype(np.float16) for key, weight in mean.items()})
    by_hand = shutil.copytree(model, tmp_path / "mixed")
    forge(by_hand, **{"stage-0_safetensors": mixed})
    painter, expected = load_upscaler(model, engine), load_upscaler(by_hand, chosen())(photo, 0)
    assert difference(painter(photo), expected) <= 1
    ends = painter(photo, 0), painter(photo, 2)
    assert difference(*ends) > 10
    assert difference(ends[0], painter(photo, 1)) > 5
    assert np.array_equal(painter(photo, 0), ends[0])  # again, after another strength


def test_strengths_move_evenly_through_three_stages(tmp_path, photo, engine):
    folder = tiny_upscaler(tmp_path / "three", factor=2, stages=3)
    middle = shutil.copytree(folder, tmp_path / "middle")
    forge(middle, **{"stage-0_safetensors": (folder / "stage-1.safetensors").read_bytes()})
    picture = load_upscaler(folder, engine)(photo, 1)
    assert difference(picture, load_upscaler(middle, chosen())(photo, 0)) <= 1
    assert difference(picture, load_upscaler(folder, engine)(photo, 1.5)) > 5


def test_graphs_find_each_weight_at_its_own_place(model):
    """A file of mixed weights takes the place of a stage's, whose biases here are all alike."""
    graph = onnx.load(model / "stage-0.onnx", load_external_data=False).graph
    kept = [{entry.key: entry.value for entry in tensor.external_data} for tensor in graph.initializer]
    found = [int(entries["offset"]) for entries in kept if entries]
    assert len(found) == len(set(found)) == len(weights_of(model, 0))


def test_one_stage_knows_no_strength(tmp_path, photo, engine):
    painter = load_upscaler(tiny_upscaler(tmp_path / "single", stages=1), engine)
    assert np.array_equal(painter(photo, 0), painter(photo, 2))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2), (40, 41)])
def test_any_size(model, photo, size, engine):
    picture = photo[reflect(97, 0, 0)[: size[0]]][:, : size[1]]
    assert load_upscaler(model, engine)(picture).shape == (4 * size[0], 4 * size[1], 3)


def test_a_gray_photo_stays_gray(model, photo, engine):
    gray = np.repeat(photo[..., :1], 3, axis=2)
    painter = load_upscaler(model, engine)
    large, tiled = painter(gray), painter(gray, tile=64)
    assert (large == large[..., :1]).all() and difference(large, tiled) <= 1
    assert large.std() > 5
    nearly = gray.copy()
    nearly[0, 0, 2] ^= 1
    assert (painter(nearly) != painter(nearly)[..., :1]).any()  # the network by itself makes colors of gray


# In tiles


@pytest.mark.parametrize("tile", [1, 64, 100])
def test_tiles_are_the_whole_picture(model, photo, tile, engine):
    painter, calls = load_upscaler(model, engine), []
    tiled = painter(photo, 0.4, tile=tile, on_tile=lambda *done: calls.append(done))
    assert difference(tiled, painter(photo, 0.4, tile=0)) <= 1
    edge = max(tile, painter.model.reach)  # of a pixel each they would never end
    count = -(-97 // edge) * -(-131 // edge)
    assert calls == [(done, count) for done in range(1, count + 1)]


@pytest.mark.parametrize(
    ("form", "factor"),
    [
        ({"kind": "compact", "channels": 8, "depth": 8}, 4),
        ({"kind": "compact", "channels": 8, "depth": 16}, 2),
        ({"kind": "johnson-upscaler", "channels": 8, "blocks": 4}, 4),
        ({"kind": "johnson-upscaler", "channels": 8, "blocks": 16}, 2),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else str(value),
)
def test_tiles_overlap_by_as_much_as_any_upscaler_sees(tmp_path, photo, form, factor):
    model = tiny_upscaler(tmp_path / "model", factor=factor, **form)
    whole = load_upscaler(model)(photo, 0.5, tile=0)
    assert np.ptp(whole) > 30
    assert difference(load_upscaler(model, chosen())(photo, 0.5), whole) <= 1
    assert difference(load_upscaler(model)(photo, 0.5, tile=48), whole) <= 1


def test_tiles_come_by_themselves_where_memory_is_short(model, photo, monkeypatch):
    painter, calls = load_upscaler(model), []
    whole = painter(photo, on_tile=lambda *done: calls.append(done))
    assert not calls
    monkeypatch.setattr(module, "TILE", 50)
    monkeypatch.setattr(module, "free_memory", lambda: painter.held / 2)
    assert difference(painter(photo, on_tile=lambda *done: calls.append(done)), whole) <= 1
    assert calls[-1] == (6, 6)


def test_a_picture_too_large_for_memory(model, monkeypatch):
    from e2e_art import machine

    painter = load_upscaler(model)
    monkeypatch.setattr(machine, "free_memory", lambda: 1_000_000_000)
    large = np.broadcast_to(np.uint8(7), (8000, 9000, 3))
    with pytest.raises(
        UserError, match=r"^9000x8000 pixels, enlarged to 36000x32000, take .* free: tiles \(--tile 384\) would"
    ):
        painter(large, tile=0)
    with pytest.raises(UserError, match=r"^9000x8000 pixels, .* GB are free: a picture of \d+x\d+ would fit$"):
        painter(large, tile=256)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strength": 2.1}, "strength takes a number from 0 to 2, not 2.1"),
        ({"strength": float("nan")}, "strength takes a number from 0 to 2, not nan"),
        ({"strength": "x"}, "strength takes a number from 0 to 2, not 'x'"),
        ({"strength": None}, "strength takes a number from 0 to 2, not None"),
        ({"tile": -1}, "tile takes a whole number of 0 or more, not -1"),
        ({"tile": "x"}, "tile takes a whole number of 0 or more, not 'x'"),
        ({"tile": 64.0}, "tile takes a whole number of 0 or more, not 64.0"),
        (
            {"image": np.zeros((4, 4), np.uint8)},
            r"A picture is uint8 \(H, W, 3\), not uint8 \(4, 4\): use read_picture",
        ),
        ({"image": np.zeros((4, 4, 4), np.uint8)}, r"not uint8 \(4, 4, 4\): use read_picture, and with_opacity"),
        ({"image": np.zeros((4, 4, 3))}, r"not float64 \(4, 4, 3\)"),
        ({"image": "photo.jpg"}, "not str: use read_picture"),
    ],
)
def test_options_that_make_no_sense(model, photo, options, says):
    with pytest.raises(OptionError, match=says):
        load_upscaler(model)(**{"image": photo, **options})
    with pytest.raises(OptionError, match=says):
        load_upscaler(model).with_opacity(**{"image": photo, "opacity": None, **options})


@pytest.mark.parametrize("opacity", ["x", np.zeros((4, 5), np.uint8), np.ones((97, 131))])
def test_an_opacity_of_another_picture(model, photo, opacity):
    with pytest.raises(
        ImageError, match=r"An opacity is uint8 \(97, 131\) for such a picture, not .*: use read_picture"
    ):
        load_upscaler(model).with_opacity(photo, opacity)


def test_a_picture_and_its_opacity_in_python(tmp_path, model, photo, engine):
    """The picture that one program reads is the one that another enlarges, as `infer --upscale` does."""
    opacity = np.clip(4 * photo[..., 0].astype(int) - 200, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([photo, opacity])).save(tmp_path / "cut.png")
    upscaler, picture = load_upscaler(model, engine), read_picture(tmp_path / "cut.png")
    large, levels = upscaler.with_opacity(picture.pixels, picture.opacity, strength=0.5)
    assert (large.shape, levels.shape) == ((388, 524, 3), (388, 524))
    write_image(tmp_path / "large.png", large, opacity=levels)
    again = read_picture(tmp_path / "large.png")
    assert np.array_equal(again.opacity, levels)
    assert difference(again.pixels, large) <= 1
    assert difference(large, Enlarger([model]).with_opacity(picture.pixels, picture.opacity, 0.5)[0]) <= 1
    plain, none = upscaler.with_opacity(photo, None)
    assert none is None and np.array_equal(plain, upscaler(photo))


def test_opacity_stays_between_that_of_the_neighbors(model, photo, engine):
    """Far from any edge what is clear stays clear, and what is full stays full, whatever the network makes of edges."""
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    opacity = np.where(np.hypot(rows - 48, columns - 65) < 30, 255, 0).astype(np.uint8)
    inside, around = (opacity.copy() for _ in range(2))
    for down, across in itertools.product((-1, 0, 1), repeat=2):
        shifted = np.roll(opacity, (down, across), (0, 1))
        inside, around = np.minimum(inside, shifted), np.maximum(around, shifted)
    _, levels = load_upscaler(model, engine).with_opacity(photo, opacity, strength=0.5)
    large_inside, large_around = (np.kron(each, np.ones((4, 4), np.uint8)) for each in (inside, around))
    assert (levels[large_inside == 255] == 255).all() and (levels[large_around == 0] == 0).all()
    assert len(np.unique(levels)) > 2  # the edge itself is smooth


# On disk


def test_a_folder_holds_half_precision_and_a_graph_a_stage(model):
    names = {"model.onnx", "stage-0.onnx", "stage-0.safetensors", "stage-1.safetensors"}
    assert read_model(model).files.keys() == names
    assert {weight.dtype for stage in (0, 1) for weight in weights_of(model, stage).values()} == {np.dtype(np.float16)}
    assert repr(read_model(model)) == f"<Model tiny_x4: upscaler, 2 stages, in {model}>"


def test_what_is_published_is_loaded_again(tmp_path, model):
    from e2e_art.models.publish import load_chain, publish

    chain = load_chain(read_model(model))
    again = publish(chain, tmp_path / model.name, read_model(model).record)
    assert again.files == read_model(model).files


def test_a_chain_is_no_upscaler_and_an_upscaler_no_chain(model, published):
    with pytest.raises(ModelError, match=r"is a model of kind 'chain', not 'upscaler': use it as e2e-art infer PHOTO"):
        load_upscaler(published)
    with pytest.raises(ModelError, match=r"is a model of kind 'upscaler', not 'chain': use it as .* PHOTO --upscale"):
        load(model)


# Of strangers


def test_stages_of_other_forms_do_not_mix(copied, photo, engine):
    weights = weights_of(copied, 1)
    name = next(iter(weights))
    forge(copied, **{"stage-1_safetensors": write_weights({**weights, name: weights[name][:1]})})
    with pytest.raises(ModelError, match=r"is no upscaler .*not of one form|is of another model"):
        load_upscaler(copied, engine)(photo)


def test_a_description_with_stages_of_two_forms_is_refused(copied):
    first, second = read_model(copied).stages
    edit_description(copied, stages=[first, {**second, "factor": 2}])
    with pytest.raises(ModelError, match="describes no model .*its stages are not of one form"):
        load_upscaler(copied)


def test_a_description_with_a_normalization_that_the_network_has_not_is_refused(copied):
    edit_description(copied, stages=[{**stage, "norm": "batch"} for stage in read_model(copied).stages])
    with pytest.raises(ModelError, match=r"describes no model .*norm"):
        load_upscaler(copied)


def test_weights_that_are_none(copied, photo):
    forge(copied, **{"stage-1_safetensors": b"no weights at all"})
    with pytest.raises(ModelError, match=r"stage-1.safetensors holds no weights"):
        load_upscaler(copied, "onnx")(photo)


def test_weights_that_do_not_fit_their_graph(tmp_path, copied, photo):
    other = tiny_upscaler(tmp_path / "x2", factor=2)
    forge(
        copied,
        **{f"stage-{stage}_safetensors": (other / f"stage-{stage}.safetensors").read_bytes() for stage in (0, 1)},
    )
    with pytest.raises(UserError, match=r"stage-0.onnx (cannot be loaded|could not paint|gives)"):
        load_upscaler(copied, "onnx")(photo)


@pytest.mark.parametrize("strength", [0, 1])
def test_graphs_of_other_models(tmp_path, copied, photo, published, strength):
    other = tiny_upscaler(tmp_path / "x2", factor=2)
    files = {"stage-0_onnx": "stage-0.onnx", "stage-0_safetensors": "stage-0.safetensors"}
    files["stage-1_safetensors"] = "stage-1.safetensors"
    forge(copied, **{key: (other / name).read_bytes() for key, name in files.items()})
    with pytest.raises(ModelError, match=r"stage-0.onnx gives no pictures of 524x388 pixels"):
        load_upscaler(copied, "onnx")(photo, strength)
    forge(copied, **{"stage-0_onnx": (published / "stage-0.onnx").read_bytes()})
    with pytest.raises(UserError, match=r"stage-0.onnx (cannot be loaded|is not the graph)"):
        load_upscaler(copied, "onnx")(photo, strength)


# One after another, and after a painting


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder in which upscalers are found as shipped ones are; returns what puts some there."""
    from e2e_art.models import folder
    from e2e_art.painting import enlarge

    for each in (folder, enlarge):
        monkeypatch.setattr(each, "pretrained_folder", lambda: tmp_path / "pretrained")

    def put(*names: str) -> None:
        for name in names:
            tiny_upscaler(tmp_path / "pretrained" / "upscalers" / name, factor=int(name[-1]))

    return put


def test_upscalers_are_found_by_factor(shipped):
    assert find_upscalers(4) == ["photo_x4"]  # which is then said to be missing
    shipped("photo_x2", "photo_x4", "painted_x2")
    assert find_upscalers(8) == ["photo_x4", "photo_x2"]
    assert find_upscalers(2, ("painted", "photo")) == ["painted_x2"]
    assert find_upscalers(4, ("painted", "photo")) == ["photo_x4"]
    assert find_upscalers(8, ("painted", "photo")) == ["photo_x4", "painted_x2"]
    shipped("photo_x8")
    assert find_upscalers(8) == ["photo_x8"]


def test_two_upscalers_in_turn(shipped, photo):
    shipped("photo_x2", "photo_x4")
    enlarger = Enlarger(find_upscalers(8))
    assert enlarger.factor == 8
    assert [model.name for model in enlarger.models] == ["photo_x4", "photo_x2"]
    small = photo[:20, :30]
    by_hand = load_upscaler("photo_x2")(load_upscaler("photo_x4")(small, 0.5), 0.5)
    assert np.array_equal(enlarger(small, 0.5), by_hand)


def test_opacity_stays_clear_and_full_where_it_is(model):
    y, x = np.mgrid[:40, :50]
    opacity = np.where((x - 25) ** 2 + (y - 20) ** 2 < 200, 255, 0).astype(np.uint8)
    _, large = load_upscaler(model).with_opacity(np.zeros((40, 50, 3), np.uint8), opacity)
    assert large.shape == (160, 200)
    assert large[80, 100] == 255 and large[0, 0] == 0
    flat = np.full((9, 8), 255, np.uint8)
    _, large = Enlarger([model]).with_opacity(np.zeros((9, 8, 3), np.uint8), flat)
    assert np.array_equal(large, np.full((36, 32), 255))


@pytest.mark.parametrize(
    ("size", "factor"), [(120, 2), (140, 2), (63, 4), (60, 4), (30, 8), (12, 8), (260, 1), (0, 1), (None, 1)]
)
def test_a_painting_reaches_the_size_of_its_photo(shipped, published, size, factor):
    shipped("photo_x2", "photo_x4")
    photo = data.astronaut()[:199, :256]
    painter = EnlargingPainter(published, None)
    assert painter.output_size(199, 256, size) == (199, 256)
    assert int(np.prod([model.factor for model in painter.models])) == factor
    assert painter(photo, size=size).shape == photo.shape


def test_a_painting_grows_by_a_factor(shipped, published, photo, model):
    shipped("photo_x2", "painted_x2")
    painting = load(published)(photo, size=50, as_painted=True)
    painter = EnlargingPainter(published, 2)
    assert [each.name for each in painter.models] == ["small_model", "painted_x2"]
    assert np.array_equal(painter(photo, size=50), load_upscaler("painted_x2")(painting))
    assert painter.output_size(97, 131, 50) == painter(photo, size=50).shape[:2] == (74, 100)
    stages = EnlargingPainter(published, model).stages(photo, size=50, keep_colors=True)
    assert [picture.shape for picture in stages] == [(148, 200, 3)] * 2
    with pytest.raises(OptionError, match="choose one"):
        painter(photo, guided=True)


def test_what_does_not_fit_is_said_before_it_is_painted(shipped, published, photo, monkeypatch):
    from e2e_art import machine

    shipped("photo_x2", "photo_x4")
    painter, enlarger = EnlargingPainter(published, 8), Enlarger(find_upscalers(8))

    def paint(*arguments):
        raise AssertionError("It paints before it knows that there is no memory to enlarge it")

    monkeypatch.setattr(type(painter), "run", paint)
    monkeypatch.setattr(UpscalePainter, "run", paint)
    monkeypatch.setattr(machine, "free_memory", lambda: 2_000_000_000)
    with pytest.raises(UserError, match="GB are free: --size [0-9]+ would fit"):
        painter(np.zeros((4000, 5000, 3), np.uint8), size=0)
    for side in (4000, 2000):  # too large for the first, and for the second alone
        with pytest.raises(UserError) as error:
            enlarger(np.zeros((side, 5000, 3), np.uint8), tile=64)
        asked = rf"^5000x{side} pixels, enlarged to 40000x{8 * side}, take .* free: a picture of (\d+)x(\d+) would fit$"
        width, height = map(int, re.match(asked, str(error.value)).groups())
        enlarger.check_size(height, width, 64)


def test_memory_that_ends_at_work_is_said_of_the_size_asked_for(shipped, photo, monkeypatch, engine):
    shipped("photo_x2", "photo_x4")
    enlarger = Enlarger(find_upscalers(8), engine)

    def fail(*arguments):
        raise MemoryError("photo_x2 takes more memory than there is")

    monkeypatch.setattr(enlarger._painters[1].engine, "run", fail)
    for tile in (0, 64):
        with pytest.raises(UserError, match="^photo_x2 takes more memory than there is, for 240x160 pixels: give a sm"):
            enlarger(photo[:20, :30], tile=tile)


def test_every_stage_that_is_enlarged_counts(shipped, published, photo, monkeypatch):
    from e2e_art import machine

    shipped("photo_x2")
    painter = EnlargingPainter(published, 2)
    one, two = 3 * (1 + 4), 3 * (1 + 2 * 4)  # bytes a pixel: of the small picture, and of the large ones
    need = painter._enlarger(2)._painters[0].need
    free = need.at(97, 131) + (one + two) / 2 * photo[..., 0].size
    monkeypatch.setattr(machine, "free_memory", lambda: int(free))
    with pytest.raises(UserError, match="131x97 pixels, enlarged to 262x194, take .* would fit"):
        painter.stages(photo)
    assert painter(photo).shape == (194, 262, 3)


def test_a_class_for_each_name():
    assert load_upscaler.__annotations__["return"] == UpscalePainter.__name__
