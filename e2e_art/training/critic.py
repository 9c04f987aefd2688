"""The critic of a training: a discriminator that learns beside the stages, and their term that it gives.

Real and painted pictures come to it as features of the loss network, which the loss has computed anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engines.gluon import array, assign, autograd, device_of, nd, to_numpy
from ..losses.adversarial import fake_error, generator_error, real_error
from ..networks.discriminator import Discriminator
from ..networks.vgg import VGGFeatures
from .muon import Adam, sum_gradients
from .options import TrainingOptions

__all__ = ["Critic", "Pair"]

log = logging.getLogger(__name__)

BETA_1 = 0.5  # of Adam: pictures change as it learns, so it looks back less far
WARM_UP = 100  # steps in which it learns alone, a quarter of its phase at most
_PROBE = np.random.default_rng(0).uniform(-128, 128, (1, 3, 64, 64))  # its features have about the size of a photo's


class Pair(NamedTuple):
    """What a critic learns to tell apart: features of pictures of a stage, and of as many real ones, (N, C, H, W)."""

    fake: Any
    real: Any


class Critic:
    """A discriminator, its optimizer, and the factors that balance what it says.

    options: those of the training.  network: a loss network that knows the layer.  layer: whose features it sees.
    Its term has a factor of 0 until `balance` is called.
    """

    term_names = ("gan", "critic")  # what the stages learn from it, and its own errors

    def __init__(self, options: TrainingOptions, network: VGGFeatures, layer: str, devices: Sequence):
        self._weights, self._rate = options.gan_weights, options.critic_rate
        (features,) = network.of_layers([layer])(array(_PROBE, devices[0]))
        self.discriminator = Discriminator(layer, 1 / float(np.sqrt(np.square(to_numpy(features)).mean())))
        self.discriminator.draw_weights(options.seed, devices)
        self.discriminator.hybridize()
        self._numbers = self.discriminator.named_parameters()
        self._learning = {name: each for name, each in self._numbers.items() if each.learns}
        self._optimizer = Adam({name: each.list_data() for name, each in self._learning.items()}, BETA_1)
        self._factors = {device: array(np.zeros(len(self._weights)), device) for device in devices}  # of each stage

    @property
    def arrays(self) -> list:
        """What `learn` changes."""
        return [*(each.list_data()[0] for each in self._numbers.values()), *self._optimizer.arrays]

    def rates(self) -> np.ndarray:
        """Counts a step; returns the rates that it takes, as `Adam.rates` does."""
        return self._optimizer.rates(self._rate)

    def term(self, stage: int, fake):
        """Returns the term of a stage's pictures, (N,), by their features, (N, C, H, W)."""
        factor = self._factors[device_of(fake)][stage : stage + 1]
        return nd.broadcast_mul(generator_error(nd, self.discriminator(fake)), factor)

    def learn(self, pairs: Sequence[Pair], rates) -> list:
        """Takes a step; returns the errors by each pair, (N,).

        rates: as `rates` returns them, an array.
        """
        with autograd.record():
            scores = [map(self.discriminator, pair) for pair in pairs]
            errors = [fake_error(nd, fake) + real_error(nd, real) for fake, real in scores]
            totals = [error.sum() for error in errors]
        autograd.backward(totals, list(self._learning.values()))
        gradients = {name: each.list_grad() for name, each in self._learning.items()}
        self._optimizer.step(sum_gradients(gradients), rates)
        self.discriminator.iterate()
        return errors

    def balance(self, terms: Callable[[Callable], list[dict[str, Any]]], learning: Sequence[int]) -> None:
        """Sets the factors: by its weight, the gradient of the term is a share of that of all others to the pictures.

        terms: computes the terms of the stages that learn; it calls what it is given with the picture of each, and
        goes on with what that returns.
        """
        self._set_factors(np.ones(len(self._weights)))
        own = _gradient_norms(terms, lambda name: name == "gan")
        others = _gradient_norms(terms, lambda name: name != "gan")
        factors = np.zeros(len(self._weights))
        for stage, norm, other in zip(learning, own, others):
            factors[stage] = self._weights[stage] * other / max(norm, 1e-12)
            said = "Stage %d: the critic joins; gradients to the pictures have norms of %.3g by it and %.3g by all else"
            log.info(said, stage, factors[stage] * norm, other)
        self._set_factors(factors)

    def _set_factors(self, factors: np.ndarray) -> None:
        for own in self._factors.values():
            assign(own, factors.astype(np.float32))

    def state(self) -> dict[str, np.ndarray]:
        """Returns all that it goes on from, by name."""
        return {
            "factors": to_numpy(next(iter(self._factors.values()))),
            **{f"weights/{name}": to_numpy(each.list_data()[0]) for name, each in self._numbers.items()},
            **{f"optimizer/{name}": value for name, value in self._optimizer.state().items()},
        }

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes on from what `state` returned; raises ValueError where that belongs to another critic."""
        if {name: each.shape for name, each in state.items()} != {n: each.shape for n, each in self.state().items()}:
            raise ValueError("its critic is another one")
        self._set_factors(state["factors"])
        for name, parameter in self._numbers.items():
            parameter.set_data(state[f"weights/{name}"])
        own = {name.partition("/")[2]: each for name, each in state.items() if name.startswith("optimizer/")}
        self._optimizer.load_state(own)


def _gradient_norms(terms: Callable, chosen: Callable[[str], bool]) -> list[float]:
    """Returns the norm of the gradient of some of the terms to the pictures of each stage."""
    pictures: list = []

    def cut(picture):
        pictures.append(autograd.watch(picture.detach()))
        return pictures[-1]

    with autograd.record():
        totals = [sum(term.sum() for name, term in stage.items() if chosen(name)) for stage in terms(cut)]
    autograd.backward(totals, pictures)
    return [float(np.linalg.norm(to_numpy(autograd.gradient(picture)))) for picture in pictures]
