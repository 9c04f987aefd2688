"""Paints photos: python infer.py PHOTO... --model starry_night -o OUT

Every flag: python infer.py --help
"""

import sys

from e2e_art.commands.main import main

if __name__ == "__main__":
    raise SystemExit(main(["infer", *sys.argv[1:]]))
