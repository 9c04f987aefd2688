"""Trainings that diverge end in one sentence: nothing is published, and the last good checkpoint stays."""

import numpy as np
import pytest
from helpers import TINY, assert_one_sentence, tiny_chain

from e2e_art.commands.main import main
from e2e_art.errors import ModelError
from e2e_art.models.publish import publish
from e2e_art.models.quantization import is_kept
from e2e_art.training.checkpoint import load_checkpoint
from e2e_art.training.options import TrainingOptions
from e2e_art.training.publish import publish_training
from e2e_art.training.trainer import Training, TrainingError

pytestmark = [pytest.mark.training, pytest.mark.numerical, pytest.mark.usefixtures("brief_trainings")]


@pytest.fixture
def training(files, tmp_path):
    """A training of two stages that has saved its first checkpoint."""
    options = TrainingOptions(
        styles=(str(files / "painting.jpg"),), photos=str(files / "photos"), stages="pyramid,pyramid", steps=(2,),
        sizes=(32,), style_size=64,
    )  # fmt: skip
    training = Training(options, tmp_path / "checkpoint.npz", bfloat16=False)
    training.save()
    return training


def spoil(training, value: float, stage: int = 0) -> None:
    """Gives a weight of a stage a value."""
    weights = training.chain.stage_weights(stage)
    name = next(name for name, weight in weights.items() if weight.ndim == 4)
    weights[name].flat[0] = value
    training.chain.set_stage_weights(stage, weights)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38, 70000])
@pytest.mark.parametrize("stage", [0, 1])
def test_what_has_diverged_is_neither_saved_nor_published(training, tmp_path, value, stage):
    before = training.checkpoint.read_bytes()
    spoil(training, value, stage)
    with pytest.raises(TrainingError, match="has diverged, .*: lower --learning-rate .* the last checkpoint is kept"):
        training.save()
    with pytest.raises(TrainingError, match="has diverged"):
        publish_training(training, tmp_path / "model")
    assert training.checkpoint.read_bytes() == before
    assert load_checkpoint(training.checkpoint).state["step"] == 0
    assert not (tmp_path / "model").exists()


def test_a_stage_that_diverged_in_its_last_step_is_not_built_on(training):
    seen = []

    def on_step(step) -> None:
        seen.append((step.phase, step.step))
        if step.step == step.steps:
            spoil(training, np.nan)

    with pytest.raises(TrainingError, match="Stage 0 has diverged"):
        training.run(on_step)
    assert seen == [(0, 1), (0, 2)]
    assert load_checkpoint(training.checkpoint).state["phase"] == 0


def test_chains_are_not_published_with_such_weights(tmp_path):
    chain = tiny_chain(stages=1)
    weights = chain.stage_weights(0)
    next(iter(weights.values())).flat[0] = np.nan
    chain.set_stage_weights(0, weights)
    with pytest.raises(ModelError, match="is not written, since stage 0 has diverged: lower --learning-rate"):
        publish(chain, tmp_path / "model", {})
    assert TINY and not (tmp_path / "model").exists()


def test_what_a_file_can_hold():
    assert [is_kept(np.float32([0, value])) for value in (1, -65504, 65600, np.inf, np.nan)] == [True, True] + 3 * [
        False
    ]


@pytest.mark.parametrize("kind", ["chain", "texture"])
def test_a_learning_rate_beyond_reason(files, tmp_path, capfd, kind):
    out = tmp_path / "out"
    what = ["--texture", files / "painting.jpg"]
    if kind == "chain":
        what = ["--style", files / "painting.jpg", "--photos", files / "photos", "--stages", "pyramid,pyramid"]
    words = [*what, "--out", out, "--steps", 3, "--size", 32, "--style-size", 64, "--learning-rate", 1e9]
    assert main(["train", *map(str, words), "--no-bfloat16"]) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert_one_sentence(2, last[last.index("e2e-art: ") :], "lower --learning-rate", "the last checkpoint is kept")
    assert not out.exists()
    assert load_checkpoint(tmp_path / "out.training" / "checkpoint.npz").state["step"] < 3
