"""A chain learns one painting, stage by stage.

Each step shows the chain a few crops of photos, computes the loss of its pictures, and moves the weights a little.
Everything that the next step depends on goes into one checkpoint file, so that a training killed at any moment goes on
as if nothing had happened.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from ..data.photos import Photos
from ..engines.gluon import cpu, described, on_cpu, to_numpy
from ..errors import UserError, plural
from ..files import Count, Measure, Text, check
from ..models.kinds import KINDS
from ..models.quantization import is_kept
from ..networks.chain import Chain, without_constants
from .checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from .options import TrainingOptions
from .step import Learner
from .task import Task

__all__ = ["Step", "Training", "TrainingError", "TrainingState", "duration_text", "estimate_seconds"]

WARM_UP = 20  # steps over which the learning rate rises: Adam's first steps would saturate the tanh
FETCH_EVERY = 10  # steps on a GPU, which would wait for Python in between
MEASURED = 4  # steps of each phase for the time estimate, after a first one that prepares what the others use


class TrainingError(UserError):
    """The training cannot start or go on; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """What one step reports: where the training stands, and its weighted losses."""

    phase: int  # the stage that learns; 0 where all learn at once
    stage: int  # the last of those whose pictures the loss sees
    step: int  # steps done in this phase
    steps: int  # steps of this phase
    total_step: int  # steps done in all
    total_steps: int
    losses: list[dict[str, float]]  # of each stage that the loss sees: its weighted terms by name
    gradient_norm: float
    learning_rate: float
    seconds: float  # spent in training so far, earlier runs included
    waited: float  # seconds of this step that went by waiting for photos


@dataclass
class TrainingState:
    """Where a training stands: what a checkpoint holds beside arrays and options."""

    phase: Count = 0
    step: Count = 0  # steps done in this phase
    position: Count = 0  # crops shown so far
    # Seconds, by what computed.
    times: Annotated[dict[Text, Measure], Meta(max_length=32)] = field(default_factory=dict)
    photo_count: Count = 0
    best_total: Annotated[float, Meta(ge=0)] = math.inf  # of this phase, where the task keeps its best weights
    skipped: dict[str, Text] = field(default_factory=dict)  # why, by photo

    @property
    def seconds(self) -> float:
        """How long it has learned."""
        return sum(self.times.values())

    @classmethod
    def of(cls, values: dict[str, Any]) -> TrainingState:
        """Returns the state that a checkpoint holds; raises ValueError where it cannot be one."""
        if "seconds" in values:  # of version 0.2
            values = {**values, "times": {check(values["engine"], Text): values["seconds"]}}
        return check({name: values[name] for name in vars(cls())}, cls)


class Training:
    """A training from its first step or from a checkpoint.

    options: what to learn, and how.  checkpoint: the file to save to, and to resume from where `resume` is set.
    devices: where to compute; a batch is split between several.  start_from: a chain whose weights to begin with.
    photos: to learn from, those that the options name by default.

    Raises TrainingError, CheckpointError, PhotoError, ImageError, LossNetworkError, each with one sentence for people.
    """

    def __init__(
        self,
        options: TrainingOptions,
        checkpoint: Path,
        *,
        devices: Sequence | None = None,
        resume: bool = False,
        start_from: Chain | None = None,
        bfloat16: bool | None = None,
        workers: int | None = None,
        photos: Photos | None = None,
    ):
        self.options, self.checkpoint, self.workers = options, checkpoint, workers
        self.devices = list(devices or [cpu()])
        if options.batch < len(self.devices):
            raise TrainingError(
                f"A batch size of {options.batch} cannot be split over {len(self.devices)} devices: raise it"
            )
        kind = KINDS[options.kind]
        self.chain: Chain = kind.chain(options.generators(), options.share_weights)
        self.chain.draw_weights(options.seed, self.devices)
        self.chain.hybridize()
        if start_from is not None:
            self._take_weights(start_from)
        self.task: Task = kind.task(options, self.chain, self.devices, bfloat16, photos)
        stages = list(range(len(self.chain.generators)))  # they learn one after another if staged, else all at once
        self.phases = [[stage] for stage in stages] if options.coupling == "staged" else [stages]
        self.total_steps = sum(options.steps[: len(self.phases)])
        self.state = TrainingState()
        self.learner: Learner
        self._engine = described(self.devices)
        self._fetch_every = 1 if on_cpu(self.devices) else FETCH_EVERY
        self._unreported: list[tuple[Step, list]] = []  # steps, and arrays of what they came to
        self.validation: dict[str, float] = {}  # mean terms of the weights that learn, where they are known
        self._best: list[dict[str, np.ndarray]] = []  # weights of this phase's stages, where the task keeps them
        self._begin_phase()
        if resume and checkpoint.exists():
            self._resume()

    def _take_weights(self, chain: Chain) -> None:
        """Begins with the weights of a trained chain."""
        stages, first = len(chain.generators), self.options.start_stage
        if first >= stages:
            raise TrainingError(f"--start-stage is one of the stages 0 to {stages - 1} of the model, not {first}")
        try:
            for index in range(len(self.chain.generators)):
                if index < stages or self.chain.uniform:  # the others keep what was drawn for them
                    self.chain.set_stage_weights(index, chain.stage_weights(min(index, stages - 1) or first))
        except ValueError as error:
            raise TrainingError(f"The model to start from does not fit: {error}; choose such --stages") from error

    @property
    def learning(self) -> list[int]:
        """The stages that learn in this phase: none, once all have learned."""
        return [*self.phases, []][self.state.phase]

    @property
    def last_stage(self) -> int:
        """The last of the stages that learn, or that have just learned where a phase has ended."""
        return self.phases[self.state.phase - (self.state.step == 0)][-1]

    @property
    def total_step(self) -> int:
        """The steps done so far, in all phases."""
        return sum(self.options.steps[: self.state.phase]) + self.state.step

    def run(
        self,
        on_step: Callable[[Step], None] = lambda step: None,
        on_checkpoint: Callable[[Training], None] = lambda training: None,
        checkpoint_every: int = 250,
    ) -> None:
        """Trains to the end; calls on_step after each step, and on_checkpoint when one was saved and as a phase ends.

        Raises TrainingError at a loss that is not finite.  A KeyboardInterrupt raised by on_step leaves a checkpoint.
        """
        photos = self.task.photos
        self.state.photo_count = len(photos.names) if photos else 0
        self.save()
        while self.state.phase < len(self.phases):
            steps = self.options.steps[self.state.phase]
            if steps and not self.state.step:
                self.task.begin(self.learning)
            with self._batches() as batches:
                try:
                    while self.state.step < steps:
                        self._step(batches)
                        pause = self.state.step % checkpoint_every == 0
                        if pause or self.state.step == steps or len(self._unreported) >= self._fetch_every:
                            self._report(on_step)
                        if pause and self.state.step < steps:
                            self._keep_best()
                            self.save()
                            on_checkpoint(self)
                except KeyboardInterrupt:
                    with suppress(KeyboardInterrupt):
                        self._report(on_step)
                    self.save()
                    raise
                finally:
                    if photos:
                        self.state.skipped.update(photos.skipped)
            self._end_phase()
            self.save()
            on_checkpoint(self)

    def time_steps(self, phase: int, steps: int) -> list[float]:
        """Takes a few steps of a phase, which leave no trace; returns the seconds that each of them took."""
        before, seconds = (self.state, self.learner), []
        weights = {stage: self.chain.stage_weights(stage) for stage in self.phases[phase]}
        self.state = replace(self.state, phase=phase, step=-1)  # none of those in which a critic joins
        self._begin_phase()
        try:
            with self._batches() as batches:
                for _ in range(steps):
                    batch = next(batches)
                    started = time.perf_counter()
                    self.learn(batch, self.options.learning_rates[phase])
                    seconds.append(time.perf_counter() - started)
        finally:
            self.state, self.learner = before
            for stage, values in weights.items():
                self.chain.set_stage_weights(stage, values)
        return seconds

    def _batches(self):
        return self.task.batches(self.options.sizes[self.state.phase], self.state.position, self.workers)

    def _begin_phase(self) -> None:
        """Lets what learns in this phase begin, with an optimizer of its own."""
        self.learner = Learner(self.options, self.task, self.chain, self.learning, self.devices)

    def _end_phase(self) -> None:
        """Keeps the best weights of the phase, and lets the next one begin, from its weights where stages are alike."""
        self._keep_best()
        ended = self.state.phase
        if self.validation.get("total") != self.state.best_total:  # the best weights are not the last ones
            self.validation = {}
            for stage, weights in zip(self.learning, self._best):
                self.chain.set_stage_weights(stage, weights)
        self._best = []
        self.state = replace(self.state, phase=ended + 1, step=0, best_total=math.inf)
        self._begin_phase()
        # A stage of no steps keeps what it started from, and the next one, too.
        if self.learning and self.options.warm_start and self.options.steps[ended]:
            pair = [{**each.describe(), "residual_weight": None} for each in self.chain.generators[ended : ended + 2]]
            if pair[0] == pair[1]:
                self.chain.set_stage_weights(ended + 1, self.chain.stage_weights(ended))

    def _keep_best(self) -> None:
        """Keeps the weights that learn if they are the best of their phase, where the task wants that."""
        self.validation = {}
        if self.task.keeps_best and self.options.steps[self.state.phase]:
            (self.validation,) = self.task.validate((), self.learning[-1:])
            if self.validation["total"] < self.state.best_total:
                self.state.best_total = self.validation["total"]
                self._best = [self.chain.stage_weights(stage) for stage in self.learning]

    def _step(self, batches) -> None:
        """Takes the next step of this phase, which `_report` reports."""
        state, started = self.state, time.perf_counter()
        steps = self.options.steps[state.phase]
        cosine = 0.5 + 0.5 * math.cos(math.pi * state.step / steps)
        learning_rate = self.options.learning_rates[state.phase] * min(1.0, (state.step + 1) / WARM_UP) * cosine
        batch = next(batches)
        waited = time.perf_counter() - started
        looked_at = self.options.looked_at(self.learning, state.position)
        results = self._take_step(batch, learning_rate, looked_at)
        state.step += 1
        state.position = batches.position
        self._count_time(started)
        place = (state.phase, looked_at[-1], state.step, steps, self.total_step, self.total_steps)
        self._unreported.append((Step(*place, [], math.nan, learning_rate, state.seconds, waited), results))

    def _count_time(self, started: float) -> None:
        seconds = self.state.times.get(self._engine, 0.0)
        self.state.times[self._engine] = seconds + time.perf_counter() - started

    def _report(self, on_step: Callable[[Step], None]) -> None:
        """Fetches what the last steps came to, and reports each; raises TrainingError where one is not finite."""
        steps, self._unreported, stopped = self._unreported, [], None
        for step, results in steps:
            started = time.perf_counter()
            losses, norm = self.losses_of(results, step.step)
            self._count_time(started)
            try:
                on_step(replace(step, losses=losses, gradient_norm=norm, seconds=self.state.seconds))
            except KeyboardInterrupt as interrupt:  # those after it are done as well
                stopped = interrupt
        if stopped:
            raise stopped

    def learn(self, batch: np.ndarray | Sequence, learning_rate: float) -> tuple[list[dict[str, float]], float]:
        """Takes one step; returns the weighted losses of each learning stage and the norm of the gradient.

        batch: as the task's batches have it.  Raises TrainingError where one of them is not finite.
        """
        return self.losses_of(self.take_step(batch, learning_rate), self.state.step + 1)

    def take_step(self, batch: np.ndarray | Sequence, learning_rate: float) -> list:
        """Takes one step, without waiting for its end; returns what `losses_of` reads."""
        return self._take_step(batch, learning_rate, self.options.looked_at(self.learning, self.state.position))

    def _take_step(self, batch: np.ndarray | Sequence, learning_rate: float, looked_at: Sequence[int]) -> list:
        shares = self.task.arrays(batch, self.state.position)
        return self.learner.take_step(shares, learning_rate, self.state.step, looked_at)

    def losses_of(self, results: Sequence, step: int) -> tuple[list[dict[str, float]], float]:
        """Returns the mean losses of each learning stage and the norm of the gradient; raises TrainingError."""
        *losses, norm = map(to_numpy, results)
        means = np.concatenate(losses, axis=2).mean(axis=2).tolist()
        named = [dict(zip(self.learner.term_names, stage)) for stage in means]
        if not np.isfinite([norm.item(), *(value for stage in means for value in stage)]).all():
            raise TrainingError(
                f"The loss is not finite at step {step} of stage {self.state.phase} ({named}, gradient norm "
                f"{norm.item()}): lower --learning-rate or --gradient-clip; the last checkpoint is kept"
            )
        return named, norm.item()

    def save(self) -> None:
        """Saves everything that the next step depends on.

        Raises TrainingError where the training has diverged, OSError where the file cannot be written; the checkpoint
        before stays.
        """
        self.check_finite()
        state = {**asdict(self.state), "options": self.options.describe()}
        weights = [self.chain.stage_weights(index) for index in range(len(self.chain.generators))]
        save_checkpoint(self.checkpoint, Checkpoint(state, weights, self._best, **self.learner.state()))

    def check_finite(self) -> None:
        """Raises TrainingError where weights, what the optimizer keeps, or painted pictures are not finite any more."""
        pictures = self.task.paint(self.task.probe(), len(self.chain.generators))
        for stage, picture in enumerate(pictures):
            arrays = [to_numpy(picture)]
            if stage in self.learning:
                arrays += [array for kept in self.learner.state().values() for array in kept.values()]
            weights = self.chain.stage_weights(stage).values()
            if not (all(np.isfinite(array).all() for array in arrays) and all(map(is_kept, weights))):
                raise TrainingError(
                    f"Stage {stage} has diverged, its numbers grow without end: lower --learning-rate or "
                    "--gradient-clip; the last checkpoint is kept"
                )

    def _resume(self) -> None:
        checkpoint = load_checkpoint(self.checkpoint)
        if changed := self.options.differences(checkpoint.state.get("options", {})):
            raise TrainingError(
                f"{self.checkpoint} was made with other options ({changed}): give the same command line again, "
                "or train into another --out"
            )
        try:
            self.state = TrainingState.of(checkpoint.state)
            stages = self.learning
            weights, best = ([*map(without_constants, each)] for each in (checkpoint.weights, checkpoint.best))
            if len(weights) != len(self.chain.generators) or len(best) not in (0, len(stages)):
                raise ValueError("it has weights of other stages")
            if self.state.step > (self.options.steps[self.state.phase] if stages else 0):
                raise ValueError("it has more steps than its phase")
            if self.state.position > self.total_step * self.options.batch:
                raise ValueError("it has seen more crops than its steps have")
            for stage, own in zip(stages, best):
                self.chain.check_stage_weights(stage, own)
            for stage, own in enumerate(weights):
                self.chain.set_stage_weights(stage, own)
            self._best = best
            self._begin_phase()
            if checkpoint.optimizer or self.state.step:
                self.learner.load_state(checkpoint.optimizer, checkpoint.critic)
        except (IndexError, KeyError, ValueError) as error:
            raise CheckpointError(f"{self.checkpoint} does not fit ({error}): delete it to start anew") from error


def estimate_seconds(training: Training, validation: Sequence[Path] = (), checkpoint_every: int = 250) -> float:
    """Returns about how many seconds the rest of a training takes, validations included.

    It takes a few steps of each phase to come and validates on one photo, which leaves no trace in the training.
    """
    seconds, checks, done = 0.0, 0, training.state.step
    for phase in range(training.state.phase, len(training.phases)):
        steps, done = training.options.steps[phase] - done, 0
        if steps:
            seconds += steps * statistics.median(training.time_steps(phase, MEASURED + 1)[1:])
            checks += -(-steps // checkpoint_every)
    if validation:
        stages = len(training.chain.generators)
        training.task.validate(validation[:1], [stages - 1])
        started = time.perf_counter()
        training.task.validate(validation[:1], [stages - 1])
        seconds += (checks + stages) * len(validation) * (time.perf_counter() - started)
    return seconds


def duration_text(seconds: float) -> str:
    """Returns a duration as people say it: "40 seconds", "25 minutes", "1 h 05 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return plural(round(seconds), "second")
    return f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
