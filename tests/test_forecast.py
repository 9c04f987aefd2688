"""How long a training will take: what is counted, and that counting leaves no trace."""

from types import SimpleNamespace

import numpy as np
import pytest

from e2e_art.losses.options import LossOptions
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import MEASURED, Training, TrainingState, duration_text, estimate_seconds

pytestmark = [pytest.mark.training, pytest.mark.numerical]

CHEAP = LossOptions(style_layers=("relu1_1", "relu2_1"), content_layers=("relu2_1",))


@pytest.fixture
def training_of(files, tmp_path):
    """Makes a training of two small stages in this process."""

    def make(**options) -> Training:
        tiny = dict(stages="pyramid,pyramid", steps=(3,), sizes=(32,), style_size=64, loss=CHEAP, style_boosts=(1.0,))
        tiny.update(styles=(str(files / "painting.jpg"),), photos=str(files / "photos"))
        path = tmp_path / "checkpoint.npz"
        return Training(TrainingOptions(**{**tiny, **options}), path, bfloat16=False)

    return make


def weights_of(training) -> list[np.ndarray]:
    chain = training.chain
    return [weight for stage in range(len(chain.generators)) for weight in chain.stage_weights(stage).values()]


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_rehearsal_leaves_no_trace(training_of, norm):
    plain, rehearsed = training_of(norm=norm), training_of(norm=norm)
    before = weights_of(rehearsed)
    assert len(rehearsed.time_steps(1, 4)) == 4
    assert all(np.array_equal(one, other) for one, other in zip(before, weights_of(rehearsed)))
    assert rehearsed.state == TrainingState()
    losses = []
    for training in (plain, rehearsed):
        steps = []
        training.run(lambda step, steps=steps: steps.append(step.losses[-1]["style"]))
        losses.append(steps)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_rehearsal_keeps_the_state_of_the_optimizer(training_of):
    training = training_of()
    training.learn(np.full((1, 32, 32, 3), 99, np.uint8), 1e-3)
    before = training.learner.optimizer.state()
    training.time_steps(0, 1)
    after = training.learner.optimizer.state()
    assert before.keys() == after.keys() and before["steps"] == 1
    assert all(np.array_equal(before[name], after[name]) for name in before)


class Clockwork:
    """A training whose steps take 1 second in the first phase and 2 in the second, after a slow first one."""

    def __init__(self, phase: int = 0, step: int = 0):
        self.phases, self.state = [[0], [1]], TrainingState(phase=phase, step=step)
        self.rehearsed: list[int] = []

    options = SimpleNamespace(steps=(100, 50))

    def time_steps(self, phase: int, steps: int) -> list[float]:
        self.rehearsed.append(phase)
        assert steps == MEASURED + 1
        return [60.0, *[phase + 1.0] * (MEASURED - 1), 9.0]  # the last one was disturbed


@pytest.mark.parametrize(
    ("phase", "step", "seconds"), [(0, 0, 100 + 2 * 50), (0, 40, 60 + 2 * 50), (1, 10, 2 * 40), (2, 0, 0)]
)
def test_what_is_left_is_counted_phase_by_phase(phase, step, seconds):
    training = Clockwork(phase, step)
    assert estimate_seconds(training) == seconds
    assert training.rehearsed == [0, 1][phase:]


def test_validations_count(training_of, files, monkeypatch):
    training = training_of(steps=(30, 10))
    photos = sorted((files / "photos").rglob("*.jpg"))
    training.time_steps = lambda phase, steps: [0.0] * steps
    judged = []
    validate = training.task.validate
    training.task.validate = lambda paths, stages: judged.append((list(paths), list(stages))) or validate(paths, stages)
    ticks = iter(range(100))
    monkeypatch.setattr("e2e_art.training.trainer.time.perf_counter", lambda: next(ticks))  # a second from call to call
    # Three checks of the first stage, one of the second, and at the end one of each: 1 second for each photo.
    assert estimate_seconds(training, photos, 10) == (3 + 1 + 2) * len(photos)
    assert judged == [(photos[:1], [1])] * 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (89, "89 seconds"), (90, "2 minutes"), (3540, "59 minutes"), (3899, "1 h 05 min")],
)
def test_durations_in_words(seconds, words):
    assert duration_text(seconds) == words


def test_the_command_says_so_first(files, tmp_path, capsys):
    from e2e_art.commands.main import main

    words = ["train", "--style", files / "painting.jpg", "--photos", files / "photos", "--out", tmp_path / "out"]
    words += ["--stages", "pyramid", "--steps", 3, "--size", 32, "--style-size", 64, "--no-bfloat16"]
    assert main([str(word) for word in words]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("Timing a few steps") and second.startswith("3 steps to go: about ")
