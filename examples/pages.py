"""Draws pages of colored text, which upscalers learn from beside photos, so that letters stay letters.

python examples/pages.py TEXT OUT [--fonts FOLDER] [--count 100]

TEXT: a file of words, such as a README.  OUT: a folder that PNG files are written to.  FOLDER: has .ttf files.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 800, 600
SIZES = 12, 72  # pixels of letters; small ones are as frequent as large ones by their logarithms


def page(words: list[str], fonts: list[Path], random: np.random.Generator) -> Image.Image:
    """Returns lines of words, mostly dark on light, each line of its own size, font and color."""
    shades = random.integers(-100, 100, (2, 3)).clip(min=0), random.integers(156, 356, (2, 3)).clip(max=255)
    (ink, other), (paper, _) = shades if random.random() < 0.7 else shades[::-1]
    image = Image.new("RGB", (WIDTH, HEIGHT), tuple(paper.tolist()))
    draw, top = ImageDraw.Draw(image), 8
    while top < HEIGHT:
        size = round(float(np.exp(random.uniform(*np.log(SIZES)))))
        font = ImageFont.truetype(random.choice(fonts), size) if fonts else ImageFont.load_default(size)
        line = " ".join(random.choice(words, 20))
        draw.text((8, top), line, tuple((ink if random.random() < 0.7 else other).tolist()), font)
        top += round(1.3 * size)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fonts", type=Path, help="a folder of .ttf files (default: the one font that Pillow has)")
    parser.add_argument("--count", type=int, default=100, help="default: %(default)s")
    options = parser.parse_args()
    words = options.text.read_text(encoding="utf-8").split()
    fonts = sorted(options.fonts.rglob("*.ttf")) if options.fonts else []
    random = np.random.default_rng(0)
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        page(words, fonts, random).save(options.out / f"page_{number:03}.png")


if __name__ == "__main__":
    main()
