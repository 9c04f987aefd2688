"""Sizes are asked about before the work: what fits into so many free bytes, and the sentences where it does not."""

import re

import numpy as np
import pytest
from helpers import assert_one_sentence, save, tiny_upscaler

from e2e_art import load, load_doodle, load_texture, load_upscaler, machine
from e2e_art.commands.main import main
from e2e_art.errors import UserError
from e2e_art.machine import PAINTING, Need, check_memory

GB = 1_000_000_000


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes are free."""

    def set_free(size: float) -> None:
        for module in ("machine", "painting.photo"):
            monkeypatch.setattr(f"e2e_art.{module}.free_memory", lambda: int(size))

    return set_free


@pytest.mark.parametrize(
    ("sides", "multiple", "size"),
    [
        ((2000, 2000), 1, "948x948"),  # 948^2 * 100 is 0.95 * 2e8 - 1e8, just not more
        ((1000, 4000), 1, "1897x474"),
        ((2000, 2000), 32, "928x928"),
        ((10**20, 10**20), 1, "948x948"),
    ],
)
def test_the_size_that_fits(free, sides, multiple, size):
    free(2e8)
    need = Need(100, 1e8)
    with pytest.raises(UserError, match=f"pixels take .* and 0.2 GB are free: --size {size} would fit$"):
        check_memory(need, *sides, multiple=multiple)
    check_memory(need, *map(int, reversed(size.split("x"))))
    check_memory(need, 1000, 1000)  # all that is free
    with pytest.raises(UserError, match="1001x1000 pixels take about 0.2 GB"):
        check_memory(need, 1000, 1001)
    check_memory(need, 1000, 1001, held=1e6)


def test_where_nothing_fits(free):
    free(1e7)
    with pytest.raises(UserError, match="2x1 pixels take about 0.1 GB of memory, and 0.0 GB are free: close other"):
        check_memory(Need(100, 1e8), 1, 2)
    with pytest.raises(UserError, match=r"^1e\+20x1e\+20 pixels take more memory than any computer has, and "):
        check_memory(Need(100), 10**20, 10**20)


def test_textures_and_doodles(free):
    textures, doodles = load_texture("kandinsky"), load_doodle("monet")
    free(GB)
    for run in (lambda: textures(20000, 20000), lambda: doodles(np.zeros((3000, 4000, 3), np.uint8))):
        with pytest.raises(UserError, match="pixels take about .* and 1.0 GB are free: --size .* would fit"):
            run()
    with pytest.raises(UserError) as refused:
        textures(20000, 30000)
    width, height = map(int, re.findall(r"--size (\d+)x(\d+) would", str(refused.value))[0])
    assert width % 32 == height % 32 == 0
    assert 0.8 * GB < PAINTING["texture"]["onnx"].at(height, width) < GB


def test_johnsons_network_takes_more_than_other_upscalers(free, tmp_path, photo, capfd):
    johnson = load_upscaler(tiny_upscaler(tmp_path / "johnson", kind="johnson-upscaler", channels=8, blocks=1))
    compact = load_upscaler(tiny_upscaler(tmp_path / "compact"))
    assert johnson.need.pixel > 10 * compact.need.pixel
    free(GB)
    compact.check_size(400, 500, tile=0)
    with pytest.raises(
        UserError,
        match=r"^500x400 pixels, enlarged to 2000x1600, take about 4.1 GB of memory, and 1.0 GB are free: tiles",
    ):
        johnson.check_size(400, 500, tile=0)
    path = save(tmp_path / "photos" / "photo.png", photo)
    words = ["train", "--super-resolution", 4, "--photos", path.parent, "--out", tmp_path / "out"]
    code = main([*map(str, words), "--stages", "johnson-x4", "--norm", "batch"])
    assert_one_sentence(code, capfd.readouterr().err, "160x160 pixels take about 2.5 GB")


def test_photos(free, photo):
    painter = load("starry_night")
    free(GB)
    with pytest.raises(UserError, match=r"^5000x3702 pixels take about 7.6 GB .*: --size (\d+) would fit$"):
        painter(photo, size=5000, tile=0)
    with pytest.raises(UserError, match=r"^20000x14809 pixels take about .*: --size (\d+) would fit$"):
        painter(photo, size=20000)  # in tiles, but their result has to fit as well
    with pytest.raises(UserError, match=r"^6000x4443 pixels take about .*: --size (\d+) would fit$"):
        painter(photo, size=6000, denoise=0.02)


def test_what_a_painter_still_holds_is_not_counted_twice(free, photo):
    painter = load("starry_night")
    needed = painter.need.at(*photo.shape[:2]) + machine.PICTURE_BYTES * photo[..., 0].size
    free(needed)
    painter(photo, tile=0)
    free(needed - painter.held)  # as its engine keeps what it took
    painter(photo, tile=0)
    free(needed - 2 * painter.held)
    with pytest.raises(UserError, match="GB are free"):
        painter(photo, tile=0)


def test_a_batch_that_is_too_large_for_any_size(free, photo, tmp_path, capfd):
    free(2 * GB)
    path = save(tmp_path / "photo.png", photo)
    words = ["train", "--style", path, "--photos", tmp_path, "--out", tmp_path / "out", "--batch"]
    for batch, end in ((100000, "give a smaller --batch"), (4, "at this --batch, --size 224 would fit")):
        assert_one_sentence(main([*map(str, words), str(batch)]), capfd.readouterr().err, "2.0 GB are free: " + end)


@pytest.mark.parametrize(
    "words",
    [
        ["infer", "--texture", "kandinsky", "--size", "20000", "-o", "OUT"],
        ["infer", "--texture", "kandinsky", "--size", "99999999999999999999", "-o", "OUT"],
        ["infer", "PHOTO", "--model", "monet", "--size", "100000", "-o", "OUT"],
        ["infer", "PHOTO", "--size", "99999999999999999999", "-o", "OUT"],
        ["infer", "PHOTO", "--size", "50000", "--as-painted", "-o", "OUT"],
        ["optimize", "PHOTO", "--style", "PHOTO", "--size", "99999999999999999999", "-o", "OUT"],
        ["optimize", "PHOTO", "--style", "PHOTO", "--style-size", "100000", "-o", "OUT"],
        ["train", "--texture", "PHOTO", "--size", "64000", "--out", "OUT"],
        ["compare", "PHOTO", "--short-edge", "100000"],
        ["compare", "PHOTO", "--crop", "100000x100000"],
    ],
    ids=lambda words: " ".join(words[:-2]),
)
def test_every_command_asks_first(free, photo, tmp_path, capfd, words):
    free(2 * GB)
    places = {"PHOTO": save(tmp_path / "in" / "photo.png", photo), "FOLDER": tmp_path / "in", "OUT": tmp_path / "a.png"}
    code = main([str(places.get(word, word)) for word in words])
    said = capfd.readouterr()
    assert_one_sentence(code, said.err, "memory", "2.0 GB are free", " would fit")
    assert ("PHOTO" in words and words[0] in ("infer", "compare")) == (f"e2e-art: {places['PHOTO']}: " in said.err)
    assert not (tmp_path / "a.png").exists()
