"""What a training learns from and is validated by, whatever its chain makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..data.noise import NoiseStream
from ..data.photos import Photos, PhotoStream
from ..engines.gluon import array, device_of, nd
from ..images.arrays import CHANNEL_MEANS, to_vgg_space
from ..images.io import read_image
from ..images.resize import resize_short_edge, with_most_pixels
from ..networks.chain import Chain
from ..networks.vgg import VGGFeatures
from .critic import Critic, Pair
from .options import TrainingOptions

__all__ = ["Task", "as_it_is", "in_vgg_space", "mean_terms", "preview_photo", "validation_photo"]

VALIDATION_EDGE = 320  # short edge of the validation photos
PREVIEW_PIXELS = 4_000_000  # of a preview at most
PROBE_SIZE = 64


def as_it_is(x):
    """Returns what it is given."""
    return x


class Task(ABC):
    """What a chain learns.

    It says what the steps show (`batches`, `arrays`), what is asked of their pictures (`terms`), and what the chain is
    validated and previewed on (`validate`, `samples`).
    options: what to learn, and the weights of the loss.  devices: where to compute.  photos: to learn from, those that
    the options name by default.
    """

    term_names: tuple[str, ...]  # of its loss
    critic_layer: str  # of the loss network, by whose features a critic judges pictures
    network: VGGFeatures  # the loss network
    keeps_best = False  # whether a phase ends with the best of its weights by validation, rather than with the last

    def __init__(self, options: TrainingOptions, chain: Chain, devices: Sequence, photos: Photos | None = None):
        self.options, self.chain, self.devices = options, chain, devices
        self.photos = photos or options.find_photos()

    @property
    def seen_layers(self) -> list[str]:
        """The layers of the loss network that the loss hands out for a critic."""
        return [self.critic_layer] if any(self.options.gan_weights) else []

    @abstractmethod
    def batches(self, size: int, position: int, workers: int | None = None) -> PhotoStream | NoiseStream:
        """Returns the stream of what the steps show, at a size in pixels, from the crop of that number on."""

    @abstractmethod
    def arrays(self, batch: np.ndarray | Sequence[np.ndarray], position: int) -> list[list]:
        """Returns the arrays that a step is computed from, for each device: its share of a batch.

        batch: as a stream yields it.  position: the number of its first crop.
        """

    @abstractmethod
    def terms(
        self,
        arrays: Sequence,
        learning: Sequence[int],
        critic: Critic | None = None,
        cut: Callable = as_it_is,
        looked_at: Sequence[int] | None = None,
    ) -> tuple[list[dict[str, Any]], list[Pair]]:
        """Returns the weighted terms of stages, (N,) each, and what a critic learns from each.

        arrays: one device's of what `arrays` returns, there.  learning: the stages that gradients flow to.
        critic: where it has a say; its term comes in addition.
        cut: called with the picture of each stage, whose terms are those of what it returns.
        looked_at: the stages whose terms are wanted, of those that learn; all by default.
        """

    def begin(self, stages: Sequence[int]) -> None:
        """Prepares the weights of stages that are about to take their first step."""
        return  # by default they stay as they are

    @abstractmethod
    def validate(self, photos: Sequence[Path], stages: Sequence[int]) -> list[dict[str, float]]:
        """Returns the mean terms of each of the stages, and their total."""

    @abstractmethod
    def evaluate(self, photos: Sequence[Path]) -> tuple[Sequence[Mapping[str, float]], dict[str, bytes]]:
        """Returns the terms of each stage for the record, and the files by which others are measured likewise later."""

    @abstractmethod
    def samples(self, photos: Sequence[Path]) -> dict[str, np.ndarray]:
        """Returns what previews are made of, by name, (1, C, H, W) each: photos, or noise where there are none."""

    def probe(self) -> np.ndarray:
        """Returns a small sample to see whether the chain still paints, (1, C, 64, 64)."""
        return to_vgg_space(np.random.default_rng(0).integers(0, 256, (PROBE_SIZE, PROBE_SIZE, 3), np.uint8))

    def paint(self, sample: np.ndarray, stages: int) -> list:
        """Returns what the first stages make of a sample, (1, 3, H, W) in VGG space each, as the chain stands."""
        return self.chain(array(sample, self.devices[0]), 1.0, stages)

    def shown(self, sample: np.ndarray) -> tuple[list[str], list]:
        """Returns what a contact sheet shows of a sample, with labels: what each stage makes of it."""
        count = len(self.chain.generators)
        return [f"stage {stage}" for stage in range(count)], self.paint(sample, count)

    def part(self, sample: np.ndarray, edge: int) -> np.ndarray:
        """Returns what a contact sheet shows of a sample, whose pictures have a long edge of so many pixels there."""
        return sample

    def begins_with(self, name: str, sample: np.ndarray) -> tuple[str, np.ndarray]:
        """Returns what a contact sheet shows before the pictures of a sample, with a label: (1, 3, H, W)."""
        return name, sample

    def record(self) -> dict[str, Any]:
        """Returns what the record of a model has to hold for this task."""
        return {}

    def _shares(self, parts: Sequence[np.ndarray]) -> list[list]:
        """Returns the arrays of a batch, (N, ...) each, split between the devices."""
        shares = zip(*(np.array_split(part, len(self.devices)) for part in parts))
        return [[array(x, dtype=x.dtype) for x in share] for share in shares]


@lru_cache
def _means(device):
    """Returns the means that VGG space leaves out, (1, 3, 1, 1), on a device."""
    return array(np.reshape(CHANNEL_MEANS, (1, 3, 1, 1)), device)


def in_vgg_space(pictures):
    """Returns pictures in VGG space, float32 (N, 3, H, W), of arrays of uint8 (N, H, W, 3)."""
    x = nd.transpose(nd.cast(pictures, dtype="float32"), axes=(0, 3, 1, 2))
    return nd.broadcast_sub(x, _means(device_of(pictures)))


def preview_photo(path: Path) -> np.ndarray:
    """Returns a photo to make a preview of, uint8 (H, W, 3), with as many pixels as that may have."""
    return with_most_pixels(read_image(path), PREVIEW_PIXELS)


def validation_photo(path: Path) -> np.ndarray:
    """Returns a photo to validate on, uint8 (H, W, 3), with a short edge of `VALIDATION_EDGE` pixels."""
    return resize_short_edge(read_image(path), VALIDATION_EDGE)


def mean_terms(terms: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the means of terms by name, over samples."""
    return {name: float(np.mean([each[name] for each in terms])) for name in terms[0]}
