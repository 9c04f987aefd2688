"""Memory of each way to work on a picture, in bytes a pixel: what the checks of sizes count with.

python benchmarks/memory.py [WAY ...]
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
from interleaved import command_line, interleave, serve, table

EDGES = (768, 1536)  # of square pictures, each in a process of its own: the slope between them is what a pixel takes
SMALL = 64  # painted first, so that what is loaded once does not count


def picture(edge: int) -> np.ndarray:
    """Returns a picture that is not flat, uint8 (edge, edge, 3)."""
    return np.random.default_rng(0).integers(0, 256, (edge, edge, 3), np.uint8)


def painting(engine: str, **look) -> Callable[[int], object]:
    from e2e_art import load

    painter = load("starry_night", engine)
    return lambda edge: painter(picture(edge), size=0, **look)


def stages(engine: str) -> Callable[[int], object]:
    from e2e_art import load

    painter = load("starry_night", engine)
    return lambda edge: painter.stages(picture(edge), size=0, tile=0)


def texture(engine: str) -> Callable[[int], object]:
    from e2e_art import load_texture

    painter = load_texture("kandinsky", engine)
    return lambda edge: painter(edge, edge)


def doodle(engine: str) -> Callable[[int], object]:
    from e2e_art import load_doodle

    painter = load_doodle("monet", engine)
    return lambda edge: painter(np.broadcast_to(painter.palette[0], (edge, edge, 3)).copy())


def enlarging(engine: str, tile: int = 0) -> Callable[[int], object]:
    """Returns what enlarges a picture to that edge; its pixels are the large ones."""
    from e2e_art import load_upscaler

    upscaler = load_upscaler("photo_x4", engine)
    return lambda edge: upscaler(picture(edge // upscaler.factor), tile=tile)


def enlarging_by_johnson(engine: str) -> Callable[[int], object]:
    """Returns what `enlarging` does, by Johnson's network with the weights that a training begins with."""
    from pathlib import Path
    from tempfile import mkdtemp

    from e2e_art import load_upscaler
    from e2e_art.engines.choice import choose
    from e2e_art.training.stages import stages_of

    choose("auto" if engine == "onnx" else engine)
    from e2e_art.engines.gluon import cpu
    from e2e_art.models.publish import publish
    from e2e_art.networks.chain import UpscaleChain

    chain = UpscaleChain(stages_of("johnson-x4")[:1])
    chain.draw_weights(0, [cpu()])
    upscaler = load_upscaler(publish(chain, Path(mkdtemp()) / "johnson", {}), engine)
    return lambda edge: upscaler(picture(edge // upscaler.factor), tile=0)


def finishing(name: str) -> Callable[[int], object]:
    from e2e_art.images import colors, io, resize, upsample

    steps: dict[str, Callable[[int], object]] = {
        "denoise": lambda edge: colors.denoise(picture(edge)),
        "keep_colors": lambda edge: colors.keep_colors(picture(edge), picture(edge)),
        "guided": lambda edge: upsample.upsample_guided(picture(max(edge // 4, 8)), picture(edge)),
        "resize": lambda edge: resize.resize(picture(SMALL), edge, edge),
        "jpeg": lambda edge: io.encode_image(picture(edge), ".jpg"),
        "png": lambda edge: io.encode_image(picture(edge), ".png"),
    }
    return steps[name]


def losses() -> Callable[[int], object]:
    from e2e_art.evaluation.evaluator import Evaluator
    from e2e_art.models.folder import read_model

    evaluator = Evaluator(read_model("starry_night"))
    return lambda edge: evaluator.losses(picture(edge), [picture(edge)])


def style() -> Callable[[int], object]:
    from e2e_art.images.arrays import to_vgg_space
    from e2e_art.losses.options import LossOptions
    from e2e_art.losses.style_target import StyleTarget

    return lambda edge: StyleTarget.of(LossOptions(), [to_vgg_space(picture(edge))])


def training(kind: str, batch: int = 1) -> Callable[[int], object]:
    from pathlib import Path
    from tempfile import mkdtemp

    from e2e_art.images.io import write_image
    from e2e_art.losses.options import LossOptions
    from e2e_art.training.options import TrainingOptions
    from e2e_art.training.trainer import Training

    folder = Path(mkdtemp())
    write_image(folder / "style.png", picture(256), overwrite=True)
    loss = {} if kind == "chain" else {"loss": LossOptions(content_weight=0.0)}
    more: dict[str, dict] = {"bing-xu": {"kind": "chain", "stages": "bing-xu", "coupling": "joint"}}
    for stages in ("compact", "johnson-x4"):
        more[stages] = {"kind": "upscaler", "factor": 4, "stages": stages, "styles": (), "loss": LossOptions()}
        more[stages] |= {"feature_weights": (1.0,), "gan_weights": (0.0,)}

    def step(edge: int) -> None:
        options = TrainingOptions(
            **{
                **{"styles": (str(folder / "style.png"),), "photos": str(folder), "kind": kind},
                **{"sizes": (edge,), "batch": batch, **loss, **more.get(kind, {})},
            }
        )
        task = Training(options, folder / "checkpoint.npz")
        planes = (6, edge, edge) if kind == "texture" else (edge, edge, 3)
        crops = np.random.default_rng(0).integers(0, 256, (batch, *planes)).astype(np.uint8)
        task.learn(crops if kind != "texture" else [crops.astype(np.float32) / 255], 1e-4)

    return step


WAYS: dict[str, Callable[[], Callable[[int], object]]] = {
    "photo, onnx": lambda: painting("onnx", tile=0),
    "photo, every stage, onnx": lambda: stages("onnx"),
    "photo, mxnet": lambda: painting("mxnet", tile=0),
    "photo, every stage, mxnet": lambda: stages("mxnet"),
    "photo, torch": lambda: painting("torch", tile=0),
    "photo, every stage, torch": lambda: stages("torch"),
    "photo in tiles": lambda: painting("onnx", tile=512),
    "texture, onnx": lambda: texture("onnx"),
    "texture, mxnet": lambda: texture("mxnet"),
    "texture, torch": lambda: texture("torch"),
    "doodle, onnx": lambda: doodle("onnx"),
    "doodle, mxnet": lambda: doodle("mxnet"),
    "doodle, torch": lambda: doodle("torch"),
    "enlarging 4 times, onnx": lambda: enlarging("onnx"),
    "enlarging 4 times, mxnet": lambda: enlarging("mxnet"),
    "enlarging 4 times, torch": lambda: enlarging("torch"),
    "enlarging 4 times by Johnson's, onnx": lambda: enlarging_by_johnson("onnx"),
    "enlarging 4 times by Johnson's, mxnet": lambda: enlarging_by_johnson("mxnet"),
    "enlarging 4 times by Johnson's, torch": lambda: enlarging_by_johnson("torch"),
    "enlarging 4 times in tiles": lambda: enlarging("onnx", 384),
    **{name: partial(finishing, name) for name in ("denoise", "keep_colors", "guided", "resize", "jpeg", "png")},
    "losses of one picture": losses,
    "style of a painting": style,
    "step of a chain": lambda: training("chain"),
    "step of a chain, batch of 2": lambda: training("chain", 2),
    "step of bing-xu, joint": lambda: training("bing-xu"),
    "step of a texture": lambda: training("texture"),
    "step of an upscaler": lambda: training("compact"),
    "step of an upscaler by Johnson": lambda: training("johnson-x4"),
}


def measure(way: str, edge: int) -> None:
    """The side of one size: answers with the MiB that were resident before."""

    def call() -> float:
        work = WAYS[way]()
        work(SMALL)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        work(edge)
        return before

    serve(call)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--edges", type=int, nargs=2, default=EDGES, help="default: %(default)s")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.engine:
        way, _, edge = options.engine.rpartition(":")
        return measure(way, int(edge))
    rows = []
    for way in options.ways or WAYS:
        figures = [interleave((f"{way}:{edge}",), 0)[f"{way}:{edge}"] for edge in options.edges]
        grown = [own.peak - own.answer for own in figures]
        slope = (grown[1] - grown[0]) * 2**20 / (options.edges[1] ** 2 - options.edges[0] ** 2)
        most = grown[1] * 2**20 / options.edges[1] ** 2
        rows.append([way, *(f"{own.peak:.0f}" for own in figures), f"{slope:.0f}", f"{most:.0f}"])
        print(*rows[-1], file=sys.stderr, flush=True)
    print(table(["way", *(f"{edge} pixels, MiB" for edge in options.edges), "bytes a pixel", "in all"], rows))


if __name__ == "__main__":
    main()
