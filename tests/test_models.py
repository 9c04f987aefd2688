"""Models on disk: what is written is read again, and what is not whole is refused by name."""

import ctypes
import hashlib
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_one_sentence, edit_description

from e2e_art.commands.main import main
from e2e_art.errors import ModelError
from e2e_art.losses.style_target import StyleTarget
from e2e_art.models import folder as models
from e2e_art.models.folder import FORMAT, find_model, list_models, model_folders, read_model, write_model
from e2e_art.models.kinds import UPSCALER

STAGE = {"kind": "conv", "residual_weight": 0.4, "norm": "instance", "widths": [8] * 6}
STAGE |= {"file": "stage-0.safetensors"}
FILES = {"stage-0.safetensors": b"weights " * 50, "model.onnx": bytes(range(256)), "sheet.jpg": b"picture"}


def write(folder, files=FILES, **options):
    return write_model(folder, kind="chain", stages=[STAGE], record={"seed": 1}, files=files, **options)


@pytest.fixture
def folder(tmp_path):
    """A model of small files, which nothing can paint."""
    return write(tmp_path / "starry_night").folder


@pytest.fixture
def copied(tmp_path, published):
    """A copy of a model that paints, to be damaged."""
    return shutil.copytree(published, tmp_path / published.name)


def everything_in(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Writing and reading


def test_a_model_is_read_as_it_was_written(folder):
    model = read_model(folder)
    assert (model.name, model.title, model.kind.name) == ("starry_night", "Starry Night", "chain")
    titles = {"composition_vii": "Composition VII", "my-style": "My Style", "Udnie": "Udnie", "vivid": "Vivid"}
    titles |= {"the_shipwreck_of_the_sea": "The Shipwreck of the Sea"}
    assert {name: replace(model, name=name).title for name in titles} == titles
    assert model.record == {"seed": 1}
    assert model.stage_files() == ["stage-0.safetensors"]
    assert model.share_weights is False
    assert model.files == {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    assert {name: model.path(name).read_bytes() for name in FILES} == FILES
    assert set(everything_in(folder)) == {*FILES, "model.json"}
    assert json.loads((folder / "model.json").read_text())["format"] == FORMAT == 2


@pytest.mark.numerical
def test_a_published_chain_paints_as_before(tmp_path, make_chain, photo):
    from e2e_art.engines.gluon import array, to_numpy
    from e2e_art.images.arrays import to_vgg_space
    from e2e_art.models.publish import load_chain, publish

    stages = [
        {"kind": "pyramid", "channels": [8, 4], "blocks": [1, 1], "details": 4, "residual_weight": 0.3},
        {"kind": "conv", "widths": [8] * 6, "norm": "batch"},
        {"kind": "johnson", "widths": [8, 8, 8], "blocks": 1, "residual_weight": 0.6},
    ]
    chain = make_chain(stages)
    model = publish(chain, tmp_path / "model", {"command": "by hand"}, {"notes.txt": b"more"})
    assert model.record == {"command": "by hand"}
    assert set(everything_in(model.folder)) == {
        "model.json", "model.onnx", "noise.int8", "notes.txt", "stage-0.onnx", "stage-1.onnx", "tile-0.onnx",
        "tile-1.onnx", "tile-2.onnx", *(f"stage-{index}.safetensors" for index in range(3))
    }  # fmt: skip
    again = load_chain(model)
    assert [stage.describe() for stage in again.generators] == [stage.describe() for stage in chain.generators]
    x = array(to_vgg_space(photo))
    for one, other in zip(chain(x), again(x)):
        assert np.abs(to_numpy(one - other)).max() < 2  # half precision
    for index in range(3):
        mine, theirs = chain.stage_weights(index), again.stage_weights(index)
        assert mine.keys() == theirs.keys()
        assert all(np.allclose(mine[name], theirs[name], rtol=1e-3, atol=1e-6) for name in mine)


@pytest.mark.numerical
def test_shared_weights_are_stored_once_and_read_as_shared(tmp_path, make_chain):
    from e2e_art.models.publish import load_chain, publish

    small = {"kind": "pyramid", "channels": [8, 4], "blocks": [1, 1], "details": 4}
    conv = {"kind": "conv", "widths": [4] * 6}
    model = publish(make_chain([small, conv, small, small], share_weights=True), tmp_path / "shared", {})
    assert model.stage_files() == [f"stage-{index}.safetensors" for index in (0, 1, 0, 0)]
    assert sorted(model.files) == [
        "model.onnx", "noise.int8", "stage-0.onnx", "stage-0.safetensors", "stage-1.onnx", "stage-1.safetensors",
        "stage-2.onnx", "tile-0.onnx", "tile-1.onnx", "tile-2.onnx", "tile-3.onnx",
    ]  # fmt: skip
    generators = load_chain(model).generators
    assert generators[0] is generators[2] is generators[3]
    own = publish(make_chain([small, conv, small, small]), tmp_path / "own", {})
    assert own.stage_files() == [f"stage-{index}.safetensors" for index in range(4)]


# Finding


def test_shipped_models_are_found_by_name_and_typos_answered_by_the_nearest(folder, tmp_path, monkeypatch):
    write(tmp_path / "composition_vii")
    (tmp_path / "vgg19").mkdir()  # no model
    write(tmp_path / ".udnie.k3w9x2")  # what a write leaves that was killed
    monkeypatch.setattr(models, "pretrained_folder", lambda: tmp_path)
    assert [path.name for path in model_folders()] == ["composition_vii", "starry_night"]
    assert [model.title for model in list_models()] == ["Composition VII", "Starry Night"]
    assert list_models(tmp_path) == list_models(str(tmp_path)) == list_models()
    assert find_model("starry_night") == folder
    assert read_model("starry_night").folder == folder
    typos = {"stary_nite": "starry_night", "Starry-Night": "starry_night", "composition": "composition_vii"}
    for typo, near in typos.items():
        with pytest.raises(ModelError, match=f"There is no model '{typo}': did you mean {near}?"):
            find_model(typo)
    with pytest.raises(ModelError, match="no model 'xyz': shipped are composition_vii, starry_night, or give"):
        find_model("xyz")
    with pytest.raises(ModelError, match="no model 'stary_night': none of its kind is shipped"):  # no upscaler is near
        find_model("stary_night", UPSCALER)


def test_a_folder_comes_before_a_shipped_name(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "pretrained_folder", lambda: tmp_path)
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "starry_night")
    monkeypatch.chdir(elsewhere)
    assert find_model("starry_night").resolve() == elsewhere / "starry_night"


def test_what_is_no_model_and_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "pretrained_folder", lambda: tmp_path / "nothing")
    (tmp_path / "photos").mkdir()
    with pytest.raises(ModelError, match="photos is no model: it has no model.json"):
        read_model(tmp_path / "photos")
    with pytest.raises(ModelError, match="There is no model '.*absent': none is shipped, so give the folder"):
        read_model(tmp_path / "absent")


# Damage


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "folder/file"])
def test_files_outside_of_the_folder_are_refused(published, tmp_path, name):
    folder = tmp_path / "copied"
    shutil.copytree(published, folder)
    files = json.loads((folder / "model.json").read_text())["files"]
    edit_description(folder, files={**files, name: "0" * 64})
    with pytest.raises(ModelError, match="describes no model .entry 'key in files': expected str of another form"):
        read_model(folder)


@pytest.mark.parametrize("place", [0, 0.5, -1])
@pytest.mark.parametrize("name", ["stage-0.safetensors", "stage-1.safetensors", "model.onnx", "sheet.jpg"])
def test_one_flipped_bit_is_found_and_its_file_named(copied, name, place):
    path = copied / name
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if place > 0 else place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"small_model/{name} has changed since it was trained .*get a whole copy"):
        read_model(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_cut_short_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=f"{name} has changed"):
        read_model(folder)
    path.unlink()
    with pytest.raises(ModelError, match=f"starry_night/{name} is missing or unreadable"):
        read_model(folder)


def test_a_newer_format_names_its_version(folder):
    edit_description(folder, format=FORMAT + 1)
    with pytest.raises(ModelError, match="model.json has format version 3, this e2e-art reads 1 and 2: install"):
        read_model(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"format"', "{}", '{"format": 1', b"\xff\xfe\x00"])
def test_a_broken_description_is_refused(folder, text):
    (folder / "model.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError, match="starry_night/model.json cannot be read"):
        read_model(folder)


@pytest.mark.parametrize("entry", ["name", "kind", "stages", "record", "files", "share_weights"])
def test_an_incomplete_description_names_what_it_lacks(folder, entry):
    edit_description(folder, **{entry: None})
    with pytest.raises(ModelError, match=f"model.json describes no model .(no field {entry}|entry '{entry}')"):
        read_model(folder)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "text",
    [DEEP, '{"format": 1, "format": 1}', '{"format": ' + DEEP + "}", '{"format": ' + "9" * 5000 + "}"],
    ids=["deep", "twice", "deep format", "huge"],
)
def test_text_that_would_break_a_reader_is_refused(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError, match=r"^.*starry_night/model.json .*: (get a whole|install the)"):
        read_model(folder)


@pytest.mark.parametrize(
    "entries",
    [
        {"name": 7}, {"name": ""}, {"name": ".."}, {"name": "../other"}, {"name": "a\nb"}, {"name": "\ud800"},
        {"kind": ["chain"]}, {"share_weights": "no"}, {"stages": {}}, {"stages": []}, {"stages": [7]},
        {"stages": [{"kind": "pyramid"}]}, {"stages": [{**STAGE, "file": "other.safetensors"}]},
        {"stages": [{**STAGE, "file": 7}]}, {"files": []}, {"files": {"stage-0.safetensors": 7}}, {"record": []},
        {"record": {"command": ["e2e-art"]}}, {"record": {"photos": "many"}}, {"record": {"seconds": 10**400}},
        {"record": {"styles": [{}]}}, {"record": {"validation": [{"total": None}]}}, {"record": {"validation": [{}]}},
        {"record": {"palette": [{"color": "blue", "name": "blue"}]}}, {"record": {"started_from": "nothing"}},
        {"record": {"started_from": {"started_from": {"engine": 7}}}}, {"kind": "doodle"},
    ],
    ids=lambda entries: ascii(entries)[:60],
)  # fmt: skip
def test_entries_that_make_no_sense_are_refused_in_one_sentence(folder, entries, capsys):
    """A stranger can write any model.json, and its checksum with it."""
    edit_description(folder, **entries)
    assert_one_sentence(main(["infer", "--info", "--model", str(folder)]), capsys.readouterr().err, "starry_night")
    assert main(["models", str(folder.parent)]) == 0
    assert "damaged: " in capsys.readouterr().out


def test_names_that_no_file_can_have_are_not_found(tmp_path):
    for name in ("x" * 5000, "a\0b", ""):
        with pytest.raises(ModelError, match="There is no model|is no model"):
            read_model(name)


def test_a_model_that_was_read_is_not_read_again(folder):
    from e2e_art.models.kinds import PHOTO, TEXTURE

    model = read_model(folder)
    (folder / "model.onnx").unlink()
    assert read_model(model, PHOTO) is model
    with pytest.raises(ModelError, match="starry_night is a model of kind 'chain', not 'texture': use it as e2e-art"):
        read_model(model, TEXTURE)


def test_any_flipped_bit_in_the_description_is_found(folder):
    path = folder / "model.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        if whole[place : place + 1].isspace():  # layout means nothing
            continue
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ModelError, match="starry_night"):
            read_model(folder)


def test_a_description_laid_out_anew_is_the_same(folder):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert read_model(folder).record == {"seed": 1}


@pytest.mark.parametrize("checksum", [None, "", 7, "0" * 64])
def test_a_description_without_its_checksum_is_refused(folder, checksum):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seal": checksum}))
    with pytest.raises(
        ModelError, match="model.json cannot be read .it has changed since it was written.*: get a whole copy"
    ):
        read_model(folder)


def test_a_model_of_another_kind_or_with_weights_of_another_is_refused(copied):
    from e2e_art.models.publish import load_chain

    for kind, says in (
        ("mosaic", "small_model is a model of kind 'mosaic', which this e2e-art does not know: install the one that"),
        ("texture", r"small_model/model.json describes no model .entry 'stages\[0\].kind': invalid value 'pyramid'"),
    ):
        edit_description(copied, kind=kind)
        with pytest.raises(ModelError, match=says):
            load_chain(read_model(copied))
    stages = json.loads((copied / "model.json").read_text())["stages"]
    for change in ({"channels": [8, 8]}, {"blocks": [0, 1]}, {"details": 8}, {"norm": "batch"}):
        edit_description(copied, kind="chain", stages=[{**stage, **change} for stage in stages])
        with pytest.raises(ModelError, match="stage-0.safetensors is of another model .these weights do not fit"):
            load_chain(read_model(copied))


def test_a_file_that_the_model_does_not_have_is_named(folder):
    with pytest.raises(ModelError, match="starry_night has no style.npz: train it again, or get a whole copy"):
        read_model(folder).path("style.npz")


# Whole or not at all


def test_an_existing_folder_is_left_alone_by_default(folder):
    before = everything_in(folder)
    with pytest.raises(ModelError, match="starry_night exists: choose another --out, or add --overwrite"):
        write(folder, {"stage-0.safetensors": b"new"})
    assert everything_in(folder) == before
    model = write(folder, {"stage-0.safetensors": b"new"}, overwrite=True)
    assert set(everything_in(folder)) == {"stage-0.safetensors", "model.json"}
    assert model.path("stage-0.safetensors").read_bytes() == b"new"
    assert [path.name for path in folder.parent.iterdir()] == ["starry_night"]


def test_overwriting_replaces_models_and_nothing_else(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "wedding.jpg").write_bytes(b"the only copy")
    with pytest.raises(ModelError, match="photos .*no model"):
        write(photos, overwrite=True)
    assert everything_in(photos) == {"wedding.jpg": b"the only copy"}
    (tmp_path / "file").write_bytes(b"a file")
    with pytest.raises(ModelError, match="file"):
        write(tmp_path / "file", overwrite=True)
    assert (tmp_path / "file").read_bytes() == b"a file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "photos"]


FILL_THE_DISK = """
import resource, signal, sys
from pathlib import Path
from e2e_art.models.folder import ModelError, write_model
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as on a full disk: the write fails, and nothing else happens
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
files = {"stage-0.safetensors": b"small", "model.onnx": bytes(100_000)}
try:
    write_model(Path(sys.argv[1]), kind="chain", stages=[], record={}, files=files, overwrite=True)
except ModelError as error:
    print(error)
"""


def test_a_full_disk_leaves_nothing_behind_and_the_old_model_in_place(folder, tmp_path, fresh_python):
    before = everything_in(folder)
    for target in (folder, tmp_path / "deeper" / "new"):
        said = fresh_python(FILL_THE_DISK, target).stdout
        assert f"{target} cannot be written (File too large): free space, or choose another place" in said
    assert everything_in(folder) == before
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == sorted(["deeper", "starry_night", *(f"starry_night/{name}" for name in before)])


def test_a_rename_that_fails_leaves_the_old_model_in_place(folder, monkeypatch):
    before, rename = everything_in(folder), os.replace

    def refuse(source, target):
        if (source / "new.safetensors").exists():
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)  # as on systems that cannot exchange two folders
    for target, options in ((folder, {"overwrite": True}), (folder.with_name("new"), {})):
        with pytest.raises(ModelError, match=f"{target} cannot be written .No space left on device."):
            write(target, {"new.safetensors": b"new"}, **options)
    assert everything_in(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["starry_night"]


# The painting that a model carries


def test_targets_are_kept_within_half_precision(tmp_path):
    random = np.random.RandomState(0)
    targets = []
    for channels, size in ((1, 5.0), (64, 1e-3), (128, 3e6)):
        maps = random.rand(channels, 200).astype(np.float32) * size**0.5
        targets.append((maps @ maps.T / 200)[None])
    packed = StyleTarget(dict(zip("abc", targets))).save()
    assert len(packed) < 2.2 * (1 + 64 * 65 / 2 + 128 * 129 / 2) + 2000  # one triangle, two bytes a number
    unpacked = list(StyleTarget.load(packed).grams.values())
    assert [target.shape for target in unpacked] == [(1, 1, 1), (1, 64, 64), (1, 128, 128)]
    for target, found in zip(targets, unpacked):
        assert found.dtype == np.float32
        assert np.array_equal(found, found.transpose(0, 2, 1))
        assert np.abs(found - target).max() <= 2**-11 * np.abs(target).max()
        assert np.abs(found - target).max() > 0 or target.size == 1


# What is shipped


@pytest.mark.parametrize("folder", [pytest.param(path, id=path.name) for path in model_folders()])
def test_a_shipped_model_is_whole_and_small(folder):
    model = read_model(folder)
    assert {path.name for path in folder.iterdir()} == {*model.files, "model.json"}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6_000_000
    assert len(model.stages) >= 1
    assert model.record["command"]
