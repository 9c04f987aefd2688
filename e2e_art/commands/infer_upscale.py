"""`e2e-art infer --upscale`: photos that are enlarged, and paintings that are enlarged once they are painted."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from ..errors import OptionError, listed
from ..images.io import Picture
from ..models.folder import Model
from ..networks.inputs import FACTORS
from ..painting.enlarge import Enlarger, EnlargingPainter, find_upscalers
from .infer_batch import Made, paint_batch
from .infer_targets import Output, find_targets
from .progress import tile_bar

__all__ = ["Upscale", "enlarge_photos", "make_enlarger", "make_painter", "upscale"]

AUTO = "auto"
Upscale = Union[int, str]  # a factor, AUTO, or the model of an upscaler


def upscale(text: str) -> Upscale:
    """Returns what --upscale asks for; raises ArgumentTypeError for a factor that there is not."""
    if text in map(str, FACTORS):
        return int(text)
    if not text or (re.fullmatch(r"[-+x×]?[\d.,]+[x×%]?", text) and not Path(text).is_dir()):
        factors = ", ".join(map(str, FACTORS))
        raise argparse.ArgumentTypeError(f"takes {factors}, {AUTO} or a model, not '{text}'")
    return text


def make_enlarger(upscale: Upscale, *device) -> Enlarger:
    """Returns what enlarges photos; device: engine, threads and GPU, as for `e2e_art.load`."""
    if upscale == AUTO:
        ways = f"give {listed(map(str, FACTORS))}, or a --model to paint with"
        raise OptionError(f"--upscale {AUTO} brings a painting to the photo's size: {ways}")
    return Enlarger(find_upscalers(upscale) if isinstance(upscale, int) else [upscale], *device)


def make_painter(model: str | Model, upscale: Upscale, look: Mapping[str, Any], *device) -> EnlargingPainter:
    """Returns what paints photos and enlarges the paintings; raises OptionError where the look excludes that.

    look: options of `Painter.stages`.  device: as for `make_enlarger`.
    """
    if look["as_painted"]:
        raise OptionError("--as-painted leaves the painting at --size, --upscale enlarges it: choose one")
    if look["guided"]:
        raise OptionError("--guided enlarges the painting along the photo's edges, --upscale by a model: choose one")
    return EnlargingPainter(model, None if upscale == AUTO else upscale, *device)


def enlarge_photos(photos: Sequence[str], enlarger: Enlarger, options: Mapping[str, Any], output: Output) -> None:
    """Enlarges photos, with their opacity; photos that cannot be read are skipped where there are others.

    photos: files, folders, patterns or "-".  options: of the enlarger.  output: its OUT is a file, a folder, or "-".
    """
    targets, notes = find_targets(photos, output)

    def make(name: str, picture: Picture) -> Made:
        with tile_bar() as on_tile:
            large, opacity = enlarger.with_opacity(picture.pixels, picture.opacity, **options, on_tile=on_tile)
            return Made([large], opacity=opacity)

    paint_batch(targets, make, enlarger.models[0].name, output, notes, "enlarged", enlarger.output_size)
