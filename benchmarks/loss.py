"""A step of the loss network: the default loss of a picture, and its gradient, by each engine and in each precision.

Wall time takes turns (interleaved.py).  The time of the cores, the least of several steps, tells more where others work
on the machine; with one thread there is no waiting in it.

python benchmarks/loss.py --threads 1

Where DNNL_MAX_CPU_ISA and ONEDNN_MAX_CPU_ISA are AVX2, and ATEN_CPU_CAPABILITY is avx2: as without AVX-512.
"""

import argparse
import importlib.util
import os
import sys
import time

import numpy as np
from interleaved import command_line, interleave, serve, table

ENGINES = {"mxnet": "MXNet", "torch": "PyTorch"}
STEPS = 5


def measure(options: argparse.Namespace) -> None:
    """The side of one engine and precision: answers with the least seconds of the cores."""
    engine, precision = options.engine.split()
    from e2e_art.engines.choice import choose

    choose(engine)
    from e2e_art.engines.gluon import array, autograd, to_numpy
    from e2e_art.losses.options import LossOptions
    from e2e_art.losses.perceptual import PerceptualLoss
    from e2e_art.losses.style_target import StyleTarget

    random, shape = np.random.default_rng(0), (1, 3, options.size, options.size)
    photo, style, start = (random.uniform(-128, 128, shape).astype(np.float32) for _ in range(3))
    loss = PerceptualLoss(LossOptions(), StyleTarget.of(LossOptions(), [style]), bfloat16=precision == "bfloat16")
    content, picture = loss.content_features(array(photo)), autograd.watch(array(start))

    def step() -> float:
        began = time.process_time()
        with autograd.record():
            total = sum(loss(picture, content).values())
        autograd.backward([total], [picture])
        to_numpy(autograd.gradient(picture))
        return time.process_time() - began

    step()
    serve(lambda: min(step() for _ in range(STEPS)))


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--size", type=int, default=256, help="of the square picture (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help=f"of {STEPS} steps each (default: %(default)s)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.engine:
        return measure(options)
    from e2e_art.machine import bfloat16_is_fast

    precisions = ("float32", "bfloat16") if bfloat16_is_fast() else ("float32",)
    sides = [f"{name} {precision}" for name in ENGINES if importlib.util.find_spec(name) for precision in precisions]
    figures = interleave(sides, options.runs, sys.argv[1:])
    rows = []
    for side, own in figures.items():
        engine, precision = side.split()
        ratio = own.median / next(iter(figures.values())).median
        seconds = [f"{own.answer:.3f}", f"{own.median / STEPS:.3f}", f"{ratio:.2f}"]
        rows.append([ENGINES[engine], precision, *seconds, f"{own.peak:.0f}"])
    print(table(["", "precision", "cores, s", "wall, s", "to the first", "peak memory, MiB"], rows))


if __name__ == "__main__":
    main()
