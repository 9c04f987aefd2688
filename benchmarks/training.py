"""Training one stage: steps a second of every engine and device that is found, beside PyTorch written by hand.

python benchmarks/training.py --runs 21
python benchmarks/training.py --gpu 0 --size 448 --batch 4
python benchmarks/training.py --task texture
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage
from interleaved import command_line, interleave, serve, table

from e2e_art.engines.choice import choose
from e2e_art.images.arrays import to_vgg_space
from e2e_art.images.io import read_image, write_image
from e2e_art.images.resize import resize, resize_long_edge
from e2e_art.machine import bfloat16_is_fast

PICTURES = Path(skimage.__file__).parent / "data"
STYLE, PHOTO = PICTURES / "coffee.png", PICTURES / "astronaut.png"
LEARNING_RATE, CLIP = 1e-3, 10.0
TASKS = ("pyramid", "bing-xu", "texture", "doodle")
AT_ONCE = 10  # steps of a call on a GPU, whose losses are fetched together, as in trainings
PLAIN = "plain"  # PyTorch written by hand


def our_step(
    crops: np.ndarray, bfloat16: bool, folder: Path, *, task: str = TASKS[0], gpu: str | None = None
) -> Callable:
    """Returns a function that takes some steps of our own training, and returns the losses of the last.

    It leaves the weights that they start from in the folder.
    """
    from e2e_art.engines.gluon import devices
    from e2e_art.losses.options import LossOptions
    from e2e_art.training.options import TrainingOptions
    from e2e_art.training.trainer import Training

    batch, size = crops.shape[:2]
    options = dict(
        styles=(str(STYLE),), sizes=(size,), batch=batch, gradient_clip=CLIP, learning_rates=(LEARNING_RATE,)
    )
    options |= {"kind": task, "loss": LossOptions(content_weight=0.0)} if task in ("texture", "doodle") else {
        "stages": task, "coupling": "joint", "loss": LossOptions(), "photos": str(PICTURES)
    }  # fmt: skip
    if task == "doodle":  # of four quarters
        quarters = np.kron(np.arange(4).reshape(2, 2), np.ones((100, 150), int))
        write_image(folder / "mask.png", np.eye(4, 3, dtype=np.uint8)[quarters] * 255, overwrite=True)
        options |= {"regions": 4, "style_mask": str(folder / "mask.png")}
    training = Training(TrainingOptions(**options), Path(os.devnull), devices=devices(gpu), bfloat16=bfloat16)
    np.savez(folder / "start.npz", **training.chain.stage_weights(0))
    shown = crops
    if task in ("texture", "doodle"):
        with training.task.batches(size, 0) as stream:
            shown = next(stream)

    def step(count: int = 1) -> dict[str, float]:
        results = [training.take_step(shown, LEARNING_RATE) for _ in range(count)]
        return [training.losses_of(each, 1)[0][0] for each in results][-1]

    return step


def by_hand(crops: np.ndarray, bfloat16: bool, folder: Path, gpu: str | None, threads: int) -> Callable:
    """Returns a function that takes some steps in plain PyTorch, and returns the losses of the last."""
    import torch
    from plain_torch import plain_step

    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    style = to_vgg_space(resize_long_edge(read_image(STYLE), 400))
    device = "cpu" if gpu is None else gpu if gpu == "mps" else f"cuda:{gpu}"
    with np.load(folder / "start.npz") as weights:
        step = plain_step(crops, style, weights, LEARNING_RATE, CLIP, device, bfloat16)

    def steps(count: int = 1) -> dict[str, float]:
        results = [step() for _ in range(count)]
        return dict(zip(("style", "content", "tv"), [each.tolist() for each in results][-1]))

    return steps


def measure(options: argparse.Namespace) -> None:
    """The side of one engine: answers calls."""
    engine, device, precision = options.engine.split("/")
    photo = read_image(PHOTO)
    crops = np.stack(
        [resize(photo[n : 512 - n, n : 512 - n], options.size, options.size) for n in range(options.batch)]
    )
    folder, gpu, bfloat16 = Path(options.folder), None if device == "cpu" else device, precision == "bfloat16"
    if engine == PLAIN:
        steps = by_hand(crops, bfloat16, folder, gpu, options.threads)
    else:
        choose(engine)
        steps = our_step(crops, bfloat16, folder, task=options.task, gpu=gpu)
    first = [True]

    def call() -> dict[str, float]:
        count = 1 if gpu is None or first.pop() else AT_ONCE  # the first one tells whether all compute the same
        first.append(False)
        return steps(count)

    serve(call)


def candidates(gpu: str | None, task: str) -> list[str]:
    """Returns the engines that are found, their devices and precisions: "torch/cpu/float32"."""
    engines = [engine for engine in ("mxnet", "torch") if importlib.util.find_spec(engine)]
    engines += [PLAIN] if "torch" in engines and task == TASKS[0] else []
    devices = [gpu or "cpu"]
    if not gpu and "torch" in engines:
        import torch

        devices += ["0"] if torch.cuda.is_available() else ["mps"] if torch.backends.mps.is_available() else []
    found = []
    for device in devices:
        bfloat16 = device != "mps" if device != "cpu" else bfloat16_is_fast()
        for engine in engines:
            if engine != "mxnet" or device == "cpu" or importlib.util.find_spec("nvidia.cublas_cu11"):
                found += [f"{engine}/{device}/{precision}" for precision in ("bfloat16", "float32")[not bfloat16 :]]
    return found


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--size", type=int, default=256, help="of the crops (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="crops in a step (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=21, help="timed calls of each (default: %(default)s)")
    parser.add_argument("--task", choices=TASKS, default=TASKS[0], help="what learns (default: %(default)s)")
    parser.add_argument("--gpu", help="measure this GPU alone: its number, or mps")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # for the engines, which read it when they are imported
    if options.engine:
        return measure(options)
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--{name}={getattr(options, name)}" for name in ("size", "batch", "threads", "task")]
        figures = interleave(candidates(options.gpu, options.task), options.runs, [*words, f"--folder={folder}"])
    names = {"mxnet": "MXNet", "torch": "PyTorch", PLAIN: "PyTorch by hand", "cpu": "CPU", "0": "GPU"}
    rows, terms = [], next(iter(figures.values())).answer
    for candidate, own in figures.items():
        engine, device, precision = candidate.split("/")
        seconds = own.median / (1 if device == "cpu" else AT_ONCE)
        rows.append(
            [f"{names[engine]}, {names.get(device, device)}, {precision}", f"{own.first:.2f}", f"{seconds:.3f}"]
        )
        rows[-1] += [f"{1 / seconds:.2f}", f"{own.peak:.0f}", *(f"{own.answer[name]:.4f}" for name in terms)]
    print(table(["", "first step, s", "median, s", "steps/s", "peak memory, MiB", *terms], rows))
    size = f"{options.size}x{options.size}"
    print(f"\nMedians of {options.runs} interleaved calls, {options.task}, {size}, batch {options.batch}, ", end="")
    print(f"{options.threads} threads; on a GPU {AT_ONCE} steps a call.")
    print("Style, content and tv are the weighted losses of the first step: alike, where the networks are.")
    print("Engines step with Muon, PyTorch by hand with its Adam.")


if __name__ == "__main__":
    main()
