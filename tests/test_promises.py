"""What the README says, run: its commands, its flags, its example, its figures."""

import functools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

import e2e_art
from e2e_art.images.io import read_image, write_image
from e2e_art.models.folder import list_models, read_model
from e2e_art.models.onnx_file import onnx_file
from e2e_art.painting.noise import load_doodle, load_texture, seam

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")


NOT_SHIPPED = (".*", "__pycache__", "*.egg-info", "build", "dist", "demo", "*.training")


def code_blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def test_python_example_runs_as_printed(tmp_path, monkeypatch):
    write_image(tmp_path / "photo.jpg", data.chelsea())
    monkeypatch.chdir(tmp_path)
    (example,) = code_blocks("python")
    names: dict = {}
    exec(example, names)
    painting = read_image(tmp_path / "painting.png")
    assert painting.shape == data.chelsea().shape
    assert len(names["stages"]) == 4
    assert np.array_equal(names["stages"][-1], painting)
    far, near = (np.abs(image.astype(int) - names["photo"]).mean() for image in (painting, read_image("gentle.png")))
    assert near < far  # strength 0.6 stays nearer to the photo


COMMANDS = {
    "infer.py": [str(TOP / "infer.py")],
    "train.py": [str(TOP / "train.py")],
    "e2e-art optimize": ["-m", "e2e_art", "optimize"],
    "e2e-art compare": ["-m", "e2e_art", "compare"],
    "e2e-art serve": ["-m", "e2e_art", "serve"],
    "e2e-art export": ["-m", "e2e_art", "export"],
}


def test_python_example_of_the_guide_to_other_places_runs_as_printed(tmp_path, monkeypatch):
    (code,) = code_blocks("python", (TOP / "docs" / "deploy.md").read_text(encoding="utf-8"))
    (tmp_path / "starry_night.onnx").write_bytes(onnx_file(read_model("starry_night")))
    photo = data.rocket()[100:180, 200:300]
    write_image(tmp_path / "photo.png", photo)
    monkeypatch.chdir(tmp_path)
    exec(code.replace("photo.jpg", "photo.png"), {})
    painting = read_image(tmp_path / "painting.png").astype(int)
    assert np.abs(painting - e2e_art.load("starry_night")(photo)).max() <= 1


@functools.cache
def flags_of(command: str) -> set[str]:
    """Returns all flags that a command's help names."""
    text = run(sys.executable, *COMMANDS[command], "--help", cwd=TOP).stdout
    return set(re.findall(r"--[a-z0-9-]+", text))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_the_readme_exists(command):
    others = set(COMMANDS) - {command}
    lines = [line for line in README.splitlines() if command in line and not any(other in line for other in others)]
    used = {flag for line in lines for flag in re.findall(r"(?<!\S)--[a-z0-9-]+", line)}
    assert used, "the README shows flags for each command"
    assert used <= flags_of(command), f"{command} has no {used - flags_of(command)}"


def test_every_flag_in_backquotes_is_one_of_some_command():
    known = set().union(*map(flags_of, COMMANDS))
    used = set(re.findall(r"`(--[a-z0-9-]+)", README))
    assert used <= known, f"no command has {used - known}"


def test_make_targets_of_the_readme_exist():
    rules = set(re.findall(r"^([a-z]+):", (TOP / "Makefile").read_text(), re.M))
    used = set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)", README, re.M))
    names = {name for pair in used for name in pair if name}
    assert {"demo", "test"} <= names <= rules


def test_files_that_the_readme_points_to_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (TOP / target).exists(), target


def test_validation_figures_are_those_of_the_record():
    record = read_model("starry_night").record
    rows = re.findall(r"^\| stage (\d) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", README, re.M)
    assert len(rows) == 4
    for (stage, total, style, content), result in zip(rows, record["validation"]):
        assert int(stage) == result["stage"]
        assert float(total) == pytest.approx(result["total"], abs=0.006)
        assert float(style) == pytest.approx(result["style"] / 20, abs=0.0006)
        assert float(content) == pytest.approx(result["content"], abs=0.006)


def test_shipped_model_meets_its_bars():
    record = read_model("starry_night").record
    totals = [result["total"] for result in record["validation"]]
    assert record["validation_photos"] == 24
    assert all(after < before for before, after in zip(totals, totals[1:])), "every stage lowers the loss"
    assert totals[-1] <= 1.827, "where 20 evaluations of L-BFGS stand: docs/quality.md"
    assert record["validation"][-1]["style"] / 20 <= 0.08


def test_infer_and_models_need_no_mxnet(tmp_path):
    """The base install paints: MXNet is made impossible to import, as where it is not installed."""
    blocker = tmp_path / "sitecustomize.py"
    blocker.write_text("import sys\nsys.modules['mxnet'] = None\n")
    photo = tmp_path / "rocket.jpg"
    write_image(photo, data.rocket()[:120, :160])
    environment = {"PYTHONPATH": f"{tmp_path}:{TOP}", "PATH": "/usr/bin:/bin"}
    out = tmp_path / "out.png"
    done = run(
        sys.executable, str(TOP / "infer.py"), str(photo), "--stages", "-o", str(out), env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("out*")) == [
        "out.png",
        "out_sheet.jpg",
        *(f"out_stage-{stage}.png" for stage in range(4)),
    ]
    assert "painted in" in done.stderr


@pytest.mark.slow
def test_an_installed_package_finds_the_shipped_models(tmp_path):
    """`pip install .` carries pretrained/ along, so that the command works from any folder."""
    source = tmp_path / "source"
    shutil.copytree(TOP, source, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    target = tmp_path / "site"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    done = run(sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source))
    assert done.returncode == 0, done.stderr
    listing = run(sys.executable, "-m", "e2e_art", "models", env={"PYTHONPATH": str(target)}, cwd=tmp_path)
    assert listing.returncode == 0, listing.stderr
    assert "starry_night" in listing.stdout
    description = json.loads((target / "e2e_art" / "pretrained" / "starry_night" / "model.json").read_text())
    assert description["name"] == "starry_night"


def test_the_gallery_shows_every_shipped_model_with_the_figures_of_its_record():
    gallery = (TOP / "docs" / "gallery.md").read_text(encoding="utf-8")
    for model in shipped("chain"):
        (section,) = (part for part in gallery.split("\n## ") if part.startswith(f"{model.title}\n"))
        totals = " → ".join(f"{stage['total']:.2f}" for stage in model.record["validation"])
        assert f"{model.record['validation_photos']} photos: {totals} " in section
        assert f"--model {model.name} " in section
        picture = read_image(TOP / "docs" / "pictures" / f"gallery_{model.name}.jpg")
        assert picture.shape[1] > 3 * 320


def test_what_is_shipped_is_small_and_each_stage_lowers_the_loss():
    for model in list_models():
        assert sum(path.stat().st_size for path in model.folder.iterdir()) <= 6e6
        totals = [stage["total"] for stage in model.record["validation"]]
        assert totals == sorted(totals, reverse=True)


def shipped(kind: str) -> list:
    return [model for model in list_models() if model.kind.name == kind]


@pytest.mark.slow
def test_three_textures_are_shipped_that_tile_and_differ_by_seed():
    textures = shipped("texture")
    assert len(textures) == 3
    for model in textures:
        weave = load_texture(model.folder)
        one, other = weave(160, 192, seed=1), weave(160, 192, seed=2)
        across, within, most = seam(one)
        assert within / 2 < across < most
        assert np.abs(one.astype(int) - other).mean() > 10
        assert model.record["validation"][-1]["diversity"] > 0.5


@pytest.mark.slow
def test_three_doodles_are_shipped_and_their_guide_shows_them():
    guide = (TOP / "docs" / "textures.md").read_text(encoding="utf-8")
    doodles = shipped("doodle")
    assert len(doodles) == 3
    for model in doodles:
        assert f"](pictures/painted_{model.name}.jpg)" in guide
        assert (TOP / "docs" / "pictures" / f"painted_{model.name}.jpg").is_file()
        drawings = sorted((TOP / "docs" / "doodles").glob(f"{model.name}_*.png"))
        assert len(drawings) == 2
        sketch, drawing = load_doodle(model.folder), read_image(drawings[0])
        one, other = sketch(drawing, seed=1).astype(int), sketch(drawing, seed=2).astype(int)
        assert one.shape == drawing.shape
        assert 1 < np.abs(one - other).mean() < np.abs(one - one.mean(axis=(0, 1))).mean()  # the scene stays
