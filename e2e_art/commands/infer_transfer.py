"""`e2e-art infer --method`: photos in the style of any painting, by feature transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import OptionError
from ..images.io import Picture, read_image
from ..painting.universal import CASCADE, UniversalPainter
from .infer_batch import Made, paint_batch
from .infer_targets import Output, find_targets
from .infer_video import is_clip

__all__ = ["transfer_style"]


def transfer_style(
    photos: Sequence[str],
    paintings: Sequence[str],
    model: str,
    level: int | None,
    options: Mapping[str, Any],
    output: Output,
    *device,
) -> None:
    """Paints photos in the style of a painting; photos that cannot be read are skipped where there are others.

    photos: files, folders, patterns or "-".  paintings: one file.  model: an autoencoder.
    level: the one level to paint at, all by default.  options: of the painter.  output: its OUT is a file, a folder, or
    "-".  device: threads and GPU.
    """
    if not paintings:
        raise OptionError("--method paints in the style of a painting: add --style PAINTING")
    if len(paintings) > 1:
        raise OptionError(f"--method paints in the style of one painting, not of {len(paintings)}: name one as --style")
    if any(is_clip(photo, output.out) for photo in photos):
        raise OptionError("--method is for photos: give a --model for a clip")
    targets, notes = find_targets(photos, output)
    painting, levels = read_image(paintings[0]), [level] if level else CASCADE
    painter = UniversalPainter(model, *device)
    style = painter.style(painting, levels)

    def make(name: str, picture: Picture) -> Made:
        return Made([painter(picture.pixels, style, levels=levels, **options)])

    paint_batch(targets, make, painter.model.name, output, notes, size=lambda height, width: (height, width))
