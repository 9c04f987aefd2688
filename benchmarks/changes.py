"""A step of training in several checkouts of this repository, in turn: what a change brought.

git worktree add ../before HEAD~1
python benchmarks/changes.py ../before . --runs 21
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import skimage
from interleaved import command_line, interleave, serve, table
from skimage import data


def measure(options: argparse.Namespace) -> None:
    """The side of one checkout: answers calls."""
    sys.path.insert(0, options.engine)
    import e2e_art

    assert Path(e2e_art.__file__).is_relative_to(options.engine)
    from e2e_art.training.options import TrainingOptions
    from e2e_art.training.trainer import Training

    pictures = Path(skimage.__file__).parent / "data"
    chosen = TrainingOptions(styles=(str(pictures / "coffee.png"),), stages="pyramid", sizes=(options.size,))
    training, crop = Training(chosen, Path(os.devnull)), data.astronaut()[: options.size, : options.size]
    serve(lambda: training.learn(crop[np.newaxis], 1e-3)[1])


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("checkouts", nargs="*", metavar="CHECKOUT", type=Path, help="folders that hold e2e_art/")
    parser.add_argument("--size", type=int, default=192, help="of the crops, at most 512 (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=21, help="timed steps of each (default: %(default)s)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # for MXNet, which reads it when it is imported
    if options.engine:
        return measure(options)
    checkouts = [str(path.resolve()) for path in options.checkouts]
    figures = interleave(checkouts, options.runs, ["--size", str(options.size), "--threads", str(options.threads)])
    first = figures[checkouts[0]].median
    rows = [
        [Path(checkout).name, f"{own.median:.3f}", f"{1 / own.median:.2f}", f"{first / own.median:.2f}"]
        for checkout, own in figures.items()
    ]
    print(table(["", "median, s", "steps/s", "to the first's"], rows))
    size = f"{options.size}x{options.size}"
    print(f"\nMedians of {options.runs} interleaved steps at {size}, batch 1, {options.threads} threads.")


if __name__ == "__main__":
    main()
