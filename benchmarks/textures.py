"""Textures and doodles in one pass, beside L-BFGS from noise: loss, seconds, and what a network is worth.

python benchmarks/textures.py [MODEL ...]

Each model's own loss at 256 pixels, as means over four seeds; doodles on four masks that they never learned on.  "At
edges" is a doodle's loss where only the band along its regions' edges counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np
from interleaved import command_line, table

from e2e_art import load_doodle, load_texture
from e2e_art.data.masks import make_mask, one_hot_planes
from e2e_art.evaluation.baseline import equivalent_evaluations
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.models.folder import Model, model_folders, read_model
from e2e_art.optimize.multiscale import noise_picture, optimize
from e2e_art.optimize.options import OptimizeOptions
from e2e_art.training.styling import VALIDATION_MASKS, VALIDATION_SEEDS

SIZE = 256
BAND = 8  # pixels on both sides of an edge
EVALUATIONS = 60  # of L-BFGS, at most


class Subject:
    """A model, its own loss of pictures, and L-BFGS on it."""

    def __init__(self, model: Model):
        self.model = model
        self.evaluator = Evaluator(model)
        self.network = (load_doodle if model.kind.paints_regions else load_texture)(model)

    def scenes(self) -> Iterator[tuple[int, np.ndarray | None]]:
        """Returns seeds, and for doodles masks of region numbers, (256, 256)."""
        for seed in VALIDATION_SEEDS:
            if not self.model.kind.paints_regions:
                yield seed, None
            else:
                mask = make_mask(VALIDATION_MASKS + seed, 0, len(self.network.palette))
                yield seed, cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)

    def paint(self, seed: int, mask: np.ndarray | None, stage: int) -> np.ndarray:
        if mask is None:
            return self.network(SIZE, SIZE, seed, stage)
        return self.network(self.network.palette[mask], seed, stage)

    def planes(self, mask: np.ndarray) -> np.ndarray:
        return one_hot_planes(mask, len(self.network.palette), SIZE)[0]

    def curve(self, seed: int, planes: np.ndarray | None) -> tuple[list[float], list[float]]:
        """Returns the lowest total after 0, 1, 2 ... evaluations from noise, and the seconds spent until then."""
        history = []
        optimize(
            noise_picture(SIZE, SIZE, seed),
            [],
            options=OptimizeOptions(steps=EVALUATIONS + 1, tolerance=0, loss=self.evaluator.options),
            target=self.evaluator.target,
            regions=None if planes is None else (planes, planes),
            on_evaluation=lambda evaluation, picture: history.append((evaluation.best, evaluation.seconds)),
        )
        return tuple(zip(*history))


def band(mask: np.ndarray) -> np.ndarray:
    """Returns where an edge between two regions is near, bool (256, 256)."""
    window = np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    return cv2.dilate(mask, window) != cv2.erode(mask, window)


def rows_of(model: Model) -> Iterator[list[str]]:
    subject = Subject(model)
    total = subject.evaluator.total
    scenes = list(subject.scenes())
    subject.paint(*scenes[0], 0)  # the first call prepares
    curves = [subject.curve(seed, None if mask is None else subject.planes(mask)) for seed, mask in scenes]
    curve, seconds = (np.mean(parts, axis=0) for parts in zip(*curves))
    for stage in range(len(model.stages)):
        totals, edges, took = [], [], []
        for seed, mask in scenes:
            began = time.perf_counter()
            picture = subject.paint(seed, mask, stage)
            took.append(time.perf_counter() - began)
            totals.append(total(picture, None if mask is None else subject.planes(mask)))
            if mask is not None and mask.min() < mask.max():
                edges.append(total(picture, subject.planes(mask) * band(mask)))
        mean, once = float(np.mean(totals)), float(np.median(took))
        worth = equivalent_evaluations(list(curve), mean)
        beyond = "" if np.isfinite(worth) else "> "  # L-BFGS did not come so far
        worth = min(worth, EVALUATIONS)
        until = seconds[int(np.ceil(worth))]
        at_edges = f"{np.mean(edges):.2f}" if edges else ""
        figures = (f"{beyond}{worth:.1f}", f"{beyond}{until:.1f}", f"{beyond}{until / once:.0f}")
        yield [f"{model.name}, stage {stage}", f"{mean:.3f}", at_edges, f"{once:.3f}", *figures]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all shipped textures and doodles if left out")
    models = [read_model(name) for name in parser.parse_args().models or model_folders()]
    rows = [row for model in models if not model.kind.paints_photos for row in rows_of(model)]
    titles = ["model", "total", "at edges", "seconds", "worth", "seconds of L-BFGS to there", "times faster"]
    print(table(titles, rows))


if __name__ == "__main__":
    main()
