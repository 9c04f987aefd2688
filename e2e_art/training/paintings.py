"""Features of parts of paintings, large and small, that a critic is shown as real."""

from __future__ import annotations

import numpy as np

from ..data.randomness import REAL
from ..engines.gluon import array, to_numpy
from ..errors import OptionError
from ..images.arrays import to_vgg_space
from ..images.io import read_image
from ..losses.perceptual import normalized
from ..losses.style_target import painting_at
from ..networks.vgg import VGGFeatures, block_of
from .options import TrainingOptions

__all__ = ["PaintingFeatures"]

SCALES = 1.0, 0.75, 0.5  # of the painting's size, to which strokes shrink
SMALLEST = 8  # rows and columns of features


class PaintingFeatures:
    """The features of the paintings of a training in one layer of a loss network, at several sizes, and flipped.

    Raises OptionError for a painting that is too narrow.
    """

    def __init__(self, options: TrainingOptions, network: VGGFeatures, layer: str, device):
        self._seed, self._stride = options.seed, 2 ** (block_of(layer) - 1)
        self._shares = normalized(options.style_blend, len(options.styles))
        network = network.of_layers([layer])
        self._maps: list[list[np.ndarray]] = []  # of each painting, (C, h, w) each
        for path in options.styles:
            painting, maps = read_image(path), []
            for scale in SCALES:
                picture = to_vgg_space(painting_at(painting, max(1, round(scale * options.style_size)), options.loss))
                for flipped in (picture, picture[..., ::-1]):
                    (features,) = network(array(flipped, device))
                    maps.append(to_numpy(features)[0])
            self._maps.append([each for each in maps if min(each.shape[1:]) >= SMALLEST])
            if not self._maps[-1]:
                raise OptionError(f"{path} is too narrow for --gan-weight: raise --style-size, or leave it out")

    def parts(self, count: int, size: int, position: int) -> np.ndarray:
        """Returns the features of random parts of the paintings, (count, C, s, s).

        size: of the pictures that stand beside them, in pixels, and of the parts where the paintings are large enough.
        position: what they depend on, beside the seed of the training.
        """
        side = min([size // self._stride, *(n for maps in self._maps for each in maps for n in each.shape[1:])])
        parts = []
        for number in range(position, position + count):
            random = np.random.default_rng((self._seed, REAL, number))
            maps = self._maps[random.choice(len(self._maps), p=self._shares)]
            features = maps[random.integers(len(maps))]
            top, left = (random.integers(length - side + 1) for length in features.shape[1:])
            parts.append(features[:, top : top + side, left : left + side])
        return np.stack(parts)
