"""What the stages are worth, in evaluations of the baseline."""

import hashlib
import io
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_one_sentence, edit_description, pixels, save, tiny_model, tree
from skimage import data

from e2e_art.commands.main import main
from e2e_art.evaluation.baseline import baseline_curve, equivalent_evaluations, equivalent_evaluations_text
from e2e_art.evaluation.charts import plot_curves, plot_worth
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.models.folder import read_model

pytestmark = pytest.mark.numerical

PHOTO = np.ascontiguousarray(data.chelsea()[60:108, 100:164])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def test_worth_by_hand():
    curve = [13.0, 9.0, 5.0, 5.0, 4.0]
    assert equivalent_evaluations(curve, 20.0) == 0  # worse than the photo itself
    assert equivalent_evaluations(curve, 13.0) == 0
    assert equivalent_evaluations(curve, 11.0) == 0.5
    assert equivalent_evaluations(curve, 9.0) == 1
    assert equivalent_evaluations(curve, 5.0) == 2
    assert equivalent_evaluations(curve, 4.25) == 3.75
    assert equivalent_evaluations(curve, 4.0) == 4
    assert equivalent_evaluations(curve, 3.9) == math.inf
    assert equivalent_evaluations([], 1.0) == math.inf
    assert equivalent_evaluations([2.0], 3.0) == 0
    assert equivalent_evaluations_text(curve, 11.0) == "0.5"
    assert equivalent_evaluations_text(curve, 4.0) == "4.0"
    assert equivalent_evaluations_text(curve, 3.9) == "more than 4"


@pytest.mark.parametrize("content", [b"", b"PK damaged", "pickle"])
def test_a_style_that_is_damaged_is_refused(model, tmp_path, capsys, content):
    """With its checksum written anew, too: what a stranger's file holds is read as numbers, or refused."""
    damaged = tmp_path / "damaged"
    shutil.copytree(model, damaged)
    if content == "pickle":
        file = io.BytesIO()
        np.savez(file, scale_0=np.array([Path], object), triangle_0=np.zeros(1))
        content = file.getvalue()
    (damaged / "style.npz").write_bytes(content)
    files = json.loads((damaged / "model.json").read_text())["files"]
    edit_description(damaged, files={**files, "style.npz": hashlib.sha256(content).hexdigest()})
    photo = save(tmp_path / "photo.png", PHOTO)
    code = compare(photo, "--model", damaged, "--evaluations", 0)
    assert_one_sentence(code, capsys.readouterr().err, "style.npz")


def test_the_baseline_begins_at_the_photo_and_falls(model):
    evaluator = Evaluator(read_model(model))
    curve, seconds, picture = baseline_curve(PHOTO, evaluator.target, 8)
    photo, reached = evaluator.losses(PHOTO, [PHOTO, picture])
    assert len(curve) == len(seconds) == 9
    assert curve[0] == pytest.approx(photo["total"], rel=1e-3)
    assert curve[-1] == pytest.approx(reached["total"], rel=0.02)
    assert all(after <= before for before, after in zip(curve, curve[1:]))
    assert curve[-1] < 0.7 * curve[0]
    assert seconds == sorted(seconds)


def test_the_plot(tmp_path):
    plot_worth([13.0, 9.0, 5.0], [10.0, 4.0], tmp_path / "worth.png", "title")
    assert pixels(tmp_path / "worth.png").std() > 5


def test_the_curves_of_a_training(tmp_path):
    terms = [{"phase": k // 3, "total_step": k + 1, "style": 9 - k, "content": 1, "tv": 0.5} for k in range(6)]
    checks = [{"total_step": step, "validation": {"total": 5.0}} for step in (3, 6)]
    for name, entries in (("whole", terms + checks), ("empty", [])):
        plot_curves(entries, tmp_path / f"{name}.png")
    curves, empty = (pixels(tmp_path / f"{name}.png") for name in ("whole", "empty"))
    assert curves.shape[1] > 500
    assert (curves != empty).any()


@pytest.fixture
def folder(tmp_path):
    for name, image in (("cat", data.chelsea()), ("coffee", data.coffee())):
        save(tmp_path / "photos" / f"{name}.png", image[100:180, 100:220])
    return tmp_path / "photos"


def compare(*words) -> int:
    return main(["compare", *map(str, words)])


def test_the_table(folder, model, capsys):
    assert compare(folder, "--model", model, "--short-edge", 40, "--evaluations", 6) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert lines[0] == "Mean of 2 photos"
    names = [f"tiny, stage {stage}" for stage in range(len(read_model(model).stages))]
    assert [row[0] for row in rows[2:]] == ["tiny, the photo itself", *names, "tiny, L-BFGS, 5 evaluations"]
    photo, *stages, baseline = rows[2:]
    assert float(photo[3]) == 0  # all of its content
    assert float(photo[6]) == 0  # worth nothing
    assert float(baseline[1]) < float(photo[1])
    for stage in stages:
        total = 20 * float(stage[2]) + float(stage[3]) + float(stage[4])
        assert float(stage[1]) == pytest.approx(total, abs=0.003)


def test_what_is_written(folder, model, tmp_path):
    out = tmp_path / "out"
    assert compare(folder, "--model", model, "--short-edge", 40, "--evaluations", 3, "-o", out) == 0
    assert set(tree(out)) == {"tiny.json", "tiny_worth.png", "tiny_cat.jpg", "tiny_coffee.jpg"}
    figures = json.loads((out / "tiny.json").read_text())
    assert figures["photos"] == ["cat.png", "coffee.png"]
    assert [len(curve) for curve in figures["baseline"]] == [4, 4]
    assert all(len(losses) == 1 + len(read_model(model).stages) for losses in figures["losses"])
    assert compare(folder, "--model", model, "--crop", "48x32", "--evaluations", 0, "-o", tmp_path / "plain") == 0
    assert set(tree(tmp_path / "plain")) == {"tiny.json", "tiny_cat.jpg", "tiny_coffee.jpg"}


def test_what_is_refused(folder, model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for words, says in (
        ([tmp_path / "empty"], [tmp_path / "empty"]),
        ([tmp_path / "none.png"], [tmp_path / "none.png"]),
        ([folder, "--model", "starry_nite"], ["starry_nite", "starry_night"]),
        ([folder, "--model", model, "--crop", "wide"], ["--crop", "'wide'"]),
        ([folder, "--model", model, "--crop", "0x9"], ["--crop", "'0x9'"]),
        ([folder, folder, "--model", model, "-o", tmp_path / "out"], ["called cat"]),
        ([folder, "--model", model, model, "-o", tmp_path / "out"], ["called tiny"]),
        ([folder, "--model", model, "--evaluations", -1], ["--evaluations", "-1"]),
        ([folder, "--model", model, "-o", tmp_path], [tmp_path, "--overwrite"]),
    ):
        capsys.readouterr()
        code = compare(*words)
        assert_one_sentence(code, capsys.readouterr().err, *says)
