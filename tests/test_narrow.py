"""Narrow paintings, masks and photos: a hand scroll is a style as any other, and what is too small says so."""

import logging

import numpy as np
import pytest
from helpers import assert_one_sentence, photo_folder, pixels, save
from skimage import data

from e2e_art.commands.main import main
from e2e_art.errors import OptionError
from e2e_art.images.regions import style_regions
from e2e_art.losses.options import LossOptions
from e2e_art.losses.style_target import painting_at, smallest_side

pytestmark = pytest.mark.training

SCROLL = np.ascontiguousarray(np.tile(data.immunohistochemistry()[:60, :400], (1, 6, 1)))  # 2400x60
TRAIN = ["--steps", 2, "--size", 32, "--no-bfloat16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A hand scroll, a strip of one row and one of one column, their mask, and photos, some of them as narrow."""
    folder = tmp_path_factory.mktemp("narrow")
    save(folder / "scroll.png", SCROLL)
    save(folder / "row.png", SCROLL[:1, :300])
    save(folder / "column.png", SCROLL[:1, :300].transpose(1, 0, 2))
    mask = np.zeros_like(SCROLL)
    mask[:, 1200:] = 255
    save(folder / "mask.png", mask)
    photo_folder(folder / "photos", 2)
    save(folder / "photos" / "row.png", SCROLL[:1])
    return folder


def run(*words) -> int:
    return main([str(word) for word in words])


@pytest.mark.parametrize(
    ("shape", "edge", "taken"),
    [
        ((60, 2400), 400, (16, 640)),  # 10 rows are too few for relu5_1
        ((2400, 60), 400, (640, 16)),
        ((1, 300), 400, (16, 4800)),
        ((1, 1), 400, (400, 400)),
        ((90, 120), 8, (16, 21)),
        ((90, 120), 64, (48, 64)),
        ((60, 2400), 2400, (60, 2400)),
    ],
)
def test_a_painting_is_as_large_as_the_loss_needs(shape, edge, taken, caplog):
    caplog.set_level(logging.INFO)
    painting = np.zeros((*shape, 3), np.uint8)
    assert painting_at(painting, edge, LossOptions()).shape[:2] == taken
    assert not caplog.text
    painting_at(painting, edge, LossOptions(), "scroll.png")
    assert ("scroll.png is taken at" in caplog.text) == (min(taken) == 16)


def test_patches_need_more():
    assert smallest_side(LossOptions()) == 16
    assert smallest_side(LossOptions(patch_weight=1.0)) == 24  # 3 features of relu4_1, each 8 pixels apart
    assert painting_at(SCROLL, 400, LossOptions(patch_weight=1.0)).shape == (24, 960, 3)


@pytest.mark.usefixtures("brief_trainings")
@pytest.mark.parametrize("name", ["scroll", "row", "column"])
def test_chains_learn_narrow_paintings(folder, tmp_path, caplog, name):
    caplog.set_level(logging.INFO)
    style, out = folder / f"{name}.png", tmp_path / "out"
    words = ["--style", style, "--photos", folder / "photos", "--stages", "pyramid", "--out", out]
    assert run("train", *words, *TRAIN) == 0
    assert f"{style} is taken at " in caplog.text
    assert (out / "model.json").exists()


@pytest.mark.usefixtures("brief_trainings")
@pytest.mark.parametrize("style_size", [1, 400])
def test_textures_and_doodles_learn_them(folder, tmp_path, style_size):
    scroll, more = folder / "scroll.png", [*TRAIN, "--style-size", style_size]
    assert run("train", "--texture", scroll, "--out", tmp_path / "texture", *more) == 0
    assert run("train", "--doodle", scroll, "--mask", folder / "mask.png", "--out", tmp_path / "doodle", *more) == 0


@pytest.mark.parametrize("name", ["scroll", "row"])
def test_they_can_be_optimized_for(folder, tmp_path, name):
    out = tmp_path / "out.png"
    words = ["--style", folder / f"{name}.png", "--size", 48, "--steps", 2, "--scales", 2, "-o", out]
    assert run("optimize", folder / "photos" / "a" / "000.jpg", *words) == 0
    assert pixels(out).shape == (36, 48, 3)


def test_photos_of_one_row_are_refused_in_a_sentence(folder, tmp_path, capfd):
    row, out = folder / "photos" / "row.png", tmp_path / "out.png"
    code = run("optimize", row, "--style", folder / "scroll.png", "--size", 640, "-o", out)
    assert_one_sentence(code, capfd.readouterr().err, "16 pixels or more on each side, not 640x1: give a larger --size")
    assert_one_sentence(
        run("compare", row, "--short-edge", 1), capfd.readouterr().err, "row.png at 2400x1 pixels is too small"
    )
    words = ["train", "--style", folder / "scroll.png", "--photos", folder / "photos", "--out", tmp_path / "model"]
    code = run(*words, "--validate", folder / "photos", *TRAIN)
    assert_one_sentence(code, capfd.readouterr().err, "row.png is too narrow to validate on")
    assert not out.exists() and not (tmp_path / "model").exists()


def test_more_scales_than_a_picture_has(folder, tmp_path, capfd):
    photo, out = folder / "photos" / "a" / "000.jpg", tmp_path / "out.png"
    words = ["--style", folder / "scroll.png", "--size", 64, "-o", out, "--steps", 1]
    code = run("optimize", photo, *words, "--scales", 50)
    assert_one_sentence(code, capfd.readouterr().err, "Of 64x48 pixels there are 4 --scales at most, not 50")
    assert run("optimize", photo, *words, "--scales", 4) == 0


def test_a_mask_fits_a_painting_to_a_pixel():
    mask = np.zeros((70, 2400, 3), np.uint8)
    mask[:, 1200:] = 255
    for rows, height, width in ((60, 10, 400), (70, 12, 400), (60, 16, 640)):  # of 70 rows 11.7 become 12
        _, regions = style_regions(np.zeros((height, width, 3), np.uint8), mask[:rows], "mask.png")
        assert regions.shape == (2, height, width)
    for height, width in ((14, 400), (640, 16)):
        with pytest.raises(OptionError, match="draw the mask over the painting"):
            style_regions(np.zeros((height, width, 3), np.uint8), mask[:60], "mask.png")
