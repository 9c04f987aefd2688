"""Paints docs/pictures/posters.jpg: a photo painted at its own size, at a smaller one, and that enlarged in three ways.

python docs/posters.py
"""

from pathlib import Path

import numpy as np
import skimage

import e2e_art
from e2e_art.images.io import read_image, write_image
from e2e_art.images.sheet import sheet
from e2e_art.painting.enlarge import EnlargingPainter

SIZE = 330  # pixels of the long edge that strokes are made at
LOOKS: dict[str, dict] = {"--size 0": {}, f"--size {SIZE}": {"size": SIZE}}
LOOKS[f"--size {SIZE} --guided"] = {"size": SIZE, "guided": True}


def main() -> None:
    photo = read_image(Path(skimage.__file__).parent / "data" / "motorcycle_left.png")
    painter = e2e_art.load("starry_night")
    pictures = {"photo": photo, **{name: painter(photo, **look) for name, look in LOOKS.items()}}
    pictures[f"--size {SIZE} --upscale auto"] = EnlargingPainter("starry_night", None)(photo, size=SIZE)
    details = [np.ascontiguousarray(picture[60:420, 120:660]) for picture in pictures.values()]
    target = Path(__file__).parent / "pictures" / "posters.jpg"
    write_image(
        target, sheet(details, list(pictures), "741x500 pixels, a part of them", 440, columns=2), overwrite=True
    )


if __name__ == "__main__":
    main()
