"""Painting a photo: our chain of four stages in onnxruntime, beside Johnson's network in PyTorch eager.

python benchmarks/inference.py --runs 11
"""

import argparse

import numpy as np
from interleaved import command_line, interleave, serve, table

SIZES = ("320x240", "640x480", "1280x960")
OURS, JOHNSON = "e2e-art, onnxruntime", "Johnson, PyTorch eager"


def our_chain(model: str, threads: int):
    """Returns our chain as a function of a photo, uint8 (H, W, 3), and back."""
    import e2e_art

    return e2e_art.load(model, engine="onnx", threads=threads)


def johnson(threads: int):
    """Returns Johnson's network, untrained (the time is the same), as a function of a photo and back."""
    import torch
    from johnson import TransformNet

    torch.set_num_threads(threads)
    network = TransformNet().eval()

    @torch.inference_mode()
    def paint(photo):
        x = torch.from_numpy(photo).permute(2, 0, 1)[None].float()
        painting = network(x)[0].permute(1, 2, 0)
        return painting.round().clamp(0, 255).to(torch.uint8).contiguous().numpy()

    paint.parameters = sum(parameter.numel() for parameter in network.parameters())
    return paint


def measure(options: argparse.Namespace) -> None:
    """The side of one engine: answers calls."""
    width, height = map(int, options.size.split("x"))
    photo = np.random.RandomState(0).randint(0, 256, (height, width, 3), np.uint8)
    paint = our_chain(options.model, options.threads) if options.engine == OURS else johnson(options.threads)

    def call():
        painting = paint(photo)
        assert painting.shape == photo.shape and painting.dtype == np.uint8
        return getattr(paint, "parameters", None)

    serve(call)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--model", default="starry_night", help="a shipped name or a folder (default: %(default)s)")
    parser.add_argument("--size", help=f"WIDTHxHEIGHT, multiples of 4 (default: {', '.join(SIZES)})")
    parser.add_argument("--runs", type=int, default=11, help="timed runs of each (default: %(default)s)")
    options = parser.parse_args()
    if options.engine:
        return measure(options)
    rows = []
    for size in [options.size] if options.size else SIZES:
        arguments = ["--size", size, "--model", options.model, "--threads", str(options.threads)]
        figures = interleave((OURS, JOHNSON), options.runs, arguments)
        for engine, own in figures.items():
            times = [f"{seconds:.2f}" for seconds in (own.load, own.first, own.median)]
            ratio = own.median / figures[JOHNSON].median
            frames = f"{1 / own.median:.1f}"
            rows.append([f"{size}, {engine}", *times, frames, f"{ratio:.2f}", f"{own.peak:.0f}"])
    head = ["", "load, s", "first call, s", "median, s", "frames/s", "to Johnson's", "peak memory, MiB"]
    print(table(head, rows))
    print(
        f"\nMedians of {options.runs} interleaved runs, {options.threads} threads."
        f"  Johnson's network has {figures[JOHNSON].answer:,} parameters."
    )


if __name__ == "__main__":
    main()
