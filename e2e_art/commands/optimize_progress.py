"""Progress of `e2e-art optimize`: a bar, intermediate pictures, an animation, a record of the losses."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..errors import ImageError, UserError
from ..evaluation.charts import plot_curves
from ..files import write_atomically
from ..images.arrays import from_vgg_space
from ..images.io import encode_animation, write_image
from ..images.resize import resize, resize_long_edge
from .progress import Progress

__all__ = ["OptimizeProgress"]

log = logging.getLogger(__name__)

FRAME_EDGE = 480  # pixels of an animation's long edge
MOST_FRAMES = 300  # of more, every second one goes


class OptimizeProgress:
    """Shows and collects what an optimization reports.

    outputs: "picture", "animation", "log" and "curve", as far as they are wanted.  steps: at most, on all scales.
    size: of the result, (H, W).  every: steps between pictures to write, 0 for none.
    """

    def __init__(self, outputs: dict[str, Path], steps: int, size: tuple[int, int], every: int = 0):
        self.outputs, self.every = outputs, every
        self.bar = Progress(total=steps, unit="step", dynamic_ncols=True, delay=0.01)  # shown from the first step on
        self.entries: list[dict] = []
        self.frames: list[np.ndarray] = []
        self.frame_size = resize_long_edge(np.zeros((*size, 3), np.uint8), FRAME_EDGE).shape[:2]
        self.stride = 1  # steps from one frame to the next

    def evaluation(self, evaluation, picture: np.ndarray) -> None:
        """Records one evaluation and its picture, (1, 3, H, W) in VGG space; raises KeyboardInterrupt after Ctrl-C."""
        entry = asdict(evaluation)
        entry |= {**entry.pop("losses"), "total_step": len(self.entries) + 1, "phase": evaluation.scale}
        self.entries.append(entry)
        self._keep(len(self.entries), picture, better=evaluation.total <= evaluation.best)
        losses = " ".join(f"{name} {value:.4g}" for name, value in evaluation.losses.items())
        height, width = evaluation.size
        self.bar.n = evaluation.scale * evaluation.steps + evaluation.step - 1
        self.bar.step(f"{width}x{height} {losses}")

    def _keep(self, number: int, picture: np.ndarray, better: bool) -> None:
        """Writes and collects intermediate pictures."""
        if self.every and number % self.every == 0:
            out = self.outputs["picture"]
            path = out.with_name(f"{out.stem}_step-{number:05d}{out.suffix}")
            try:
                write_image(path, from_vgg_space(picture), overwrite=True)
            except ImageError as error:
                log.warning("%s; no more intermediate pictures are written", error)
                self.every = 0
        if "animation" in self.outputs and better and number % self.stride == 0:  # line searches may overshoot
            self.frames.append(resize(from_vgg_space(picture), *self.frame_size))
            if len(self.frames) > MOST_FRAMES:
                self.frames, self.stride = self.frames[::2], 2 * self.stride

    def finish(self, picture: np.ndarray) -> None:
        """Writes what was asked for beside the picture; raises UserError where that cannot be written."""
        try:
            if path := self.outputs.get("animation"):
                write_atomically(path, encode_animation([*self.frames, resize(picture, *self.frame_size)]))
            if path := self.outputs.get("log"):
                write_atomically(path, "".join(json.dumps(entry) + "\n" for entry in self.entries).encode())
            if path := self.outputs.get("curve"):
                plot_curves(self.entries, path, smoothing=1)
        except OSError as error:
            out = self.outputs["picture"]
            raise UserError(f"{out} is written, but {path} cannot be ({error.strerror}): free space") from error
