"""Contact sheets: several pictures in a grid, each with its label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .resize import resize_long_edge

__all__ = ["sheet"]

MARGIN = 12
INK, PAPER, FAINT = (30, 30, 30), (250, 248, 243), (110, 110, 110)


def sheet(
    pictures: Sequence[np.ndarray], labels: Sequence[str], title: str, edge: int = 640, columns: int | None = None
) -> np.ndarray:
    """Returns a grid of pictures, each with its label below it, under a title: uint8 (H, W, 3).

    pictures: uint8 (H, W, 3) each, shown at long edge `edge` at most.  labels: as many, of one line or more.
    columns: how many in a row; 3 at most by default.
    """
    small = [resize_long_edge(picture, edge) if max(picture.shape) > edge else picture for picture in pictures]
    columns = columns or min(len(small), 3)
    width = max(max(picture.shape[1] for picture in small), 160)
    height = max(picture.shape[0] for picture in small)
    size, title_size = max(12, width // 36), max(16, width // 22)
    text, large = ImageFont.load_default(size), ImageFont.load_default(title_size)
    line = int(size * 1.4)
    caption = line * max(label.count("\n") + 1 for label in labels) + MARGIN
    head = int(title_size * 1.6) + MARGIN
    rows = -(-len(small) // columns)
    canvas = Image.new("RGB", (columns * (width + MARGIN) + MARGIN, head + rows * (height + caption + MARGIN)), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), title, INK, large)
    for place, (picture, label) in enumerate(zip(small, labels)):
        left = MARGIN + place % columns * (width + MARGIN)
        top = head + place // columns * (height + caption + MARGIN)
        canvas.paste(Image.fromarray(picture), (left, top))
        for number, words in enumerate(label.split("\n")):
            draw.text((left, top + picture.shape[0] + 4 + number * line), words, FAINT if number else INK, text)
    return np.asarray(canvas)
