"""A chain learns one painting, stage by stage.

Each step shows the chain a few crops of photos, asks the loss how far its pictures are from painting and photo, and
moves the weights a little.  Everything that the next step depends on goes into one checkpoint file, so that a
training killed at any moment goes on as if nothing had happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .backend import mx
from .chain import Chain
from .checkpoint import load_checkpoint, optimizer_memory, restore_optimizer, save_checkpoint
from .errors import UserError
from .frame import NOISE_PERIOD
from .images import read_image, resize_long_edge, resize_short_edge, to_vgg_space
from .losses import PerceptualLoss, style_targets
from .optimizer import clip_gradients, make_optimizer
from .options import TrainingOptions
from .photos import PhotoStream

__all__ = ["Step", "Training", "TrainingError"]

WARM_UP = 20  # steps over which the learning rate rises: Adam's first steps would saturate the tanh
VALIDATION_EDGE = 320  # short edge of the validation photos
# What a checkpoint holds beside weights and optimizer.
_STATE = ("phase", "step", "position", "seconds", "skipped", "photo_count")


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
        self.chain = Chain(options.generators(), options.share_weights)
        self.chain.initialize(mx.init.Xavier(magnitude=2), ctx=self.contexts)
        self.chain.hybridize(static_alloc=True)
        if start_from is not None:
            try:
                for index in range(min(len(start_from.generators), len(self.chain.generators))):
                    self.chain.set_stage_weights(index, start_from.stage_weights(index))
            except ValueError as error:
                raise TrainingError(f"The model to start from does not fit: {error}; choose such --stages") from error
        styles = [to_vgg_space(resize_long_edge(read_image(path), options.style_size)) for path in options.styles]
        self.styles = [mx.nd.array(style) for style in styles]  # each (1, 3, H, W)
        targets = style_targets(options.loss, self.styles, options.style_blend)
        self.loss = PerceptualLoss(options.loss, targets, self.contexts, bfloat16)
        self.phase, self.step, self.position, self.seconds = 0, 0, 0, 0.0
        self.skipped: dict[str, str] = {}
        self.photo_count = 0
        self._optimizer_state = b""
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
                            self._optimizer_state = optimizer_memory(trainer)
                            self.save()
                            on_checkpoint(self)
                except KeyboardInterrupt:
                    self._optimizer_state = optimizer_memory(trainer)
                    self.save()
                    raise
                finally:
                    self.skipped.update(photos.skipped)
            self.phase, self.step, self._optimizer_state = self.phase + 1, 0, b""
            self._warm_start()
            self.save()
            on_checkpoint(self)

    def rehearse(self, phase: int, steps: int) -> list[float]:
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

    def _photos(self) -> PhotoStream:
        options = self.options
        return PhotoStream(
            options.photos,
            self._of_phase(options.sizes, self.phase),
            options.batch,
            seed=options.seed,
            limit=options.limit,
            list_file=options.list_file,
            position=self.position,
            workers=self.workers,
        )

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
        pair = self.chain.generators[self.phase - 1 : self.phase + 1]
        if warm and len(pair) == 2 and pair[0].kind == pair[1].kind:
            self.chain.set_stage_weights(self.phase, self.chain.stage_weights(self.phase - 1))

    def _steps(self, photos: PhotoStream, trainer) -> Iterator[Step]:
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
        pictures = mx.nd.array(np.concatenate([to_vgg_space(crop) for crop in crops]))  # (N, 3, size, size)
        shares = mx.gluon.utils.split_data(pictures, len(self.contexts), even_split=False)
        terms, totals = [], []
        for share, context in zip(shares, self.contexts):
            with mx.autograd.record():
                terms.append(self._terms(share.as_in_context(context)))
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

    def _terms(self, photo) -> list[dict]:
        """Returns the weighted terms of each learning stage; gradients flow as the coupling says."""
        coupling, learning = self.options.coupling, self.phases[self.phase]
        # Other noise each step, or else the stages would learn this one by heart; from the position, so as to resume.
        shift = int(np.random.RandomState(self.position % 2**32).randint(NOISE_PERIOD**2))
        with mx.autograd.pause():
            features = self.loss.content_features(photo)
            picture = self.chain.frame(photo)
            guide = self.chain.guide(picture, shift)
            for stage in range(learning[0]):  # stages that have learned before
                picture = self.chain.paint(stage, picture, guide)
        terms = []
        for stage in learning:
            before = picture
            below = before if coupling == "joint" else before.detach()
            picture = self.chain.paint(stage, below, guide, learning=True)
            if coupling == "straight-through" and stage > 0:  # later image gradients pass as if this stage did nothing
                picture = picture + (before - before.detach())
            losses = self.loss(self.chain.unframe(picture, photo), features)
            terms.append({**losses, "style": losses["style"] * self._of_phase(self.options.style_boosts, stage)})
        return terms

    def paint(self, photo: np.ndarray, stages: int) -> list:
        """Returns what the first stages make of a photo, (1, 3, H, W) in VGG space, as it stands."""
        return self.chain(mx.nd.array(photo, ctx=self.contexts[0]), 1.0, stages)

    def validate(self, paths: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None) -> list[dict]:
        """Returns the mean weighted terms of each of the stages, and their total, over photos at short edge 320.

        loss: what to judge by, the training's own by default.
        """
        loss = loss or self.loss
        means: list[dict] = [{} for _ in stages]
        for path in paths:
            photo = to_vgg_space(resize_short_edge(read_image(path), VALIDATION_EDGE))
            pictures = self.paint(photo, max(stages) + 1)
            features = loss.content_features(mx.nd.array(photo, ctx=self.contexts[0]))
            for mean, stage in zip(means, stages):
                for name, term in loss(pictures[stage], features).items():
                    mean[name] = mean.get(name, 0.0) + float(term.asscalar()) / len(paths)
        return [{**mean, "total": sum(mean.values())} for mean in means]

    def save(self) -> None:
        """Saves everything that the next step depends on; raises OSError where that cannot be written."""
        state = {name: getattr(self, name) for name in _STATE}
        weights = [self.chain.stage_weights(index) for index in range(len(self.chain.generators))]
        save_checkpoint(self.checkpoint, {"options": self.options.describe(), **state}, weights, self._optimizer_state)

    def _load(self) -> None:
        state, weights, self._optimizer_state = load_checkpoint(self.checkpoint)
        changed = self.options.differences(state["options"])
        if changed:
            raise TrainingError(
                f"{self.checkpoint} was made with other options ({changed}): give the same command line again, "
                "or train into another --out"
            )
        for index, stage in enumerate(weights):
            self.chain.set_stage_weights(index, stage)
        for name in _STATE:
            setattr(self, name, state.get(name, getattr(self, name)))
