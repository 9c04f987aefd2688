"""Contact sheets: several pictures in a grid, each with its label."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .resize import resize_long_edge

__all__ = ["sheet"]

MARGIN = 12
NARROWEST = 160  # pixels of a column
ROOM = 320  # pixels that a column of narrow pictures has for its labels
INK, PAPER, FAINT = (30, 30, 30), (250, 248, 243), (110, 110, 110)


def sheet(
    pictures: Sequence[np.ndarray], labels: Sequence[str], title: str, edge: int = 640, columns: int | None = None
) -> np.ndarray:
    """Returns a grid of pictures, each with its label below it, under a title: uint8 (H, W, 3).

    pictures: uint8 (H, W, 3) each, shown at long edge `edge` at most.  labels: as many, of one line or more.
    columns: how many in a row at most, by default 3, or the square root of how many there are.
    """
    small = [resize_long_edge(picture, edge) if max(picture.shape) > edge else picture for picture in pictures]
    columns = min(len(small), columns or max(3, math.isqrt(len(small))))
    width = max(max(picture.shape[1] for picture in small), NARROWEST)
    height = max(picture.shape[0] for picture in small)
    size, title_size = max(12, width // 36), max(16, width // 22)
    text, large = ImageFont.load_default(size), ImageFont.load_default(title_size)
    widest = max(text.getlength(_printable(line)) for label in labels for line in label.split("\n"))
    width = max(width, min(int(widest) + 1, ROOM))
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
            place_of_line = (left, top + picture.shape[0] + 4 + number * line)
            draw.text(place_of_line, _fitting(words, width, text), FAINT if number else INK, text)
    return np.asarray(canvas)


def _printable(words: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def _fitting(words: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Returns words that can be drawn, cut to a width in pixels."""
    words = _printable(words)
    if font.getlength(words) <= width:
        return words
    while words and font.getlength(words + "…") > width:
        words = words[:-1]
    return words + "…"
