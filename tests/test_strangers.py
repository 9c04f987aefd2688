"""Models whose checksums are right and whose content is not: one sentence each, at once, by every command."""

import hashlib
import json
import os
import shutil
import time

import numpy as np
import pytest
from helpers import assert_one_sentence, edit_description, forge, save, tree
from skimage import data

from e2e_art.commands.main import main
from e2e_art.engines.choice import chosen
from e2e_art.errors import ModelError
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.models.folder import find_model, model_folders, read_model

BRICK, MONET, STARRY = (
    next(path for path in model_folders() if path.name == n) for n in ("brick", "monet", "starry_night")
)
DEEP = json.loads("[" * 500 + "]" * 500)


def record_of(folder) -> dict:
    return json.loads((folder / "model.json").read_text())["record"]


@pytest.fixture
def copied(tmp_path):
    """Returns a copy of a model, to be forged."""
    return lambda model: shutil.copytree(model, tmp_path / model.name)


@pytest.fixture
def photo_file(tmp_path):
    return save(tmp_path / "photo.png", data.rocket()[:40, :50])


STAGE = {"residual_weight": 0.4, "norm": "instance", "file": read_model(STARRY).stage_files()[0]}
PYRAMID = {**STAGE, "kind": "pyramid", "channels": [128, 48], "blocks": [3, 2], "details": 16}
WRONG_STAGES = [
    3, None, "three", {}, [], [3], [[PYRAMID]], DEEP, [PYRAMID] * 17, [PYRAMID] * 5000,
    *([{**PYRAMID, **wrong}] for wrong in (
        {"channels": [10**9, 48]}, {"channels": [128]}, {"channels": [128, 48, 3]}, {"channels": [-128, 48]},
        {"channels": [0, 48]}, {"channels": [1.5, 48]}, {"channels": ["128", 48]}, {"channels": 128},
        {"blocks": [100_000, 2]}, {"blocks": [-1, 2]}, {"blocks": None}, {"details": 0}, {"details": 1e300},
        {"details": 10**400}, {"details": True}, {"residual_weight": 1.01}, {"residual_weight": -0.1},
        {"residual_weight": float("nan")}, {"residual_weight": float("inf")}, {"residual_weight": "0.4"},
        {"norm": "layer"}, {"norm": None}, {"kind": "oil"}, {"kind": "texture"}, {"kind": "x" * 10**6}, {"kind": 7},
        {"colour": "red"}, {"file": "other.safetensors"}, {"file": 3}, {"file": "x" * 5000},
    )),
    *([{key: value for key, value in PYRAMID.items() if key != name}] for name in PYRAMID),
    [{**STAGE, "kind": "conv", "widths": [8] * 5}], [{**STAGE, "kind": "deconv", "widths": [64, 128, 10**6]}],
]  # fmt: skip


@pytest.mark.parametrize("stages", WRONG_STAGES, ids=lambda stages: repr(stages)[:70])
def test_stages_that_make_no_generators(copied, stages):
    folder = copied(STARRY)
    edit_description(folder, stages=stages)
    started = time.perf_counter()
    with pytest.raises(ModelError) as error:
        read_model(folder)
    assert time.perf_counter() - started < 5
    assert_one_sentence(2, f"e2e-art: {error.value}", "starry_night/model.json describes no model")
    assert len(str(error.value)) < 600


RECORDS = [
    None, 3, [], "long ago", {"command": 3}, {"command": "x" * 2**21}, {"seconds": -1}, {"seconds": float("nan")},
    {"seconds": 1e300}, {"photos": 1.5}, {"photos": 2**60}, {"styles": {}}, {"styles": [3]}, {"styles": [{}]},
    {"versions": [1]}, {"versions": {"mxnet": 1}}, {"validation": 3}, {"validation": [3]}, {"validation": [{}]},
    {"validation": [{"total": float("inf")}]}, {"validation": [{"total": float("nan")}]},
    {"validation": [{"total": -1}]}, {"validation": [{"total": "low"}]}, {"validation": [{"total": 1}] * 1000},
    {"started_from": 3}, {"started_from": {"started_from": {"seconds": "many"}}}, {"palette": ["red"]},
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: repr(record)[:70])
def test_records_of_no_training(copied, record):
    folder = copied(BRICK)
    edit_description(folder, record=record)
    with pytest.raises(ModelError) as error:
        read_model(folder)
    assert_one_sentence(2, f"e2e-art: {error.value}", "brick/model.json describes no model")


@pytest.mark.parametrize(
    "palette",
    [
        None, [], "red", [{"color": "red", "name": "red"}] * 5, [{"color": "#FF0000", "name": "red"}] * 5,
        [{"color": "#ff00000", "name": "red"}] * 5, [{"color": "#ff0000"}] * 5, [{"color": "#ff0000", "name": ""}] * 5,
        [{"color": "#ff0000", "name": "red"}] * 4, [{"color": "#ff0000", "name": "red"}] * 1000,
        [{"color": "#ff0000", "name": "r" * 10_000}] * 5,
    ],
    ids=lambda palette: repr(palette)[:50],
)  # fmt: skip
def test_palettes_that_are_none(copied, palette):
    folder = copied(MONET)
    edit_description(folder, record={**record_of(folder), "palette": palette})
    with pytest.raises(ModelError, match="monet/model.json describes no model"):
        read_model(folder)


@pytest.mark.parametrize("entries", [{"stages": 3}, {"record": None}], ids=repr)
def test_every_command_says_so_in_one_sentence(copied, photo_file, tmp_path, capsys, entries):
    folder = copied(STARRY)
    path = folder / "model.json"
    description = {**json.loads(path.read_text()), **entries}
    del description["seal"]
    seal = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**description, "seal": seal}))
    before, out = tree(tmp_path), str(tmp_path / "out.png")
    (tmp_path / "photos").mkdir()
    save(tmp_path / "photos" / "one.png", data.rocket()[:64, :64])
    given = ["--style", str(photo_file), "--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "new")]
    for words in (
        ["infer", str(photo_file), "-o", out, "--model"],
        ["infer", str(photo_file), "-o", out, "--engine", chosen(), "--model"],
        ["infer", "-o", out, "--texture"],
        ["infer", "--info", "--model"],
        ["compare", str(photo_file), "--model"],
        ["export", "--onnx", str(tmp_path / "one.onnx"), "--model"],
        ["export", "--web", str(tmp_path / "page"), "--model"],
        ["serve", "--no-browser", "--model"],
        ["train", *given, "--start-from"],
    ):
        code = main([*words, str(folder)])
        assert_one_sentence(code, capsys.readouterr().err, "starry_night/model.json describes no model")
    assert main(["models", str(tmp_path)]) == 0
    assert "damaged: " in capsys.readouterr().out
    shutil.rmtree(tmp_path / "photos")
    assert tree(tmp_path) == before


# Files


@pytest.mark.parametrize("name", ["model.json", STAGE["file"], "model.onnx", "noise.int8", "style.npz"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link", "gigabytes"])
def test_files_of_other_kinds_are_refused_at_once(copied, name, kind):
    folder = copied(STARRY)
    path = folder / name
    path.rename(folder.parent / "moved")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "gigabytes":
        with path.open("wb") as file:
            file.truncate(20 * 2**30)  # takes no room on the disk
    else:
        path.symlink_to("/dev/zero" if kind == "device" else folder.parent / "moved")
    if (name, kind) == ("model.json", "link"):
        assert read_model(folder).name == "starry_night"  # its own checksum is the proof
        return
    started = time.perf_counter()
    with pytest.raises(ModelError, match=f"starry_night/{name}"):
        read_model(folder)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("noise", [b"", bytes(509 * 509), None], ids=["none", "zeros", "half"])
def test_noise_that_is_another(copied, noise):
    folder = copied(STARRY)
    half = (folder / "noise.int8").read_bytes()[: 509 * 509 // 2]
    forge(folder, noise_int8=half if noise is None else noise)
    with pytest.raises(ModelError, match="noise.int8 is not the noise that all models paint on"):
        read_model(folder)


def npz(**arrays) -> bytes:
    import io

    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


LAYERS = [f"relu{block}_1" for block in range(1, 6)]
TRIANGLES = {f"triangle_{k}": np.zeros(c * (c + 1) // 2, np.float16) for k, c in enumerate((64, 128, 256, 512, 512))}
SCALES = {f"scale_{k}": np.float32(1) for k in range(5)}


@pytest.mark.parametrize(
    "arrays",
    [
        {}, {"layers": LAYERS}, {"layers": LAYERS, **SCALES}, {"layers": LAYERS[:4], **SCALES, **TRIANGLES},
        {"layers": 3, **SCALES, **TRIANGLES}, {"layers": ["relu9_9"] * 5, **SCALES, **TRIANGLES},
        {**SCALES, **TRIANGLES, "triangle_0": np.zeros(3)}, {**SCALES, **TRIANGLES, "triangle_0": np.float32(3)},
        {**SCALES, **TRIANGLES, "triangle_0": np.zeros((2, 2080))}, {**SCALES, **TRIANGLES, "triangle_0": ["a"] * 2080},
        {**SCALES, **TRIANGLES, "scale_0": np.zeros(2080)}, {**SCALES, **TRIANGLES, "scale_0": np.float32(np.nan)},
        {**SCALES, **TRIANGLES, "triangle_0": np.zeros(140_000_000, np.int8)},
        {**SCALES, **TRIANGLES, "triangle_0": np.array([object()])},
    ],
    ids=range(14),
)  # fmt: skip
def test_styles_that_are_none(copied, arrays):
    folder = copied(BRICK)
    forge(folder, style_npz=npz(**arrays))
    with pytest.raises(ModelError, match="style.npz holds no style"):
        Evaluator(read_model(folder))


def test_graphs_of_another_model(copied, photo_file, tmp_path, capsys):
    folder = copied(STARRY)
    for graph in ((BRICK / "model.onnx").read_bytes(), (STARRY / "tile-0.onnx").read_bytes(), b"", b"text"):
        forge(folder, model_onnx=graph, **{"tile-0_onnx": graph[:-1]})
        for words in ([], ["--tile", "96"], ["--stages"]):
            out = tmp_path / "out.png"
            code = main(["infer", str(photo_file), "--model", str(folder), "-o", str(out), *words])
            assert_one_sentence(code, capsys.readouterr().err, "starry_night", ".onnx")
            assert not out.exists()


# Names


@pytest.mark.parametrize("name", ["", ".", "/", "no/such/folder", "x" * 5000, "a\0b", "../..", "model.json", "~"])
def test_names_of_no_model(name, photo_file, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for words in (["infer", str(photo_file), "-o", "out.png", "--model", name], ["infer", "--info", "--model", name]):
        assert_one_sentence(main(words), capsys.readouterr().err, "no model")
    assert tree(tmp_path / "here") == {}


def test_only_names_that_are_alike_are_guessed():
    for name, near in {"stary_night": "starry_night", "Udnie": "udnie", "greatwave": "great_wave"}.items():
        with pytest.raises(ModelError, match=f"did you mean {near}?"):
            find_model(name)
    for name in ("night", "models/starry_nigh", "picasso"):
        with pytest.raises(ModelError, match="shipped are composition_vii, great_wave"):
            find_model(name)
