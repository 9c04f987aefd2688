"""Makes textures from noise, one for each seed, and shows that they tile.

python examples/texture.py brick out/ --size 512x256 --seeds 1 2 3
"""

import argparse
from pathlib import Path

import numpy as np

import e2e_art


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a shipped texture, or the folder of one that train.py --texture wrote")
    parser.add_argument("out", type=Path, help="folder to write to; it is made where it does not exist")
    parser.add_argument("--size", default="512x512", help="WIDTHxHEIGHT; multiples of 32 tile (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one texture for each")
    options = parser.parse_args()

    width, height = map(int, options.size.split("x"))
    painter = e2e_art.load_texture(options.model)
    for seed in options.seeds:
        texture = painter(height, width, seed=seed)  # uint8 (height, width, 3), the same one in every engine
        e2e_art.write_image(options.out / f"seed-{seed}.png", texture, overwrite=True)
        e2e_art.write_image(options.out / f"seed-{seed}-tiled.png", np.tile(texture, (2, 2, 1)), overwrite=True)


if __name__ == "__main__":
    main()
