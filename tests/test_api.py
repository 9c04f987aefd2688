"""The public API: its signatures, its errors, and how long it takes to import."""

import inspect

import numpy as np
import pytest

import e2e_art
from e2e_art.images import io
from e2e_art.models import folder
from e2e_art.painting.noise import DoodlePainter, TexturePainter
from e2e_art.painting.photo import Painter
from e2e_art.painting.upscale import UpscalePainter

FUNCTIONS = {
    "list_models": folder.list_models,
    "load": Painter,
    "load_doodle": DoodlePainter,
    "load_texture": TexturePainter,
    "load_upscaler": UpscalePainter,
    "read_image": io.read_image,
    "read_picture": io.read_picture,
    "write_image": io.write_image,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_have_the_signatures_of_what_they_call(name):
    public, implementation = getattr(e2e_art, name), FUNCTIONS[name]
    arguments = inspect.signature(implementation).parameters
    assert list(inspect.signature(public).parameters.values()) == list(arguments.values())
    assert public.__module__ == "e2e_art"
    assert public.__doc__.splitlines()[0].endswith((".", ":"))


def test_everything_public_is_there_and_explained():
    classes = {"ImageError", "ModelError", "OptionError", "UserError"}
    assert set(e2e_art.__all__) == {*FUNCTIONS, *classes, "__version__"}
    assert all(
        issubclass(getattr(e2e_art, name), e2e_art.UserError) and getattr(e2e_art, name).__doc__ for name in classes
    )


def test_the_package_is_imported_in_no_time(fresh_python):
    code = "import sys; from e2e_art import *; print(load.__name__, UserError.__name__, *sys.modules)"
    load, error, *modules = fresh_python(code).stdout.split()
    assert (load, error) == ("load", "UserError")
    assert not {"numpy", "cv2", "PIL", "mxnet", "onnxruntime", "onnx", "skimage"} & set(modules)


def test_models_are_listed_and_read_once(published, monkeypatch):
    (model,) = e2e_art.list_models(published.parent)
    assert (model.name, model.title, model.kind.name, len(model.stages)) == ("small_model", "Small Model", "chain", 2)
    assert repr(model) == f"<Model small_model: chain, 2 stages, in {published}>"
    monkeypatch.setattr(folder, "find_model", None)  # not called any more
    picture = np.full((20, 30, 3), 99, np.uint8)
    assert e2e_art.load(model)(picture).shape == (20, 30, 3)
    with pytest.raises(e2e_art.ModelError, match="is a model of kind 'chain', not 'texture'"):
        e2e_art.load_texture(model)


@pytest.mark.parametrize(
    ("function", "model", "text"),
    [
        ("load", "starry_night", "<Painter starry_night: chain, 4 stages, by onnx>"),
        ("load_texture", "brick", "<TexturePainter brick: texture, 1 stage, by onnx>"),
        ("load_doodle", "monet", "<DoodlePainter monet: doodle, 1 stage, by onnx>"),
        ("load_upscaler", "photo_x4", "<UpscalePainter photo_x4: upscaler, 3 stages, by onnx>"),
    ],
)
def test_what_is_loaded_says_what_it_is(function, model, text):
    assert repr(getattr(e2e_art, function)(model, "onnx")) == text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strength": "x"}, "strength takes a number from 0 to 2, not 'x'"),
        ({"size": "x"}, "size takes a whole number of 0 or more, not 'x'"),
        ({"size": (480, 320)}, r"size takes a whole number of 0 or more, not \(480, 320\)"),
        ({"tile": 64.5}, "tile takes a whole number of 0 or more, not 64.5"),
        ({"denoise": "x"}, "denoise takes a number of 0 or more, not 'x'"),
        ({"stage": "last"}, "small_model has stages 0 to 1, not last: choose one of them"),
        ({"stage": 1.0}, "small_model has stages 0 to 1, not 1.0: choose one of them"),
        ({"photo": "photo.jpg"}, r"A photo is uint8 \(H, W, 3\), not str: use read_image"),
        ({"photo": np.zeros((4, 5, 4), np.uint8)}, r"not uint8 \(4, 5, 4\): use read_image"),
    ],
)
def test_options_of_other_types_are_refused(published, photo, options, says):
    painter = e2e_art.load(published)
    with pytest.raises(e2e_art.OptionError, match=says):
        painter(**{"photo": photo, **options})
    small = photo[:9, :9]
    numbers = {"strength": np.float32(1), "size": np.int64(9), "tile": np.uint8(0), "stage": np.int32(1)}
    assert np.array_equal(painter(small, **numbers), painter(small))


def test_options_of_noise_and_devices_of_other_types_are_refused():
    texture, doodle = e2e_art.load_texture("brick"), e2e_art.load_doodle("monet")
    for call, says in (
        (lambda: texture("x", 64), "height takes a whole number of 1 or more, not 'x'"),
        (lambda: texture(64, 0), "width takes a whole number of 1 or more, not 0"),
        (lambda: texture(64, 64, seed="x"), "seed takes a whole number from 0 to 4294967295, not 'x'"),
        (lambda: doodle(np.full((9, 9, 3), 255, np.uint8), seed=1.5), "seed takes a whole number from 0 to 42949"),
        (lambda: doodle("doodle.png"), r"A doodle is uint8 \(H, W, 3\), not str: use read_image"),
        (lambda: e2e_art.load("starry_night", threads="x"), "threads takes a whole number of 1 or more, not 'x'"),
        (lambda: e2e_art.load("starry_night", threads=0), "threads takes a whole number of 1 or more, not 0"),
    ):
        with pytest.raises(e2e_art.OptionError, match=says):
            call()


@pytest.mark.parametrize("name", ["load", "load_texture", "load_doodle"])
def test_an_unknown_engine_is_refused_alike(name, published):
    for model in (published, "network.onnx", "no such model"):
        with pytest.raises(e2e_art.OptionError, match="^unknown engine 'caffe': choose auto, onnx, mxnet or torch$"):
            getattr(e2e_art, name)(model, "caffe")


def test_pictures_are_written_and_read(tmp_path):
    picture = np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype(np.uint8)
    e2e_art.write_image(tmp_path / "new" / "picture.png", picture)
    assert np.array_equal(e2e_art.read_image(tmp_path / "new" / "picture.png"), picture)
    with pytest.raises(e2e_art.ImageError, match="exists already"):
        e2e_art.write_image(tmp_path / "new" / "picture.png", picture)
