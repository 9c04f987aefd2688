"""What a chain learns that begins with noise: a texture of its painting, or the regions of doodles."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .backend import mx
from .doodle import NOISE
from .errors import OptionError
from .images import read_image, resize_long_edge
from .lessons import Lesson, PhotoLesson
from .losses import PerceptualLoss, style_targets
from .masks import Masks
from .noise import SEEDS, seeded_noise
from .options import TrainingOptions
from .regions import find_palette, one_hot, resize_regions, snap
from .slope import guides_of

__all__ = ["DoodleLesson", "TextureLesson", "make_lesson", "style_regions"]

log = logging.getLogger(__name__)

COLLAPSED = 0.1  # diversity below which a texture network has all but stopped to listen to its noise
VALIDATION_SEEDS, VALIDATION_SIZE = range(4), 256  # of what is judged; training has other noise and other masks
VALIDATION_MASKS = 2**31  # their seed
WAVE = 16  # pixels from one bend to the next of edges that are moved


class NoiseStream:
    """Fresh noise for each step, (N, channels, size, size): that of number i depends on the seed and on i alone.

    masks: with them, each sample begins with its regions, a plane each.
    """

    def __init__(self, channels: int, size: int, batch: int, seed: int, position: int, masks: Masks | None = None):
        self._shape, self._batch, self._seed, self._masks = (channels, size, size), batch, seed, masks
        self.position, self.photos, self.skipped = position, [], {}

    def __enter__(self) -> NoiseStream:
        return self

    def __exit__(self, *error) -> None:
        if self._masks:
            self._masks.close()

    def __next__(self) -> np.ndarray:
        begin, self.position = self.position, self.position + self._batch
        first = int(np.random.default_rng(self._seed).integers(len(VALIDATION_SEEDS), SEEDS))
        samples = [seeded_noise((first + number) % SEEDS, *self._shape) for number in range(begin, self.position)]
        if self._masks:
            regions = [
                planes_of(self._masks[n], self._masks.regions, self._shape[1]) for n in range(begin, self.position)
            ]
            samples = [np.concatenate(pair, axis=1) for pair in zip(regions, samples)]
        return np.concatenate(samples)


class TextureLesson(Lesson):
    """A chain makes textures of noise that look like a painting everywhere: there is no scene to keep."""

    keeps_best = True  # "optimizing for too long" degrades, Ulyanov's readme says

    def batches(self, size: int, position: int, workers: int = 1) -> NoiseStream:
        """Returns the stream of noise that the steps show."""
        channels = self.chain.generators[0].guide_channels
        return NoiseStream(channels, size, self.options.batch, self.options.seed, position)

    def prepare(self, batch: np.ndarray):
        """Returns a batch as networks take it."""
        return mx.nd.array(batch)

    def noise(self, seed: int) -> np.ndarray:
        """Returns the noise that textures are judged on, by its seed: (1, channels, 256, 256)."""
        return seeded_noise(seed, self.chain.generators[0].guide_channels, VALIDATION_SIZE, VALIDATION_SIZE)

    def paint(self, noise: np.ndarray, stages: int) -> list:
        """Returns what the first stages make of noise, (1, 3, H, W) in VGG space each, as it stands."""
        return self.chain(mx.nd.array(noise, ctx=self.contexts[0]), 1.0, stages)

    def validate(self, paths: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None) -> list[dict]:
        """Returns the mean weighted terms of each of the stages over four textures, their total, and their diversity.

        Diversity is the variance of a pixel across the textures, as a share of that across the painting: 0 is a
        collapse, all seeds make one texture; about 1 is as it should be.  loss: what to judge by.
        """
        loss = loss or self.loss
        made: list[list] = [[] for _ in stages]
        for seed in VALIDATION_SEEDS:
            pictures = self.paint(self.noise(seed), max(stages) + 1)
            for textures, stage in zip(made, stages):
                textures.append(pictures[stage])
        painted = float(np.mean([style.asnumpy().var(axis=(2, 3)).mean() for style in self.styles]))
        results = []
        for textures in made:
            judged = [{name: float(term.asscalar()) for name, term in loss(each, []).items()} for each in textures]
            mean = {name: float(np.mean([terms[name] for terms in judged])) for name in judged[0]}
            across = np.concatenate([texture.asnumpy() for texture in textures]).var(axis=0, ddof=1).mean()
            diversity = float(across) / max(painted, 1e-9)
            if diversity < COLLAPSED:
                log.warning("All seeds make nearly one texture (diversity %.2f): lower --learning-rate", diversity)
            results.append({**mean, "total": sum(mean.values()), "diversity": diversity})
        return results


def style_regions(picture: np.ndarray, mask: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the palette of a painting's mask, uint8 (R, 3), and its regions in the painting's size, (R, H, W).

    Raises OptionError for a mask of another shape than its painting, and for one without a few flat colors.
    """
    sizes = [f"{side.shape[1]}x{side.shape[0]}" for side in (mask, picture)]
    if abs(mask.shape[0] / mask.shape[1] / (picture.shape[0] / picture.shape[1]) - 1) > 0.02:
        raise OptionError(f"{name} is {sizes[0]}, but its painting {sizes[1]}: draw the mask over the painting")
    palette = find_palette(mask, name=name)
    if len(palette) < 2:
        raise OptionError(f"{name} has a single color: draw two regions or more, or learn a --texture")
    return palette, resize_regions(one_hot(snap(mask, palette), len(palette)), *picture.shape[:2])


def planes_of(mask: np.ndarray, regions: int, size: int) -> np.ndarray:
    """Returns a mask of region numbers as planes, (1, R, size, size)."""
    return one_hot(cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST), regions)[np.newaxis]


def shaken(planes: np.ndarray, pixels: float, seed: int) -> np.ndarray:
    """Returns regions (R, H, W) whose places were moved, smoothly, by about so many pixels: a partition as before."""
    height, width = planes.shape[1:]
    coarse = np.random.RandomState(seed % 2**32).normal(0, pixels, (2, -(-height // WAVE), -(-width // WAVE)))
    shifts = [cv2.resize(shift, (width, height), interpolation=cv2.INTER_CUBIC) for shift in coarse]
    rows, columns = (place + shift for place, shift in zip(np.mgrid[:height, :width], shifts))
    places = np.float32(columns), np.float32(rows)
    return np.stack([cv2.remap(each, *places, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT) for each in planes])


class DoodleLesson(Lesson):
    """A chain paints regions, each after its own part of the painting: there is nothing else to keep."""

    keeps_best = True

    def targets(self, loss) -> list[np.ndarray]:
        """Returns the Gram matrices of the painting's regions, (R, C, C) for each layer."""
        options = self.options
        painting = resize_long_edge(read_image(options.styles[0]), options.style_size)
        self.palette, regions = style_regions(painting, read_image(options.style_mask), options.style_mask)
        return style_targets(loss, self.styles, (), guides_of(regions, loss))

    def batches(self, size: int, position: int, workers: int = 1) -> NoiseStream:
        """Returns the stream of masks and noise that the steps show."""
        options = self.options
        masks = Masks(options.regions, options.seed, workers=workers)
        return NoiseStream(2 * NOISE, size, options.batch, options.seed, position, masks)

    def prepare(self, batch: np.ndarray):
        """Returns a batch as networks take it."""
        return mx.nd.array(batch)

    def features(self, given, position: int | None = None) -> list:
        """Returns for each sample what every style layer sees of its regions; in training, with their edges moved."""
        planes = given[:, : self.options.regions].asnumpy()
        if position is not None and self.options.edge_jitter:
            planes = [shaken(each, self.options.edge_jitter, position + n) for n, each in enumerate(planes)]
        guides = [guides_of(each, self.loss.options) for each in planes]
        return [[guide.as_in_context(given.context) for guide in each] for each in guides]

    def losses(self, picture, features) -> dict:
        """Returns the weighted terms of pictures, (N,) each; each region of a picture counts alike."""
        terms = [self.loss(picture[n : n + 1], [], guides) for n, guides in enumerate(features)]
        return {name: mx.nd.concat(*(term[name] for term in terms), dim=0) for name in terms[0]}

    def noise(self, seed: int) -> np.ndarray:
        """Returns a mask and noise that doodles are judged on, by their seed: (1, R + 16, 256, 256)."""
        count = self.options.regions
        with NoiseStream(2 * NOISE, VALIDATION_SIZE, 1, seed, 0, Masks(count, VALIDATION_MASKS + seed)) as stream:
            return next(stream)

    def paint(self, given: np.ndarray, stages: int) -> list:
        """Returns what the first stages make of regions and noise, (1, 3, H, W) in VGG space each, as it stands."""
        return self.chain(mx.nd.array(given, ctx=self.contexts[0]), 1.0, stages)

    def validate(self, paths: Sequence[Path], stages: Sequence[int], loss: PerceptualLoss | None = None) -> list[dict]:
        """Returns the mean weighted terms of each of the stages on four masks, and their total; loss: to judge by."""
        kept, self.loss = self.loss, loss or self.loss
        judged: list[list[dict]] = [[] for _ in stages]
        try:
            for seed in VALIDATION_SEEDS:
                given = self.noise(seed)
                features = self.features(mx.nd.array(given, ctx=self.contexts[0]))
                pictures = self.paint(given, max(stages) + 1)
                for terms, stage in zip(judged, stages):
                    terms.append(
                        {name: float(term.asscalar()) for name, term in self.losses(pictures[stage], features).items()}
                    )
        finally:
            self.loss = kept
        means = [{name: float(np.mean([each[name] for each in terms])) for name in terms[0]} for terms in judged]
        return [{**mean, "total": sum(mean.values())} for mean in means]


LESSONS = {"chain": PhotoLesson, "texture": TextureLesson, "doodle": DoodleLesson}


def make_lesson(options: TrainingOptions, chain, contexts: Sequence, bfloat16: bool | None = None) -> Lesson:
    """Returns the lesson of a training, by its kind."""
    return LESSONS[options.kind](options, chain, contexts, bfloat16)
