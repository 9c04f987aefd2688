"""Training one stage: steps a second of ours, in bfloat16 and in float32, beside the same networks in PyTorch.

python benchmarks/training.py --runs 21
"""

import argparse
import importlib.util
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import skimage
from interleaved import command_line, interleave, serve, table

from e2e_art.images.arrays import to_vgg_space
from e2e_art.images.io import read_image
from e2e_art.images.resize import resize_long_edge
from e2e_art.machine import bfloat16_is_fast

ENGINES = BFLOAT16, FLOAT32, PYTORCH = "e2e-art, bfloat16", "e2e-art, float32", "PyTorch, float32"
PICTURES = Path(skimage.__file__).parent / "data"
STYLE, PHOTO = PICTURES / "coffee.png", PICTURES / "astronaut.png"
LEARNING_RATE, CLIP = 1e-3, 10.0


def our_step(crop: np.ndarray, bfloat16: bool, start: Path):
    """Returns one step of our own training; leaves the weights and the noise that it starts from in a file."""
    from e2e_art.engines.mxnet import mx
    from e2e_art.losses.options import LossOptions
    from e2e_art.networks.inputs import NOISE_PERIOD
    from e2e_art.training.options import TrainingOptions
    from e2e_art.training.trainer import Training

    options = TrainingOptions(
        styles=(str(STYLE),),
        stages="pyramid",
        sizes=crop.shape[:1],
        gradient_clip=CLIP,
        learning_rates=(LEARNING_RATE,),
        loss=LossOptions(),
    )
    training = Training(options, Path(os.devnull), bfloat16=bfloat16)
    chain = training.chain
    padded = chain.pad(mx.nd.array(to_vgg_space(crop)))
    shift = int(np.random.RandomState(training.state.position).randint(NOISE_PERIOD**2))  # as the training draws it
    noise = chain.conditioning(padded, shift).asnumpy()[:, 3:]
    generator = json.dumps(chain.generators[0].describe())
    np.savez(start, noise=noise, generator=generator, **chain.stage_weights(0))

    def step():
        losses, _ = training.learn(crop[None], LEARNING_RATE)
        return losses[0]

    return step


def pytorch_step(crop: np.ndarray, start: Path, threads: int):
    """Returns the same step in PyTorch, from the same weights."""
    import torch
    from torch_networks import Loss, Pyramid

    torch.set_num_threads(threads)
    with np.load(start, allow_pickle=False) as file:
        arrays = dict(file)
    generator = Pyramid(noise=arrays.pop("noise"), **json.loads(arrays.pop("generator").item()))
    generator.take(arrays)
    learning = [parameter for parameter in generator.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(learning, LEARNING_RATE)
    loss = Loss(to_vgg_space(resize_long_edge(read_image(STYLE), 400)))

    def step():
        photo = torch.from_numpy(to_vgg_space(crop))
        terms = loss(generator(photo), loss.content_features(photo))
        adam.zero_grad()
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(learning, CLIP)
        adam.step()
        return {name: term.item() for name, term in terms.items()}

    return step


def measure(options: argparse.Namespace) -> None:
    """The side of one engine: answers calls."""
    crop = read_image(PHOTO)[: options.size, : options.size]
    start = Path(options.start)
    if options.engine == PYTORCH:
        serve(pytorch_step(crop, start, options.threads))
    else:
        serve(our_step(crop, options.engine == BFLOAT16, start))


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--size", type=int, default=256, help="of the crops, at most 512 (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=21, help="timed steps of each (default: %(default)s)")
    parser.add_argument("--start", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # for MXNet, which reads it when it is imported
    if options.engine:
        return measure(options)
    missing = {
        BFLOAT16: "" if bfloat16_is_fast() else "this processor has no bfloat16",
        PYTORCH: "" if importlib.util.find_spec("torch") else "PyTorch is not installed",
    }
    missing = {engine: reason for engine, reason in missing.items() if reason}
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--size", str(options.size), "--threads", str(options.threads), "--start", f"{folder}/start.npz"]
        figures = interleave([engine for engine in ENGINES if engine not in missing], options.runs, arguments)
    rows = []
    for engine, own in figures.items():
        beside = f"{figures[PYTORCH].median / own.median:.2f}" if PYTORCH in figures else "-"
        speeds = f"{1 / own.median:.2f}", beside
        losses = [f"{own.answer[name]:.4f}" for name in ("style", "content", "tv")]
        rows.append([engine, f"{own.first:.2f}", f"{own.median:.2f}", *speeds, f"{own.peak:.0f}", *losses])
    head = ["", "first step, s", "median, s", "steps/s", "to PyTorch's", "peak memory, MiB", "style", "content", "tv"]
    print(table(head, rows))
    size = f"{options.size}x{options.size}"
    print(f"\nMedians of {options.runs} interleaved steps at {size}, batch 1, {options.threads} threads.")
    print("Style, content and tv are the weighted losses of the first step: alike, where the networks are.")
    for engine, reason in missing.items():
        print(f"Without {engine}: {reason}.")


if __name__ == "__main__":
    main()
