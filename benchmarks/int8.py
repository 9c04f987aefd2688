"""A chain in 8-bit arithmetic, by onnxruntime's static quantization: how near its paintings stay, and how fast it is.

Calibrated on scikit-image's photos; evaluated on those of a folder.

python benchmarks/int8.py PHOTOS --model starry_night
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from interleaved import command_line, table
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from skimage import data

from e2e_art.engines.onnxruntime import open_session
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.images.io import list_images, read_image
from e2e_art.images.resize import resize_long_edge, resize_short_edge
from e2e_art.models.folder import read_model

EDGE = 640
CALIBRATION = (data.astronaut, data.coffee, data.chelsea, data.rocket)


def inputs_of(photo: np.ndarray) -> dict[str, np.ndarray]:
    return {"image": np.ascontiguousarray(photo.transpose(2, 0, 1)[None], np.float32), "strength": np.ones(1, "f")}


class Calibration(CalibrationDataReader):
    """Hands out the photos by whose activations the ranges of 8 bits are chosen."""

    def __init__(self):
        self._photos = iter(CALIBRATION)

    def get_next(self) -> dict[str, np.ndarray] | None:
        take = next(self._photos, None)
        return take and inputs_of(resize_long_edge(take(), EDGE // 2))


def fold_constants(path: Path, folded: Path) -> None:
    """Writes a graph whose weights are constants, without the layout of any machine."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.optimized_model_filepath = str(folded)
    onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def painting(session, photo: np.ndarray) -> np.ndarray:
    (output,) = session.run([session.get_outputs()[-1].name], inputs_of(photo))
    return np.clip(np.rint(output[0]), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def nearness(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the peak signal-to-noise ratio of two pictures, dB."""
    return 10 * np.log10(255**2 / max(np.square(one.astype(float) - other).mean(), 1e-9))


def inner_convolutions(path: Path) -> list[str]:
    """Names the convolutions that neither read a picture at full size nor write one: those hold the colors."""
    graph = onnx.load(str(path)).graph
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    return [node.name for node in nodes if min(shapes[node.input[1]][:2]) >= 16]


def main() -> None:
    parser: argparse.ArgumentParser = command_line(__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of photos to evaluate on")
    parser.add_argument("--model", default="starry_night", help="a shipped name or a folder (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=11, help="timed runs of each (default: %(default)s)")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # advice of the quantizer's
    model = read_model(options.model)
    photos = [read_image(path) for path in list_images(options.photos)]
    large = [resize_long_edge(photo, EDGE) for photo in photos]
    small = [resize_short_edge(photo, 320) for photo in photos]
    evaluator = Evaluator(model)
    with tempfile.TemporaryDirectory() as folder:
        basic = Path(folder, "basic.onnx")
        fold_constants(model.path("model.onnx"), basic)
        sessions = {"single precision": open_session(model.path("model.onnx"), options.threads)}
        for name, nodes in (("int8, all convolutions", None), ("int8, inner convolutions", inner_convolutions(basic))):
            path = Path(folder, f"{len(sessions)}.onnx")
            quantize_static(
                str(basic), str(path), Calibration(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                nodes_to_quantize=nodes, op_types_to_quantize=["Conv"],
            )  # fmt: skip
            sessions[name] = open_session(path, options.threads)
        exact, *others = sessions.values()
        near = [[nearness(painting(exact, photo), painting(other, photo)) for photo in large] for other in others]
        totals = np.mean(
            [
                [losses["total"] for losses in evaluator.losses(photo, [painting(s, photo) for s in sessions.values()])]
                for photo in small
            ],
            axis=0,
        )
        seconds: list[list[float]] = [[] for _ in sessions]
        for _ in range(options.runs):
            for spent, session in zip(seconds, sessions.values()):
                started = time.perf_counter()
                painting(session, large[0])
                spent.append(time.perf_counter() - started)
    medians = np.median(seconds, axis=1)
    rows = []
    for index, name in enumerate(sessions):
        dB = [f"{np.mean(near[index - 1]):.1f}", f"{min(near[index - 1]):.1f}"] if index else ["", ""]
        speed = f"{medians[0] / medians[index]:.2f}"
        rows.append([name, *dB, f"{totals[index]:.3f}", f"{medians[index]:.2f}", speed])
    print(table(["", "PSNR, mean dB", "worst", "total loss", "median, s", "times as fast"], rows))
    print(
        f"\n{len(photos)} photos; PSNR and time at long edge {EDGE}, loss at short edge 320; {options.threads} threads."
    )


if __name__ == "__main__":
    main()
