"""A training that is stopped, killed or refused, and goes on as if nothing had happened: with real processes."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import ROOT, assert_one_sentence, on_full_disk, tree

from e2e_art.commands.main import main
from e2e_art.models.folder import read_model
from e2e_art.models.publish import load_chain
from e2e_art.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

pytestmark = [pytest.mark.training, pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]

STEPS = 10  # of each of the two stages


def words_of(files, out, *more) -> list[str]:
    """Returns a command of two stages, quick to do, that the script and `main` both take."""
    command = ["train", "--style", files / "painting.jpg", "--photos", files / "photos", "--out", out]
    command += ["--stages", "pyramid,pyramid", "--steps", STEPS, "--size", 32, "--style-size", 64, "--no-bfloat16"]
    command += ["--style-layers", "relu1_1", "relu2_1", "--content-layer", "relu2_1", "--batch", 2]
    return [str(word) for word in (*command, "--checkpoint-every", 2, *more)]


def start(words: list[str]) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "train.py"), *words[1:]]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def steps_in(log) -> list[int]:
    """Returns the steps of a log; a last line that is being written does not count."""
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    return [json.loads(line)["total_step"] for line in lines]


def wait_for_step(running: subprocess.Popen, log, step: int) -> None:
    """Waits until so many steps are in the log."""
    deadline = time.monotonic() + 120
    while max(steps_in(log), default=0) < step:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def last_line(text: str) -> str:
    return re.split(r"[\r\n]+", text.strip())[-1]  # the progress bar stands before it


def assert_same_weights(checkpoint, expected, tolerance: float = 1e-5) -> None:
    stages, reference = load_checkpoint(checkpoint).weights, load_checkpoint(expected).weights
    assert len(stages) == len(reference) == 2
    for stage, other in zip(stages, reference):
        assert stage.keys() == other.keys()
        assert max(np.abs(stage[name] - other[name]).max() for name in stage) < tolerance


@pytest.fixture(scope="module")
def whole(files):
    """A training that nothing interrupted: its working folder."""
    assert main(words_of(files, files / "whole")) == 0
    return files / "whole.training"


@pytest.fixture(scope="module")
def stopped(files):
    """A training that Ctrl-C stopped in its first stage: its working folder and what it said."""
    running = start(words_of(files, files / "stopped"))
    wait_for_step(running, files / "stopped.training" / "log.jsonl", 3)
    running.send_signal(signal.SIGINT)
    out, error = running.communicate(timeout=120)
    return files / "stopped.training", running.returncode, out, error


def test_killed_at_any_moment_it_goes_on_to_the_same_weights(files, whole, tmp_path):
    out, working = tmp_path / "out", tmp_path / "out.training"
    random = np.random.default_rng()
    moments = sorted(random.integers(2, 2 * STEPS - 7, 2))
    delays = random.uniform(0, 0.1, 2)
    print("killed after steps", moments, "and", delays, "seconds")  # pytest shows it where the test fails
    for moment, delay in zip(moments, delays):
        running = start(words_of(files, out, *(["--resume"] if working.exists() else [])))
        wait_for_step(running, working / "log.jsonl", moment)
        time.sleep(delay)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        assert running.returncode == -signal.SIGKILL
        state = load_checkpoint(working / "checkpoint.npz").state
        assert STEPS * state["phase"] + state["step"] >= moment - 2  # no more than --checkpoint-every is lost
    assert not out.exists()
    assert main(words_of(files, out, "--resume")) == 0
    assert_same_weights(working / "checkpoint.npz", whole / "checkpoint.npz")
    # Nobody can tell the model or the log from those of the other.
    for name in ("stage-0.safetensors", "stage-1.safetensors"):
        assert (out / name).stat().st_size == (files / "whole" / name).stat().st_size
    assert read_model(out).record["photos"] == 8
    assert "--resume" not in read_model(out).record["command"]
    assert steps_in(working / "log.jsonl") == steps_in(whole / "log.jsonl") == list(range(1, 2 * STEPS + 1))


def test_ctrl_c_saves_and_says_how_to_go_on(files, whole, stopped, tmp_path):
    working, code, said, error = stopped
    assert code == 130
    assert "Traceback" not in error
    command = re.search(r"Stopped; nothing is lost. To go on: (e2e-art train .* --resume)$", said, re.MULTILINE)[1]
    state = load_checkpoint(working / "checkpoint.npz").state
    assert state["phase"] * STEPS + state["step"] == steps_in(working / "log.jsonl")[-1]  # not one step is lost
    assert not (files / "stopped").exists()
    # What it says is what works; on a copy, as other tests need this one.
    shutil.copytree(working, tmp_path / "stopped.training")
    words = shlex.split(command)[1:]
    words[words.index("--out") + 1] = str(tmp_path / "stopped")
    assert main(words) == 0
    assert_same_weights(tmp_path / "stopped.training" / "checkpoint.npz", whole / "checkpoint.npz")


@pytest.fixture
def refused(files, stopped, tmp_path, capsys):
    """Runs a command on a copy of the stopped training, which must fail and leave it as it is."""
    working = tmp_path / "out.training"
    shutil.copytree(stopped[0], working)

    def run(*more, says=()):
        before = tree(tmp_path)
        code = main(words_of(files, tmp_path / "out", *more))
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert_one_sentence(code, last_line(said), *says)
        assert tree(tmp_path) == before

    return run


def test_other_options_cannot_go_on(refused, tmp_path):
    path = tmp_path / "out.training" / "checkpoint.npz"
    says = [path, "other options", "the same command line", "another --out"]
    refused("--resume", "--batch", 3, says=[*says, "batch: 2"])
    refused("--resume", "--style-weight", 5, says=[*says, "20.0"])
    refused("--resume", "--stages", "pyramid", says=[*says, "stages: pyramid,pyramid"])


def test_a_checkpoint_from_before_an_option_came_goes_on(files, stopped, whole, tmp_path):
    shutil.copytree(stopped[0], tmp_path / "out.training")
    path = tmp_path / "out.training" / "checkpoint.npz"
    checkpoint = load_checkpoint(path)
    del checkpoint.state["options"]["start_from"], checkpoint.state["options"]["loss"]["patch_weight"]
    save_checkpoint(path, checkpoint)
    assert main(words_of(files, tmp_path / "out", "--resume")) == 0
    assert_same_weights(path, whole / "checkpoint.npz")


def test_a_training_that_waits_to_go_on_is_not_lost_by_leaving_resume_out(refused, tmp_path):
    refused(says=[tmp_path / "out.training" / "checkpoint.npz", "--resume", "--overwrite"])


@pytest.mark.parametrize("damage", ["cut short", "one byte", "empty", "text"])
def test_a_damaged_checkpoint(refused, tmp_path, damage):
    path = tmp_path / "out.training" / "checkpoint.npz"
    content = bytearray(path.read_bytes())
    if damage == "one byte":
        content[len(content) // 2] ^= 16
    whole = {"cut short": content[: len(content) // 2], "one byte": content, "empty": b"", "text": b"no checkpoint"}
    path.write_bytes(whole[damage])
    refused("--resume", says=[path, "no whole checkpoint", "delete it to start anew"])


def test_a_disk_that_fills_costs_no_checkpoint(files, stopped, tmp_path):
    working = tmp_path / "out.training"
    shutil.copytree(stopped[0], working)
    before = (working / "checkpoint.npz").read_bytes()
    done = on_full_disk(50_000, "train.py", *words_of(files, tmp_path / "out", "--resume")[1:])
    error = done.stderr.decode()
    assert done.returncode == 2
    assert "Traceback" not in error
    assert_one_sentence(2, last_line(error), working, "cannot be written", "free space", "--resume")
    assert (working / "checkpoint.npz").read_bytes() == before
    assert not (tmp_path / "out").exists()
    assert [path.name for path in working.iterdir() if ".part" in path.name] == []


def test_a_disk_that_is_full_from_the_start(files, tmp_path):
    done = on_full_disk(50_000, "train.py", *words_of(files, tmp_path / "out")[1:])
    said = last_line(done.stderr.decode())
    assert_one_sentence(done.returncode, said, tmp_path / "out", "free space, then give the same command again")
    assert "--resume" not in said  # nothing is left to go on with
    assert tree(tmp_path) == {}


def test_a_finished_training_can_be_published_again(files, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out.training")
    assert main(words_of(files, tmp_path / "out", "--resume")) == 0
    record, again = (read_model(path).record for path in (files / "whole", tmp_path / "out"))
    assert again["photos"] == record["photos"] == 8
    for name in ("stage-0.safetensors", "stage-1.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (files / "whole" / name).read_bytes()


def test_a_log_whose_last_line_was_cut_by_the_kill(files, stopped, whole, tmp_path):
    working = tmp_path / "out.training"
    shutil.copytree(stopped[0], working)
    with (working / "log.jsonl").open("a") as log:
        log.write('{"phase": 0, "st')
    assert main(words_of(files, tmp_path / "out", "--resume")) == 0
    assert steps_in(working / "log.jsonl") == list(range(1, 2 * STEPS + 1))


def test_ctrl_c_belongs_to_the_caller_again(files, tmp_path):
    def callers(*signal_and_frame) -> None:
        """Stands for what the caller does on Ctrl-C."""

    before = signal.signal(signal.SIGINT, callers)
    try:
        assert main(words_of(files, tmp_path / "out", "--steps", 1)) == 0
        assert signal.getsignal(signal.SIGINT) is callers
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_another_engine_trained_becomes_the_model_and_is_said(files, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out.training")
    path = tmp_path / "out.training" / "checkpoint.npz"
    checkpoint = load_checkpoint(path)
    (engine,), record = checkpoint.state["times"], read_model(files / "whole").record
    assert engine == record["engine"] and engine.startswith(("MXNet 1.", "PyTorch 2.")) and engine.endswith(", CPU")
    weights = [{name: 0.5 * weight for name, weight in stage.items()} for stage in checkpoint.weights]
    times = {engine: 60.0, "PyTorch 2.11.0, a GPU": 120.0}
    save_checkpoint(path, Checkpoint({**checkpoint.state, "times": times}, weights))
    assert main(words_of(files, tmp_path / "out", "--resume")) == 0
    model = read_model(tmp_path / "out")
    assert model.record["engine"] == f"{engine} and PyTorch 2.11.0, a GPU" and model.record["seconds"] == 180
    times = model.training_time.split(" and ")
    assert "2 minutes by PyTorch 2.11.0, a GPU" in times and any(each.split(" by ")[0] == "1 minute" for each in times)
    kept = load_chain(model).stage_weights(1)
    assert max(np.abs(kept[name] - weights[1][name]).max() for name in kept) < 0.01


def test_a_checkpoint_of_version_0_2_goes_on(files, stopped, whole, tmp_path):
    """It has one engine, and constants among the weights."""
    shutil.copytree(stopped[0], tmp_path / "out.training")
    path = tmp_path / "out.training" / "checkpoint.npz"
    checkpoint = load_checkpoint(path)
    del checkpoint.state["times"]
    checkpoint.state.update(engine="MXNet", seconds=42.0)
    constants = {"means": (1, 3, 1, 1), "coarse.0.1.mean": (128,), "grow_coarse.weight": (48, 1, 4, 4)}
    for weights in checkpoint.weights:
        weights.update({name: np.ones(shape, np.float32) for name, shape in constants.items()})
    save_checkpoint(path, checkpoint)
    assert main(words_of(files, tmp_path / "out", "--resume")) == 0
    assert_same_weights(path, whole / "checkpoint.npz")
    assert load_checkpoint(path).state["times"]["MXNet"] == 42
