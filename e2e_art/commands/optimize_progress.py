"""What people see of a descent: a progress bar, pictures on the way, an animation, a record."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import ImageError, UserError
from ..files import write_atomically
from ..images.arrays import from_vgg_space
from ..images.io import encode_animation, write_image
from ..images.resize import resize, resize_long_edge
from ..optimize.options import OptimizeOptions
from .interrupt import Interrupt

__all__ = ["Diary"]

log = logging.getLogger(__name__)

FRAME_EDGE = 480  # pixels of an animation's long edge
MOST_FRAMES = 300  # of more, every second one goes


class Diary:
    """Keeps what a descent reports, for the flags of `e2e-art optimize`.

    outputs: "picture", "animation", "log" and "curve", as far as they were asked for.  size: of the result, (H, W).
    """

    def __init__(
        self, flags: argparse.Namespace, options: OptimizeOptions, outputs: dict[str, Path], size: tuple[int, int]
    ):
        self.flags, self.outputs, self.out = flags, outputs, outputs["picture"]
        self.bar = None  # until the first step was taken: what goes wrong before needs no bar
        self.steps = options.steps * options.scales
        self.entries: list[dict] = []
        self.frames: list[np.ndarray] = []
        self.frame_size = resize_long_edge(np.zeros((*size, 3), np.uint8), FRAME_EDGE).shape[:2]
        self.stride = 1  # steps from one frame to the next
        self.interrupt = Interrupt()

    def evaluation(self, evaluation, picture: np.ndarray) -> None:
        """Notes one evaluation, and the picture (1, 3, H, W) there; raises KeyboardInterrupt where it is to stop."""
        losses = " ".join(f"{name} {value:.4g}" for name, value in evaluation.losses.items())
        height, width = evaluation.size
        self.bar = self.bar or tqdm(total=self.steps, unit="step", dynamic_ncols=True)
        self.bar.n = evaluation.scale * evaluation.steps + evaluation.step - 1
        self.bar.set_postfix_str(f"{width}x{height} {losses}", False)
        self.bar.update()
        entry = {**asdict(evaluation), **evaluation.losses}
        del entry["losses"]
        self.entries.append({**entry, "total_step": len(self.entries) + 1, "phase": evaluation.scale})
        self._keep(len(self.entries), picture, better=evaluation.total <= evaluation.best)
        self.interrupt.check()

    def _keep(self, number: int, picture: np.ndarray, better: bool) -> None:
        """Writes and collects the pictures on the way."""
        if self.flags.every and number % self.flags.every == 0:
            path = self.out.with_name(f"{self.out.stem}_step-{number:05d}{self.out.suffix}")
            try:
                write_image(path, from_vgg_space(picture), overwrite=True)
            except ImageError as error:
                log.warning("%s; there will be no more pictures on the way", error)
                self.flags.every = 0
        if self.flags.animate and better and number % self.stride == 0:  # line searches may overshoot
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
                from ..evaluation.charts import plot_curves

                plot_curves(self.entries, path, smoothing=1)
        except OSError as error:
            raise UserError(f"{self.out} is written, but {path} cannot be ({error.strerror}): free space") from error

    def close(self) -> None:
        """Ends the progress bar."""
        if self.bar:
            self.bar.close()
