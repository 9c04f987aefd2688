"""Seconds and memory of an evaluation of the loss from 256 to 2048 pixels, each size in a process of its own.

python benchmarks/sizes.py PHOTO PAINTING
"""

import argparse
import os
import statistics
import sys

from interleaved import command_line, interleave, serve, table

SIZES = ("256", "362", "512", "724", "1024", "1448", "2048")


def measure(options: argparse.Namespace) -> None:
    """The side of one size: answers with seconds an evaluation, the estimate of memory, and megapixels."""
    from e2e_art.images.io import read_image
    from e2e_art.images.resize import resize_long_edge
    from e2e_art.machine import OPTIMIZE
    from e2e_art.optimize.multiscale import optimize
    from e2e_art.optimize.options import OptimizeOptions

    photo, style = resize_long_edge(read_image(options.photo), int(options.engine)), read_image(options.style)
    wanted = OptimizeOptions(steps=options.steps, optimizer=options.optimizer, tolerance=0)

    def call():
        result = optimize(photo, [style], photo, wanted)
        times = [evaluation.seconds for evaluation in result.evaluations]
        seconds = statistics.median(later - earlier for earlier, later in zip(times[1:], times[2:]))
        return [
            seconds,
            OPTIMIZE[options.optimizer].at(*photo.shape[:2]) / 2**20,
            photo.shape[0] * photo.shape[1] / 1e6,
        ]

    serve(call)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("photo")
    parser.add_argument("style")
    parser.add_argument("--steps", type=int, default=12, help="evaluations at each size (default: %(default)s)")
    parser.add_argument("--optimizer", default="lbfgs", help="default: %(default)s")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.engine:
        return measure(options)
    rows = []
    for size in SIZES:
        own = interleave((size,), 0, sys.argv[1:])[size]
        seconds, estimate, pixels = own.answer
        rows.append(
            [size, f"{pixels:.2f}", f"{seconds:.2f}", f"{seconds / pixels:.2f}", f"{own.peak:.0f}", f"{estimate:.0f}"]
        )
    head = ["long edge", "megapixels", "seconds", "seconds a megapixel", "peak memory, MiB", "estimate, MiB"]
    print(table(head, rows))
    print(f"\nMedians of {options.steps - 2} evaluations with {options.optimizer}, {options.threads} threads.")


if __name__ == "__main__":
    main()
