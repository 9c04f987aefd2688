"""Models of every format that was ever written: they paint as they always have, and an upgrade changes no number.

What is stored in `data` was painted and read by the shipped models as they were in format 1.  After a model was trained
anew: python tests/test_formats.py NAME
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers import assert_one_sentence, forge, old_model, pixels, save, tree
from onnx import TensorProto
from skimage import data

import e2e_art
from e2e_art.commands.main import main
from e2e_art.engines.choice import chosen
from e2e_art.models.folder import FORMAT, find_model, model_folders, read_model
from e2e_art.models.onnx_file import onnx_file
from e2e_art.models.weights_file import read_weights
from e2e_art.networks.chain import without_constants
from e2e_art.networks.params_file import read_params

DATA = Path(__file__).parent / "data"
DIGESTS = DATA / "weights.json"  # sha256 of the arrays of each stage, by model
SHIPPED = [pytest.param(path, id=path.name) for path in model_folders()]


def sample(model, engine: str = "onnx") -> np.ndarray:
    """Returns what a model makes of a face, of a drawing of squares, or of seed 7: uint8 (64, 96, 3)."""
    if model.kind.paints_photos:
        return e2e_art.load(model, engine)(data.astronaut()[0:256:4, 60:444:4])
    if model.kind.mixes:
        step = 4 * model.factor
        return e2e_art.load_upscaler(model, engine)(data.astronaut()[0:256:step, 60:444:step])
    if not model.kind.paints_regions:
        return e2e_art.load_texture(model, engine)(64, 96, seed=7)
    colors = np.array([list(bytes.fromhex(entry["color"][1:])) for entry in model.record["palette"]], np.uint8)
    y, x = np.mgrid[:64, :96]
    return e2e_art.load_doodle(model, engine)(colors[(x // 24 + y // 16) % len(colors)], seed=7)


def kept(model) -> list[dict[str, np.ndarray]]:
    """Returns the arrays that the file of each stage holds, with their scales."""
    read = read_weights if model.format == FORMAT else lambda content: without_constants(read_params(content))
    return [read(model.path(name).read_bytes()) for name in model.stage_files()]


def digests(model) -> list[str]:
    """Returns the sha256 of what each stage holds: names, types, shapes and numbers, bit for bit."""
    found = []
    for arrays in kept(model):
        digest = hashlib.sha256()
        for name, array in sorted(arrays.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
        found.append(digest.hexdigest())
    return found


def assert_unchanged(model, engine: str = "onnx") -> None:
    """Compares what a model paints with what was stored.

    A number that lies next to a half is rounded up by one processor and down by another, and so by another engine:
    MXNet's paintings differ from onnxruntime's in 1 level of 1 in 10,000 numbers.
    """
    difference = np.abs(sample(model, engine).astype(int) - pixels(DATA / "painted" / f"{model.name}.png"))
    assert difference.max() <= 2
    assert (difference > 1).sum() <= 10  # of 18,432
    assert (difference > 0).mean() <= 0.01


# What is shipped


@pytest.mark.numerical
@pytest.mark.numerical
@pytest.mark.parametrize("engine", ["onnx", chosen()])
@pytest.mark.parametrize("folder", SHIPPED)
def test_a_shipped_model_paints_as_it_always_has(folder, engine):
    assert_unchanged(read_model(folder), engine)


@pytest.mark.parametrize("folder", SHIPPED)
def test_the_weights_of_a_shipped_model_are_those_that_were_trained(folder):
    assert digests(read_model(folder)) == json.loads(DIGESTS.read_text())[folder.name]


# Format 1


@pytest.fixture
def old(tmp_path):
    """The folder of a model of format 1, of one stage."""
    return old_model(tmp_path / "models" / "tiny")


@pytest.mark.numerical
@pytest.mark.parametrize("engine", ["onnx", chosen()])
def test_an_old_model_is_read_painted_with_and_exported(old, tmp_path, capsys, engine):
    model = read_model(old)
    assert model.format == 1
    assert model.training_time == "1 minute"
    assert_unchanged(model, engine)
    assert main(["models", str(old)]) == main(["infer", "--info", "--model", str(old)]) == 0
    assert "after waves.jpg, on 12 photos" in capsys.readouterr().out
    (tmp_path / "one.onnx").write_bytes(onnx_file(model))
    photo = data.astronaut()[0:256:4, 60:444:4]
    assert np.abs(e2e_art.load(tmp_path / "one.onnx")(photo).astype(int) - sample(model)).max() <= 1
    assert np.abs(e2e_art.load(model)(photo, tile=48).astype(int) - sample(model)).max() <= 1


# Upgrades


def test_an_upgraded_model_is_the_same_in_todays_format(old, capsys):
    before, model, arrays = tree(old), read_model(old), kept(read_model(old))
    size = f"{model.megabytes:.2f} MB"
    assert main(["models", "--upgrade", str(old)]) == 0
    said = f"{old}: format 2, {read_model(old).megabytes:.2f} MB, was {size}\n"
    assert capsys.readouterr().out == said
    after, upgraded = tree(old), read_model(old)
    assert upgraded.format == FORMAT == 2
    assert (upgraded.name, upgraded.record, upgraded.kind) == (model.name, model.record, model.kind)
    assert [{**stage, "file": "stage-0.params"} for stage in upgraded.stages] == model.stages
    assert set(after) == {*before} - {"stage-0.params"} | {"stage-0.safetensors"}
    for name in ("sheet.jpg", "thumbnail.jpg", "noise.int8"):
        assert after[name] == before[name]
    for mine, theirs in zip(kept(upgraded), arrays):
        assert mine.keys() == theirs.keys()
        assert {array.dtype for array in mine.values()} == {np.dtype(t) for t in (np.int8, np.float16, np.float32)}
        for name, array in mine.items():
            assert array.dtype == theirs[name].dtype and array.tobytes() == theirs[name].tobytes()
    for engine in ("onnx", chosen()):
        assert_unchanged(upgraded, engine)
    assert [path.name for path in old.parent.iterdir()] == ["tiny"]


def test_weights_lie_where_the_graphs_say_and_as_processors_read_them(old):
    assert main(["models", "--upgrade", str(old)]) == 0
    (arrays,) = kept(read_model(old))
    for graph in ("model.onnx", "tile-0.onnx"):
        stored = [t for t in onnx.load(old / graph, load_external_data=False).graph.initializer if t.external_data]
        assert len(stored) >= 5
        for tensor in stored:
            place = {entry.key: entry.value for entry in tensor.external_data}
            begin, end = int(place["offset"]), int(place["offset"]) + int(place["length"])
            size = {TensorProto.FLOAT16: 2, TensorProto.INT8: 1}[tensor.data_type]
            assert begin % size == 0
            content = (old / place["location"]).read_bytes()[begin:end]
            if place["location"] != "noise.int8":
                name = tensor.name.removeprefix("stage_0.").removesuffix(".kept")
                assert content == arrays[name].tobytes()


def test_a_model_keeps_its_name_and_is_upgraded_behind_a_link(old, tmp_path):
    moved = old.rename(old.with_name("renamed"))
    (tmp_path / "link").symlink_to(moved)
    assert main(["models", "--upgrade", str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink()
    assert read_model(moved).name == "tiny"
    assert read_model(moved).format == FORMAT


def test_what_is_in_todays_format_is_left_alone(old, published, capsys):
    assert main(["models", "--upgrade", str(old)]) == 0
    before, inode = tree(old), old.stat().st_ino
    capsys.readouterr()
    assert main(["models", "--upgrade", str(old), str(published)]) == 0
    assert capsys.readouterr().out == f"{old}: in format 2 already\n{published}: in format 2 already\n"
    assert (tree(old), old.stat().st_ino) == (before, inode)


def test_damaged_models_of_a_folder_are_counted_and_the_others_go_on(old, tmp_path, capsys):
    folder = old.parent
    for name in ("another", "zebra"):
        old_model(folder / name)
    (folder / "another" / "stage-0.params").write_bytes(b"damaged")
    before = tree(folder / "another")
    assert main(["models", "--upgrade", str(folder)]) == 2
    out, error = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == [str(folder / "tiny"), str(folder / "zebra")]
    skipped, sentence = error.splitlines()
    assert skipped.startswith(f"skipped: {folder / 'another' / 'stage-0.params'} has changed")
    assert sentence == "e2e-art: 1 of 3 models could not be upgraded: the lines above say why"
    assert tree(folder / "another") == before
    assert [read_model(folder / name).format for name in ("tiny", "zebra")] == [FORMAT, FORMAT]
    assert main(["models", "--upgrade", str(folder / "another")]) == 2
    assert_one_sentence(2, capsys.readouterr().err, "stage-0.params has changed")


def test_nothing_that_lies_beside_a_model_is_lost(old, capsys):
    (old / "diary.txt").write_text("the only copy")
    before = tree(old)
    assert_one_sentence(
        main(["models", "--upgrade", str(old)]), capsys.readouterr().err, f"{old} holds diary.txt, which is no file of"
    )
    assert tree(old) == before


def test_weights_that_would_lose_digits_are_left_alone(old, capsys):
    """As another program may have quantized them: with scales that do not take all of 8 bits."""
    (arrays,) = kept(read_model(old))
    weight, content = arrays["coarse.0.0.weight"], (old / "stage-0.params").read_bytes()
    forge(old, **{"stage-0_params": content.replace(weight.tobytes(), np.clip(weight, -100, 100).tobytes())})
    before = tree(old)
    sentence = f"{old} keeps weights finer than models do: train it again"
    assert_one_sentence(main(["models", "--upgrade", str(old)]), capsys.readouterr().err, sentence)
    assert tree(old) == before
    assert sample(read_model(old)).shape == (64, 96, 3)


def test_a_full_disk_leaves_the_old_model_in_place(old, monkeypatch, capsys):
    before = tree(old)
    monkeypatch.setattr(Path, "write_bytes", lambda path, content: os.open("/nowhere/at all", os.O_WRONLY))
    assert_one_sentence(main(["models", "--upgrade", str(old)]), capsys.readouterr().err, f"{old} cannot be written")
    assert tree(old.parent) == {"tiny": None, **{f"tiny/{name}": content for name, content in before.items()}}


def test_what_is_no_model_is_said_to_be_none(tmp_path, capsys):
    for words, says in (
        ([], "--upgrade rewrites the models that it is given: name their folders"),
        ([tmp_path], f"{tmp_path} holds no models"),
        ([tmp_path / "nowhere"], "nowhere is no folder"),
    ):
        assert_one_sentence(main(["models", "--upgrade", *map(str, words)]), capsys.readouterr().err, says)


WITHOUT = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None
from e2e_art.commands.main import main
sys.exit(main(["models", "--upgrade", sys.argv[1]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "says"),
    [(["onnx"], "Upgrades need the onnx library: pip install onnx"), (["mxnet", "torch"], "pip install")],
)
def test_one_sentence_says_what_is_not_installed(old, fresh_python, missing, says):
    before = tree(old)
    done = fresh_python(WITHOUT, old, *missing, fails=True)
    assert_one_sentence(done.returncode, done.stderr, says)
    assert tree(old) == before


def store(names: list[str]) -> None:
    """Stores what models paint and hold, to be compared with from now on."""
    known = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    for model in (read_model(find_model(name)) for name in names):
        known[model.name] = digests(model)
        save(DATA / "painted" / f"{model.name}.png", sample(model), optimize=True)
    DIGESTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    store(sys.argv[1:])
