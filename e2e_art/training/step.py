"""What one step of a training computes: losses, their gradients, and how far these move the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from ..engines.gluon import array, autograd, nd, recorded, to_device
from ..networks.chain import Chain
from .critic import WARM_UP, Critic
from .muon import OPTIMIZERS, Adam, clip_gradients, sum_gradients
from .options import TrainingOptions
from .task import Task

__all__ = ["Learner"]


class Learner:
    """Some stages of a chain that learn together: their optimizer, and their critic where one of them has a GAN weight.

    learning: which stages.  A step is computed of arrays alone, so that a GPU can record it once and play it again.
    """

    def __init__(self, options: TrainingOptions, task: Task, chain: Chain, learning: Sequence[int], devices: Sequence):
        self._options, self._task, self._devices, self._learning = options, task, devices, list(learning)
        self.optimizer: Adam = OPTIMIZERS[options.optimizer](
            {name: parameter.list_data() for name, parameter in chain.learning_parameters(learning).items()}
        )
        self.critic: Critic | None = None
        if any(options.gan_weights[stage] for stage in learning):
            self.critic = Critic(options, task.network, task.critic_layer, devices)
        self._reached = {stage: chain.learning_parameters([s for s in learning if s <= stage]) for stage in learning}
        self._state: list = []  # of what a step changes, on a single device
        if len(devices) == 1:
            generators = dict.fromkeys(chain.generators[stage] for stage in learning)
            numbers = [each for generator in generators for each in generator.named_parameters().values()]
            self._state = [each.list_data()[0] for each in numbers] + self.optimizer.arrays
            self._state += self.critic.arrays if self.critic else []
        self._steps: dict[tuple[int, ...], Callable] = {}  # by the stages that they look at

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss that each stage has."""
        return (*self._task.term_names, *(self.critic.term_names if self.critic else ()))

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns what it keeps from step to step beside the weights of the chain: of the optimizer, of the critic."""
        return {"optimizer": self.optimizer.state(), "critic": self.critic.state() if self.critic else {}}

    def load_state(self, optimizer: Mapping[str, np.ndarray], critic: Mapping[str, np.ndarray]) -> None:
        """Goes on from what `state` returned; raises ValueError where that belongs to something else."""
        self.optimizer.load_state(optimizer)
        if self.critic and (critic or optimizer["steps"]):  # before the first step there may be none yet
            self.critic.load_state(critic)

    def take_step(
        self, shares: Sequence[Sequence], learning_rate: float, done: int, looked_at: Sequence[int] = ()
    ) -> list:
        """Takes a step, without waiting for its end; returns what `_compute_step` does.

        shares: the arrays that each device works on, as the task makes them.  done: steps of this phase so far.
        looked_at: the stages whose pictures the loss sees, all that learn by default: those after them do not move.
        """
        rates = [self.optimizer.rates(learning_rate)]
        if self.critic:
            rates.append(self.critic.rates())
            if done == min(WARM_UP, self._options.steps[self._learning[0]] // 4):
                self._balance(self.critic, shares[0])
        stages = tuple(looked_at or self._learning)
        if stages not in self._steps:
            step = partial(self._compute_step, stages)
            self._steps[stages] = recorded(step, self._state) if self._state else step
        return self._steps[stages](array(np.stack(rates)), *(each for share in shares for each in share))

    def _balance(self, critic: Critic, arrays: Sequence) -> None:
        own = [to_device(each, self._devices[0]) for each in arrays]
        critic.balance(lambda cut: self._task.terms(own, self._learning, critic, cut)[0], self._learning)

    def _compute_step(self, looked_at: Sequence[int], rates, *arrays) -> list:
        """Takes a step, of arrays alone: the rates of the optimizers, and then what each device works on.

        Returns the losses on each device, (stages, terms, N), and the norm of the gradient, (1,).
        """
        terms, pairs, totals, share = [], [], [], len(arrays) // len(self._devices)
        parameters = self._reached[max(looked_at)]
        for place, device in enumerate(self._devices):
            own = [to_device(each, device) for each in arrays[place * share :][:share]]
            with autograd.record():
                stages, shown = self._task.terms(own, self._learning, self.critic, looked_at=looked_at)
                totals.append(sum(term.sum() for stage in stages for term in stage.values()))
            terms.append(stages)
            pairs += shown
        autograd.backward(totals, list(parameters.values()))
        gradients = sum_gradients({name: parameter.list_grad() for name, parameter in parameters.items()})
        count = sum(len(stages[0][self._task.term_names[0]]) for stages in terms)
        norm = clip_gradients(gradients, self._options.gradient_clip, count)
        rates = to_device(rates, self._devices[0])
        self.optimizer.step(gradients, rates[0])
        if self.critic:
            errors = self.critic.learn(pairs, rates[1])
            for stage, error in zip((stage for stages in terms for stage in stages), errors):
                stage["critic"] = error
        names = self.term_names
        losses = [nd.stack(*(nd.stack(*(stage[name] for name in names)) for stage in stages)) for stages in terms]
        return [*map(nd.BlockGrad, losses), norm]
