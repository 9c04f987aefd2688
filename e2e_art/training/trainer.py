"""A chain learns one painting, stage by stage.

Each step shows the chain a few crops of photos, asks the loss how far its pictures are from painting and photo, and
moves the weights a little.  Everything that the next step depends on goes into one checkpoint file, so that a
training killed at any moment goes on as if nothing had happened.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engines.mxnet import mx
from ..errors import UserError
from ..models.kinds import KINDS
from ..networks.chain import Chain
from .checkpoint import load_checkpoint, optimizer_state, restore_optimizer, save_checkpoint
from .muon import clip_gradients, make_optimizer
from .options import TrainingOptions
from .tasks import make_task

__all__ = ["Step", "Training", "TrainingError", "estimate_seconds", "duration_text"]

WARM_UP = 20  # steps over which the learning rate rises: Adam's first steps would saturate the tanh
# What a checkpoint holds beside weights and optimizer.
_STATE = ("phase", "step", "position", "seconds", "skipped", "photo_count", "best_total", "engine")


class TrainingError(UserError):
    """The training cannot start or go on; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """What one step reports: where the training stands, and its weighted losses."""

    phase: int  # the stage that learns; 0 where all learn at once
    step: int  # steps done in this phase
    steps: int  # steps of this phase
    total_step: int  # steps done in all
    total_steps: int
    losses: list[dict[str, float]]  # of each learning stage: style, content, tv, weighted
    gradient_norm: float
    learning_rate: float
    seconds: float  # spent in training so far, earlier runs included
    waited: float  # seconds of this step that went by waiting for photos


class Training:
    """A training from its first step or from a checkpoint.

    options: what to learn, and how.  checkpoint: the file to save to, and to resume from where `resume` is set.
    contexts: where to compute; a batch is split between several.  start_from: a chain whose weights to begin with.

    Raises TrainingError, PhotoError, ImageError, LossNetworkError, each with one sentence for people.
    """

    def __init__(
        self,
        options: TrainingOptions,
        checkpoint: Path,
        *,
        contexts: Sequence | None = None,
        resume: bool = False,
        start_from: Chain | None = None,
        bfloat16: bool | None = None,
        workers: int = 1,
    ):
        self.options, self.checkpoint, self.workers = options, checkpoint, workers
        self.contexts = list(contexts or [mx.cpu()])
        if options.batch < len(self.contexts):
            devices = len(self.contexts)
            raise TrainingError(f"A batch of {options.batch} cannot be split over {devices} devices: raise it")
        mx.random.seed(options.seed)
        self.chain = KINDS[options.kind].chain(options.generators(), options.share_weights)
        self.chain.initialize(mx.init.Xavier(magnitude=2), ctx=self.contexts)
        self.chain.hybridize(static_alloc=True)
        if start_from is not None:
            stages = len(start_from.generators)
            if options.start_stage >= stages:
                raise TrainingError(f"The model to start from has stages 0 to {stages - 1}, none {options.start_stage}")
            try:
                for index in range(min(stages, len(self.chain.generators))):
                    self.chain.set_stage_weights(index, start_from.stage_weights(index or options.start_stage))
            except ValueError as error:
                raise TrainingError(f"The model to start from does not fit: {error}; choose such --stages") from error
        self.task = make_task(options, self.chain, self.contexts, bfloat16)
        self.phase, self.step, self.position, self.seconds = 0, 0, 0, 0.0
        self.skipped: dict[str, str] = {}
        self.photo_count = 0
        self.engine = "MXNet"  # what the steps were computed by, for the record: benchmarks/gpu_training.py is another
        self._optimizer_state = b""
        self.best_total, self._best = math.inf, []  # of this phase, where the lesson keeps its best weights
        if resume and checkpoint.exists():
            self._load()

    @property
    def phases(self) -> list[list[int]]:
        """The stages that learn, phase by phase: one after another if staged, else all at once."""
        stages = list(range(len(self.chain.generators)))
        return [[stage] for stage in stages] if self.options.coupling == "staged" else [stages]

    def _of_phase(self, values: Sequence, phase: int):
        return values[phase] if len(values) > 1 else values[0]

    def steps_of(self, phase: int) -> int:
        """Returns how many steps a phase takes."""
        return self._of_phase(self.options.steps, phase)

    def run(
        self,
        on_step: Callable[[Step], None] = lambda step: None,
        on_checkpoint: Callable[[Training], None] = lambda training: None,
        checkpoint_every: int = 250,
    ) -> None:
        """Trains to the end; calls on_step after each step, and on_checkpoint when one was saved and as a phase ends.

        Raises TrainingError at a loss that is not finite.  A KeyboardInterrupt raised by on_step leaves a checkpoint.
        """
        self.save()
        while self.phase < len(self.phases):
            with self._photos() as photos:
                self.photo_count = len(photos.photos)
                trainer = self._trainer()
                try:
                    for report in self._steps(photos, trainer):
                        on_step(report)
                        if report.step < report.steps and report.step % checkpoint_every == 0:
                            self._optimizer_state = optimizer_state(trainer)
                            self._keep_best()
                            self.save()
                            on_checkpoint(self)
                except KeyboardInterrupt:
                    self._optimizer_state = optimizer_state(trainer)
                    self.save()
                    raise
                finally:
                    self.skipped.update(photos.skipped)
            self._keep_best()
            for stage, weights in zip(self.phases[self.phase], self._best):
                self.chain.set_stage_weights(stage, weights)
            self.best_total, self._best = math.inf, []
            self.phase, self.step, self._optimizer_state = self.phase + 1, 0, b""
            self._warm_start()
            self.save()
            on_checkpoint(self)

    def time_steps(self, phase: int, steps: int) -> list[float]:
        """Takes a few steps of a phase, which leave no trace; returns the seconds that each of them took."""
        before = {name: getattr(self, name) for name in (*_STATE, "_optimizer_state")}
        weights = {stage: self.chain.stage_weights(stage) for stage in self.phases[phase]}
        self.phase, self._optimizer_state = phase, b""
        seconds = []
        try:
            with self._photos() as photos:
                trainer = self._trainer()
                for _ in range(steps):
                    crops = next(photos)
                    started = time.perf_counter()
                    self._learn(crops, trainer)
                    seconds.append(time.perf_counter() - started)
        finally:
            vars(self).update(before)
            for stage, values in weights.items():
                self.chain.set_stage_weights(stage, values)
        return seconds

    def _photos(self):
        return self.task.batches(self._of_phase(self.options.sizes, self.phase), self.position, self.workers)

    def _trainer(self):
        learning = mx.gluon.ParameterDict()
        for stage in self.phases[self.phase]:
            learning.update(self.chain.generators[stage].collect_params())
        trainer = mx.gluon.Trainer(learning, make_optimizer(self.options.optimizer), update_on_kvstore=False)
        if self._optimizer_state:
            restore_optimizer(trainer, self._optimizer_state)
        return trainer

    def _warm_start(self) -> None:
        """Lets the stage that learns next begin as the last one ended, where both are of a kind."""
        learned = self.steps_of(self.phase - 1) > 0  # a stage of no steps keeps what it started from, the next one too
        warm = self.options.warm_start and self.options.coupling == "staged" and learned
        pair = [each.describe() for each in self.chain.generators[self.phase - 1 : self.phase + 1]]
        pair = [{**description, "residual_weight": None} for description in pair]
        if warm and len(pair) == 2 and pair[0] == pair[1]:
            self.chain.set_stage_weights(self.phase, self.chain.stage_weights(self.phase - 1))

    def _keep_best(self) -> None:
        """Keeps the weights that learn if they are the best of their phase, where the lesson wants that."""
        stages = self.phases[self.phase]
        if self.task.keeps_best and self.steps_of(self.phase):
            total = self.task.validate((), stages[-1:])[0]["total"]
            if total < self.best_total:
                self.best_total, self._best = total, [self.chain.stage_weights(stage) for stage in stages]

    def _steps(self, photos, trainer) -> Iterator[Step]:
        steps, rate = self.steps_of(self.phase), self._of_phase(self.options.learning_rates, self.phase)
        total_steps = sum(self.steps_of(phase) for phase in range(len(self.phases)))
        done = sum(self.steps_of(phase) for phase in range(self.phase))
        while self.step < steps:
            started = time.perf_counter()
            cosine = 0.5 + 0.5 * math.cos(math.pi * self.step / steps)
            trainer.set_learning_rate(rate * min(1.0, (self.step + 1) / WARM_UP) * cosine)
            crops = next(photos)  # (N, size, size, 3)
            waited = time.perf_counter() - started
            losses, norm = self._learn(crops, trainer)
            self.step += 1
            self.position = photos.position
            self.seconds += time.perf_counter() - started
            yield Step(
                phase=self.phase,
                step=self.step,
                steps=steps,
                total_step=done + self.step,
                total_steps=total_steps,
                losses=losses,
                gradient_norm=norm,
                learning_rate=trainer.learning_rate,
                seconds=self.seconds,
                waited=waited,
            )

    def _learn(self, crops: np.ndarray, trainer) -> tuple[list[dict[str, float]], float]:
        """Takes one step; returns the weighted losses of each learning stage and the norm of the gradient."""
        shares = mx.gluon.utils.split_data(self.task.prepare(crops), len(self.contexts), even_split=False)
        terms, totals, learning = [], [], self.phases[self.phase]
        for share, context in zip(shares, self.contexts):
            with mx.autograd.record():
                terms.append(self.task.terms(share.as_in_context(context), learning, self.position))
                totals.append(sum(term.sum() for stage in terms[-1] for term in stage.values()))
        mx.autograd.backward(totals)
        names = terms[0][0]
        losses = [
            {name: float(np.mean(np.concatenate([share[k][name].asnumpy() for share in terms]))) for name in names}
            for k in range(len(terms[0]))
        ]
        trainer.allreduce_grads()
        norm = clip_gradients(trainer, self.contexts, self.options.gradient_clip * len(crops)) / len(crops)
        if not all(map(math.isfinite, [norm, *(value for stage in losses for value in stage.values())])):
            raise TrainingError(
                f"The loss is not finite at step {self.step + 1} of stage {self.phase} ({losses}, gradient {norm}): "
                "lower --learning-rate or --gradient-clip; the last checkpoint is kept"
            )
        trainer.update(len(crops))
        return losses, norm

    def save(self) -> None:
        """Saves everything that the next step depends on; raises OSError where that cannot be written."""
        state = {name: getattr(self, name) for name in _STATE}
        weights = [self.chain.stage_weights(index) for index in range(len(self.chain.generators))]
        state["options"] = self.options.describe()
        save_checkpoint(self.checkpoint, state, [*weights, *self._best], self._optimizer_state)

    def _load(self) -> None:
        state, weights, self._optimizer_state = load_checkpoint(self.checkpoint)
        changed = self.options.differences(state["options"])
        if changed:
            raise TrainingError(
                f"{self.checkpoint} was made with other options ({changed}): give the same command line again, "
                "or train into another --out"
            )
        count = len(self.chain.generators)
        for index, stage in enumerate(weights[:count]):
            self.chain.set_stage_weights(index, stage)
        self._best = weights[count:]
        for name in _STATE:
            setattr(self, name, state.get(name, getattr(self, name)))


STEPS = 4  # measured of each phase, after a first one that prepares what the others use


def estimate_seconds(training, validation: Sequence[Path] = (), checkpoint_every: int = 250) -> float:
    """Returns about how many seconds the rest of a `Training` takes, validations included.

    It takes a few steps of each phase to come and judges one photo, which leaves no trace in the training.
    """
    seconds, checks = 0.0, 0
    for phase in range(training.phase, len(training.phases)):
        steps = training.steps_of(phase) - (training.step if phase == training.phase else 0)
        if steps:
            seconds += steps * statistics.median(training.time_steps(phase, STEPS + 1)[1:])
            checks += -(-steps // checkpoint_every)
    if validation:
        stages = range(len(training.chain.generators))
        training.task.validate(validation[:1], stages[-1:])
        started = time.perf_counter()
        training.task.validate(validation[:1], stages[-1:])
        seconds += (checks + len(stages)) * len(validation) * (time.perf_counter() - started)
    return seconds


def duration_text(seconds: float) -> str:
    """Returns a duration as people say it: "40 seconds", "25 minutes", "1 h 05 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
