"""Checkpoints: what is saved comes back, and a stranger's can only be refused, in one sentence."""

import io
import json
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, assert_one_sentence

from e2e_art.losses.options import LossOptions
from e2e_art.training import options as options_module
from e2e_art.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training, TrainingError

pytestmark = pytest.mark.numerical


class Payload:
    """What makes a file where it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.fixture(scope="module")
def options(files):
    """Options of a tiny training, whose preset goes with the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(options_module.PRESETS, "tiny", [TINY] * 2)
        loss = LossOptions(style_layers=("relu1_1",), content_layers=("relu1_1",))
        paths = dict(styles=(str(files / "painting.jpg"),), photos=str(files / "photos"))
        yield TrainingOptions(stages="tiny", steps=(3,), sizes=(32,), style_size=64, loss=loss, **paths)


@pytest.fixture(scope="module")
def saved(options, files):
    """The checkpoint of a training that stopped after two steps: its path."""
    path = files / "saved.npz"

    def stop(step) -> None:
        if step.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Training(options, path, bfloat16=False).run(stop)
    return path


@pytest.fixture(scope="module")
def refused(options):
    """Returns the sentence that a checkpoint is refused with."""

    def resume(path: Path) -> str:
        with pytest.raises((CheckpointError, TrainingError)) as error:
            Training(options, path, bfloat16=False, resume=True)
        assert_one_sentence(2, f"e2e-art: {error.value}", str(path))
        return str(error.value)

    return resume


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def test_what_is_saved_comes_back(saved, tmp_path):
    checkpoint = load_checkpoint(saved)
    assert (checkpoint.state["phase"], checkpoint.state["step"], checkpoint.state["position"]) == (0, 2, 2)
    assert len(checkpoint.weights) == 2 and checkpoint.optimizer["steps"] == 2
    assert "momentum/0/coarse.0.0.weight" in checkpoint.optimizer and "mean/0/look.bias" in checkpoint.optimizer
    save_checkpoint(tmp_path / "again.npz", replace(checkpoint, best=checkpoint.weights[:1]))
    again = load_checkpoint(tmp_path / "again.npz")
    assert again.state == checkpoint.state and len(again.best) == 1
    for one, other in zip((*checkpoint.weights, checkpoint.weights[0]), (*again.weights, *again.best)):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert all(np.array_equal(array, again.optimizer[name]) for name, array in checkpoint.optimizer.items())


def test_it_holds_plain_arrays_under_their_names(saved):
    arrays = arrays_of(saved)
    assert {str(array.dtype) for array in arrays.values()} == {"float32", "uint8", "int64"}
    assert {name.partition("/")[0] for name in arrays} == {"state", "weights", "optimizer"}
    assert json.loads(arrays["state"].tobytes())["format"] == 2


def test_a_checkpoint_of_version_0_1_is_never_unpickled(saved, refused, tmp_path):
    ran, path = tmp_path / "ran", tmp_path / "old.npz"
    arrays = {name.removeprefix("weights/"): array for name, array in arrays_of(saved).items() if "optim" not in name}
    state = json.loads(arrays["state"].tobytes())
    del state["format"]
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    arrays["optimizer"] = np.frombuffer(pickle.dumps(Payload(ran)), np.uint8)  # as it kept what Gluon pickled
    np.savez(path, **arrays)
    assert "written by e2e-art 0.1" in refused(path) and "train anew, or finish it with that version" in refused(path)
    assert not ran.exists()
    pickle.loads(arrays["optimizer"].tobytes())
    assert ran.exists()  # the payload is one


def test_a_checkpoint_of_a_later_version(saved, refused, tmp_path):
    arrays = arrays_of(saved)
    state = {**json.loads(arrays["state"].tobytes()), "format": 3}
    np.savez(tmp_path / "new.npz", **{**arrays, "state": np.frombuffer(json.dumps(state).encode(), np.uint8)})
    assert "later version" in refused(tmp_path / "new.npz")


@pytest.mark.parametrize("place", ["state", "weights/0/look.weight", "optimizer/mean/0/look.bias", "file"])
def test_pickles_are_not_run(saved, refused, tmp_path, place):
    ran, path = tmp_path / "ran", tmp_path / "checkpoint.npz"
    payload = np.array([Payload(ran)], object)
    if place == "file":
        path.write_bytes(pickle.dumps(payload))
    else:
        np.savez(path, **{**arrays_of(saved), place: payload})
    assert "is no whole checkpoint" in refused(path)
    assert not ran.exists()
    with path.open("rb") as content:
        loaded = np.load(content, allow_pickle=True)
        if place != "file":
            loaded[place]
    assert ran.exists()  # the payload is one


WEIGHT, STEPS = "weights/1/look.weight", "optimizer/steps"
FLOAT = np.zeros(16, np.float32)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({WEIGHT: None}, "do not fit stage 1"),
        ({WEIGHT: FLOAT}, "do not fit stage 1"),
        ({"weights/1/more": FLOAT}, "do not fit stage 1"),
        ({"weights/2/more": FLOAT}, "weights of other stages"),
        ({"weights/4/more": FLOAT}, "no whole checkpoint"),
        ({"best/0/more": FLOAT}, "do not fit stage 0"),
        ({"optimizer/mean/0/look.bias": None}, "of other weights"),
        ({"optimizer/mean/0/look.bias": FLOAT[:3]}, "of other weights"),
        ({"optimizer/mean/7/look.bias": FLOAT}, "of other weights"),
        ({STEPS: np.array(-1)}, "of other weights"),
        ({STEPS: np.array([1, 2])}, "of other weights"),
        ({STEPS: np.array(1.5)}, "no whole checkpoint"),
        ({STEPS: np.array("one")}, "no whole checkpoint"),
        ({WEIGHT: FLOAT.astype(np.float64)}, "single precision"),
        ({WEIGHT: FLOAT.astype("S1")}, "single precision"),
        ({WEIGHT: FLOAT * np.nan}, "finite"),
        ({"optimizer/mean/0/look.bias": FLOAT[:4] + np.inf}, "finite"),
        ({"more": FLOAT}, "no whole checkpoint"),
        ({"weights/x/more": FLOAT}, "no whole checkpoint"),
        ({"state": None}, "no whole checkpoint"),
        ({"state": np.frombuffer(b"[1, 2]", np.uint8)}, "no whole checkpoint"),
        ({"state": np.frombuffer(b"[" * 100000, np.uint8)}, "no whole checkpoint"),
        ({"state": np.frombuffer(b"\xff{}", np.uint8)}, "no whole checkpoint"),
    ],
)
def test_arrays_that_do_not_belong_there(saved, refused, tmp_path, entries, reason):
    arrays = {**arrays_of(saved), **entries}
    np.savez(tmp_path / "checkpoint.npz", **{name: array for name, array in arrays.items() if array is not None})
    assert reason in refused(tmp_path / "checkpoint.npz")


def test_an_optimizer_that_is_missing_after_the_first_step(saved, refused, tmp_path):
    save_checkpoint(tmp_path / "checkpoint.npz", replace(load_checkpoint(saved), optimizer={}))
    assert "of other weights" in refused(tmp_path / "checkpoint.npz")


@pytest.mark.parametrize(
    "entries",
    [
        {"phase": 3}, {"phase": -1}, {"phase": True}, {"phase": "0"}, {"phase": None}, {"phase": 2}, {"step": 4},
        {"step": 0.5}, {"position": -1}, {"position": 3}, {"position": 2**60}, {"step": 10**400},
        {"times": {"CPU": float("nan")}}, {"times": {"CPU": float("inf")}}, {"times": {"CPU": -1}}, {"times": 5},
        {"seconds": -1, "engine": "MXNet"}, {"seconds": 1, "engine": 5}, {"skipped": {"a": 1}},
        {"skipped": []}, {"photo_count": -5}, {"best_total": float("nan")}, {"options": None},
        {"options": {}}, {"options": {"loss": {}, "steps": "abc"}}, {"options": [1]}, {"times": {"x" * 2**21: 1}},
        {"options": {"stages": "conv," * 10**6}}, {"options": {"steps": [10**30] * 10**5}},
        {"skipped": {"a": "x" * 2**21}},
    ],
)  # fmt: skip
def test_states_that_cannot_be(saved, refused, tmp_path, entries):
    checkpoint = load_checkpoint(saved)
    save_checkpoint(tmp_path / "checkpoint.npz", replace(checkpoint, state={**checkpoint.state, **entries}))
    assert "options" in entries or "does not fit" in refused(tmp_path / "checkpoint.npz")
    refused(tmp_path / "checkpoint.npz")


def npy(header: str, content: bytes = b"") -> bytes:
    """Returns an array file whose header says what it likes."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


SHAPE = "{{'descr': '{}', 'fortran_order': False, 'shape': {}}}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights/0/look.bias.npy", npy(SHAPE.format("<f4", (10**12,)))),
        ("weights/0/look.bias.npy", npy(SHAPE.format("<f4", (2**31, 2**31, 2**31)))),
        ("weights/0/look.bias.npy", npy(SHAPE.format("<f4", (-4,)), b"1234" * 4)),
        ("weights/0/look.bias.npy", npy(SHAPE.format("|V0", (10**15,)))),
        ("weights/0/look.bias.npy", npy(SHAPE.format("|O", (4,)), b"cos\nsystem\n(S'touch ran'\ntR.")),
        ("weights/0/look.bias.npy", npy("__import__('os').system('touch ran')")),
        ("weights/0/look.bias.npy", b"no array"),
        ("../../outside.npy", npy(SHAPE.format("<f4", (1,)), b"1234")),
        ("/outside.npy", npy(SHAPE.format("<f4", (1,)), b"1234")),
        ("weights/0/../look.npy", npy(SHAPE.format("<f4", (1,)), b"\0" * 4)),
        ("weights\\0\\look\0.npy", npy(SHAPE.format("<f4", (1,)), b"\0" * 4)),
    ],
)
def test_entries_by_hand(saved, refused, tmp_path, monkeypatch, name, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in" / "checkpoint.npz"
    path.parent.mkdir()
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            if entry.filename != name:
                target.writestr(entry.filename, source.read(entry))
        target.writestr(name, content)
    refused(path)
    assert [each.name for each in tmp_path.rglob("*")] == ["in", "checkpoint.npz"]  # nothing ran, nothing got out


def test_a_small_file_that_fills_the_memory(saved, refused, tmp_path):
    path = tmp_path / "checkpoint.npz"
    file = io.BytesIO()
    np.save(file, np.zeros(25_000_000, np.float32))
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
        target.writestr("weights/0/more.npy", file.getvalue())
    assert path.stat().st_size < 2**20
    assert "unpacks to more than it is" in refused(path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_files_of_other_kinds(refused, tmp_path, content):
    (tmp_path / "checkpoint.npz").write_bytes(content)
    assert "is no whole checkpoint" in refused(tmp_path / "checkpoint.npz")


def test_every_truncation_is_found(saved, refused, tmp_path):
    whole = saved.read_bytes()
    for share in (0.01, 0.3, 0.7, 0.99):
        (tmp_path / "checkpoint.npz").write_bytes(whole[: int(share * len(whole))])
        assert "is no whole checkpoint" in refused(tmp_path / "checkpoint.npz")


def test_folders_pipes_and_gigabytes_are_no_checkpoints(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # would keep its reader waiting for good
    with (tmp_path / "gigabytes").open("wb") as file:
        file.truncate(20 * 2**30)  # takes no room on the disk
    for name, reason in (("folder", "a folder"), ("pipe", "no regular file"), ("gigabytes", "larger than 537 MB")):
        assert f"is no whole checkpoint (it is {reason})" in refused(tmp_path / name)
