"""Paints every photo of a folder, and skips what is no photo.

python examples/paint_folder.py holidays/ painted/ --model the_scream --strength 0.7
"""

import argparse
from pathlib import Path

import e2e_art
from e2e_art.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("out", type=Path, help="folder to write to; it is made where it does not exist")
    parser.add_argument("--model", default="starry_night", help="a shipped name or a model's folder")
    parser.add_argument("--strength", type=float, default=1.0, help="0 is the photo, 1 the trained look, up to 2")
    parser.add_argument("--size", type=int, help="long edge to paint at: sets the size of strokes")
    options = parser.parse_args()

    painter = e2e_art.load(options.model)  # once: it takes longer than a painting
    for path in sorted(options.photos.iterdir()):
        try:
            photo = e2e_art.read_image(path)  # uint8 (H, W, 3), RGB
        except UserError as error:  # one sentence for people
            print(f"Skipped: {error}")
            continue
        painting = painter(photo, strength=options.strength, size=options.size)
        e2e_art.write_image(options.out / f"{path.stem}.jpg", painting, overwrite=True)
        print(f"Painted {path.name}")


if __name__ == "__main__":
    main()
