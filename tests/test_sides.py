"""Sides that a format does not hold are refused before the work, by every command that writes pictures or clips."""

import shutil

import numpy as np
import pytest
from helpers import assert_one_sentence, pixels, save, tiny_upscaler
from PIL import Image

from e2e_art.clips import formats
from e2e_art.commands.main import main
from e2e_art.images.sheet import sheet
from e2e_art.painting.engines import ModelPainter


@pytest.fixture
def given(tmp_path, monkeypatch, photo, published):
    """Pictures in the current folder, of which one is long; a model to enlarge, and one to paint with."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "photos" / "long.jpg", np.resize(photo, (4, 20_000, 3)))
    save(tmp_path / "photos" / "short.jpg", photo)
    save(tmp_path / "longest.png", np.resize(photo, (2, 70_000, 3)))
    save(tmp_path / "doodle.png", np.zeros((1, 17_000, 3), np.uint8))
    frames = [Image.fromarray(np.full((4, 6000, 3), shade, np.uint8)) for shade in (50, 200)]
    frames[0].save(tmp_path / "clip.gif", save_all=True, append_images=frames[1:], duration=100)
    tiny_upscaler(tmp_path / "x4", factor=4)
    shutil.copytree(published, tmp_path / "model")
    return tmp_path


@pytest.fixture
def idle(monkeypatch):
    """Models that paint nothing."""

    def run(*arguments):
        raise AssertionError("It paints before it knows that the file cannot hold it")

    monkeypatch.setattr(ModelPainter, "run", run)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "infer photos/long.jpg --upscale x4 -o big.jpg",
            "big.jpg cannot be written: 80000x16 pixels do not fit into a",
        ),
        ("infer photos/long.jpg --upscale x4 -o big.webp", "into a .webp, which takes 16383 a side: choose .png"),
        ("infer photos/long.jpg --upscale x4 -o big.avif", "into a .avif, which takes 32768 a side: choose .png"),
        ("infer photos/long.jpg --upscale x4 -o big.heic", "into a .heic, which takes 65500 a side: choose .png"),
        (
            "infer longest.png --model model -o big.jpg",
            "big.jpg cannot be written: 70000x2 pixels do not fit into a .jpg",
        ),
        ("infer longest.png --model model -o big.jpg --stages", "big.jpg cannot be written: 70000x2 pixels"),
        ("infer longest.png --model model --size 66000 --as-painted -o big.jpg", "66000x2 pixels do not fit"),
        ("infer longest.png --model model --size 20000 --upscale x4 -o big.jpg", "80000x4 pixels do not fit"),
        ("infer --texture brick --size 17000x32 -o big.webp", "big.webp cannot be written: 17000x32 pixels"),
        ("infer doodle.png --model monet -o big.webp", "big.webp cannot be written: 17000x1 pixels do not fit"),
        ("infer doodle.png --model monet --size 16400 -o big.webp", "16400x1 pixels do not fit into a .webp"),
        ("optimize doodle.png --style photos/short.jpg --size 0 -o big.webp", "17000x1 pixels do not fit into a .webp"),
        (
            "infer clip.gif --upscale x4 -o big.mp4",
            "big.mp4 cannot be written: frames of 24000x16 do not fit into a .mp4, ",
        ),
        (
            "infer clip.gif --upscale x4 -o big.webp",
            "which takes 16383 pixels a side: choose .webm, .avi, .gif or .png",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_the_work(given, idle, words, says, capfd):
    before = sorted(given.rglob("*"))
    assert_one_sentence(main(words.split()), capfd.readouterr().err, says)
    assert sorted(given.rglob("*")) == before


def test_of_several_photos_the_others_are_made(given, capfd):
    assert main(["infer", "photos", "--upscale", "x4", "-o", "large"]) == 0
    said = capfd.readouterr().err
    assert (
        "skipped: large/long.jpg cannot be written: 80000x16 pixels do not fit into a .jpg, which takes 65500" in said
    )
    assert "1 enlarged in" in said and "1 could not be painted and was skipped" in said
    assert pixels(given / "large" / "short.jpg").shape == (388, 524, 3)
    assert main(["infer", "photos/long.jpg", "--upscale", "x4", "-o", "large/long.png"]) == 0
    assert pixels(given / "large" / "long.png").shape == (16, 80_000, 3)


@pytest.mark.parametrize("suffix", formats.FORMATS)
def test_the_longest_sides_of_clips(tmp_path, suffix):
    target, longest = tmp_path / f"clip{suffix}", formats.FORMATS[suffix].longest
    for size in ((16, min(longest, 70_000)), (min(longest, 70_000), 16)):
        formats.check_sides(target, *size)
    if longest < 70_000:
        why = (
            f"frames of {longest + 1}x9 do not fit into a {suffix}, which takes {longest} pixels a side: choose .*.png$"
        )
        with pytest.raises(formats.VideoError, match=rf"clip{suffix} cannot be written: {why}"):
            formats.check_sides(target, 9, longest + 1)


def test_a_sheet_of_many_pictures_fits():
    pictures = [np.zeros((60, 640, 3), np.uint8)] * 400
    height, width = sheet(pictures, ["label"] * 400, "title").shape[:2]
    assert max(height, width) < 16_383
    few = sheet(pictures[:5], ["label"] * 5, "title")
    assert few.shape[1] < 2000  # in three columns
