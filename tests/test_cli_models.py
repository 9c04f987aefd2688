"""`e2e-art models`: what it says of each model, and what it shows."""

import io
import re
import sys

import numpy as np
import pytest
from helpers import tiny_chain

from e2e_art.commands.main import main
from e2e_art.commands.models import describe_model
from e2e_art.images.io import encode_image
from e2e_art.models.folder import THUMBNAIL, read_model
from e2e_art.models.publish import publish

RECORD = {
    "styles": [{"file": "waves.jpg", "sha256": ""}],
    "photos": 12,
    "seconds": 600,
    "validation_photos": 3,
    "validation": [{"stage": 0, "total": 3.512}, {"stage": 1, "total": 2.25}],
}


@pytest.fixture
def shelf(tmp_path):
    """A folder of two models: one with all that a record can say, and one with nothing."""
    orange = np.full((30, 20, 3), (250, 120, 0), np.uint8)
    orange[15:] = (0, 0, 200)
    again = {**RECORD, "seconds": 300, "engine": "MXNet", "started_from": RECORD}  # older records do not name theirs
    publish(tiny_chain(stages=2), tmp_path / "waves", again, {THUMBNAIL: encode_image(orange, ".jpg")})
    publish(tiny_chain(stages=1), tmp_path / "bare", {})
    return tmp_path


def test_each_model_has_its_size_its_record_and_its_picture(shelf, capsys):
    assert main(["models", str(shelf)]) == 0
    bare, waves = capsys.readouterr().out.split("Waves")
    assert bare.startswith(f"Bare  ({shelf / 'bare'})\n  1 stage, ")
    assert len(bare.splitlines()) == 2
    megabytes = sum((shelf / "waves" / name).stat().st_size for name in read_model(shelf / "waves").files) / 1e6
    assert f"  2 stages, {megabytes:.1f} MB\n" in waves
    assert "after waves.jpg, on 12 photos in 15 minutes" in waves  # both commands
    assert "total loss on 3 other photos, stage by stage: 3.51 2.25" in waves
    assert waves.endswith(f"  {shelf / 'waves' / THUMBNAIL}\n")  # not a terminal: no characters


def test_another_engine_s_time_is_counted_by_itself(tmp_path, capsys):
    record = {**RECORD, "seconds": 120, "engine": "PyTorch 2.11.0, a GPU", "started_from": RECORD}
    model = publish(tiny_chain(stages=1), tmp_path / "waves", record)
    assert model.training_time == "10 minutes and 2 minutes by PyTorch 2.11.0, a GPU"
    describe_model(model)
    assert "engine: PyTorch 2.11.0, a GPU" in capsys.readouterr().out


def test_a_training_of_no_steps_adds_no_time(tmp_path, capsys):
    record = {"seconds": 0, "engine": "", "engine_seconds": {}, "started_from": RECORD}
    model = publish(tiny_chain(stages=1), tmp_path / "kept", record)
    assert model.training_time == "10 minutes"
    describe_model(model)
    assert "seconds: 0\nengine: none\n" in capsys.readouterr().out
    assert publish(tiny_chain(stages=1), tmp_path / "bare", {}).training_time == "0 minutes"


def test_a_closed_standard_output_is_no_terminal(shelf, monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    assert main(["models", str(shelf)]) == 0
    sys.stdout.close()  # the one that took its place


def test_a_terminal_shows_the_picture(shelf, capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["models", str(shelf)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "▀" in line]
    assert len(lines) == 20  # 27 x 40 pixels and more: two rows a line
    first, last = (list(map(int, re.findall(r"\d+", line[: line.index("▀")]))) for line in (lines[0], lines[-1]))
    assert np.abs(np.subtract(first[2:5], (250, 120, 0))).max() < 12
    assert np.abs(np.subtract(last[2:5], (0, 0, 200))).max() < 12
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["models", str(shelf)]) == 0
    assert "▀" not in capsys.readouterr().out


def test_a_damaged_model_does_not_hide_the_others(shelf, capsys):
    (shelf / "bare" / "model.onnx").write_bytes(b"")
    assert main(["models", str(shelf)]) == 0
    said = capsys.readouterr().out
    assert "bare\n  damaged: " in said
    assert "Waves" in said


def test_a_folder_without_models_is_said_to_be_one(tmp_path, capsys):
    for folder, says in ((tmp_path / "nowhere", "is no folder"), (tmp_path, "holds no models")):
        assert main(["models", str(folder)]) == 2
        assert f"{folder} {says}: give " in capsys.readouterr().err


def test_one_model_is_described_by_its_own_folder(shelf, capsys):
    assert main(["models", str(shelf / "waves")]) == 0
    assert capsys.readouterr().out.startswith(f"Waves  ({shelf / 'waves'})\n  2 stages")


def test_a_console_without_the_character_shows_no_picture(shelf, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for encoding, shown in (("utf-8", True), ("cp437", True), ("cp1252", False), ("ascii", False)):
        console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        console.isatty = lambda: True
        monkeypatch.setattr("sys.stdout", console)
        assert main(["models", str(shelf)]) == 0
        said = console.buffer.getvalue().decode(encoding)
        assert ("▀" in said) == shown
        assert ("\033" in said) == shown
        assert r"\u2580" not in said
