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
