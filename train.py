"""Trains a chain on a painting: python train.py --style painting.jpg --photos DIR --out models/NAME

Every flag: python train.py --help
"""

import sys

from e2e_art.commands.main import main

if __name__ == "__main__":
    raise SystemExit(main(["train", *sys.argv[1:]]))
