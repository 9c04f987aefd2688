"""What one step of a training computes: losses, their gradients, and how far these move the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        self._parameters = chain.learning_parameters(learning)
        self.optimizer: Adam = OPTIMIZERS[options.optimizer](
            {name: parameter.list_data() for name, parameter in self._parameters.items()}
        )
        self.critic: Critic | None = None
        if any(options.gan_weights[stage] for stage in learning):
            self.critic = Critic(options, task.network, task.critic_layer, devices)
        self._compute = self._compute_step
        if len(devices) == 1:
            generators = dict.fromkeys(chain.generators[stage] for stage in learning)
            numbers = [each for generator in generators for each in generator.named_parameters().values()]
            state = [each.list_data()[0] for each in numbers] + self.optimizer.arrays
            self._compute = recorded(self._compute, state + (self.critic.arrays if self.critic else []))

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

    def take_step(self, shares: Sequence[Sequence], learning_rate: float, done: int) -> list:
        """Takes a step, without waiting for its end; returns what `_compute_step` does.

        shares: the arrays that each device works on, as the task makes them.  done: steps of this phase so far.
        """
        rates = [self.optimizer.rates(learning_rate)]
        if self.critic:
            rates.append(self.critic.rates())
            if done == min(WARM_UP, self._options.steps[self._learning[0]] // 4):
                self._balance(self.critic, shares[0])
        return self._compute(array(np.stack(rates)), *(each for share in shares for each in share))

    def _balance(self, critic: Critic, arrays: Sequence) -> None:
        own = [to_device(each, self._devices[0]) for each in arrays]
        critic.balance(lambda cut: self._task.terms(own, self._learning, critic, cut)[0], self._learning)

    def _compute_step(self, rates, *arrays) -> list:
        """Takes a step, of arrays alone: the rates of the optimizers, and then what each device works on.

        Returns the losses on each device, (stages, terms, N), and the norm of the gradient, (1,).
        """
        terms, pairs, totals, share = [], [], [], len(arrays) // len(self._devices)
        for place, device in enumerate(self._devices):
            own = [to_device(each, device) for each in arrays[place * share :][:share]]
            with autograd.record():
                stages, shown = self._task.terms(own, self._learning, self.critic)
                totals.append(sum(term.sum() for stage in stages for term in stage.values()))
            terms.append(stages)
            pairs += shown
        autograd.backward(totals, list(self._parameters.values()))
        gradients = sum_gradients({name: parameter.list_grad() for name, parameter in self._parameters.items()})
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
