"""The programs of examples/, run on small inputs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import painting, photo_folder

from e2e_art.images.io import read_image, write_image
from e2e_art.models.folder import read_model

TOP = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((TOP / "examples").glob("*.py"))


def run(name: str, *arguments) -> str:
    """Runs an example as its docstring does; returns what it prints."""
    command = [sys.executable, str(TOP / "examples" / name), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_its_docstring_tells_how_to_run_it(path):
    text = path.read_text(encoding="utf-8")
    assert f"\npython examples/{path.name} " in text
    assert len(text.splitlines()) <= 50
    assert path.name in (TOP / "docs" / "paint.md").read_text(encoding="utf-8")


def test_the_training_takes_40_lines():
    assert len((TOP / "examples" / "train_in_40_lines.py").read_text().splitlines()) <= 40


@pytest.mark.slow
def test_a_folder_is_painted_and_what_is_no_photo_is_skipped(tmp_path, photo):
    for name in ("one.png", "two.png"):
        write_image(tmp_path / "photos" / name, photo)
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    printed = run("paint_folder.py", tmp_path / "photos", tmp_path / "painted", "--strength", 0.5, "--size", 64)
    assert sorted(path.name for path in (tmp_path / "painted").iterdir()) == ["one.jpg", "two.jpg"]
    assert read_image(tmp_path / "painted" / "one.jpg").shape == photo.shape
    assert "notes.txt" in printed and "Painted two.png" in printed


@pytest.mark.slow
def test_pages_of_text_are_drawn(tmp_path):
    run("pages.py", TOP / "README.md", tmp_path, "--count", 2)
    first, second = (read_image(tmp_path / f"page_{number:03}.png") for number in (0, 1))
    assert first.shape == second.shape == (600, 800, 3)
    assert first.std() > 20 and (first != second).mean() > 0.1


@pytest.mark.slow
def test_textures_are_made_and_tiled(tmp_path):
    run("texture.py", "brick", tmp_path, "--size", "96x64", "--seeds", 1, 2)
    one, other = (read_image(tmp_path / f"seed-{seed}.png") for seed in (1, 2))
    assert one.shape == other.shape == (64, 96, 3)
    assert (one != other).any()
    assert np.array_equal(read_image(tmp_path / "seed-1-tiled.png")[64:, 96:], one)


@pytest.mark.training
def test_a_chain_is_trained_and_paints(tmp_path, photo):
    painting(tmp_path / "painting.jpg")
    photo_folder(tmp_path / "photos")
    out = tmp_path / "models" / "mine"
    printed = run(
        "train_in_40_lines.py", tmp_path / "painting.jpg", tmp_path / "photos", out, "--steps", 2, 1, "--size", 32
    )
    assert printed.count("style") == 3
    assert len(read_model(out).stages) == 2
    write_image(tmp_path / "photos_to_paint" / "one.png", photo)
    run("paint_folder.py", tmp_path / "photos_to_paint", tmp_path / "painted", "--model", out)
    assert read_image(tmp_path / "painted" / "one.jpg").shape == photo.shape


@pytest.mark.slow
def test_a_loss_term_of_ones_own_moves_the_painting(tmp_path, photo):
    painting(tmp_path / "painting.jpg")
    write_image(tmp_path / "photo.png", photo)
    wanted = np.array([255, 0, 0])

    def distance(weight: float) -> float:
        out = tmp_path / f"{weight}.png"
        paths = (tmp_path / "photo.png", tmp_path / "painting.jpg", out)
        run("own_loss.py", *paths, "--color", "ff0000", "--weight", weight, "--size", 64, "--steps", 8)
        return float(np.abs(read_image(out).mean(axis=(0, 1)) - wanted).mean())

    assert distance(1.0) < distance(0.0) - 5  # gray levels, of about 16 that 8 steps of Adam can move each pixel
