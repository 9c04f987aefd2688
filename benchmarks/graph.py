"""Where a painting's time goes in onnxruntime: operator by operator, and under other settings of the session.

python benchmarks/graph.py --model starry_night --size 640x480
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
from interleaved import command_line, interleave, serve, table

from e2e_art.models.folder import read_model

SETTINGS = {
    "as the package opens it": lambda settings: None,
    "one thread": lambda settings: setattr(settings, "intra_op_num_threads", 1),
    "threads that sleep between calls": lambda settings: settings.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    ),
    "no memory arena": lambda settings: setattr(settings, "enable_cpu_mem_arena", False),
    "no fusing, no blocked layout": lambda settings: setattr(
        settings, "graph_optimization_level", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    ),
}


def session_and_inputs(options: argparse.Namespace, settings) -> tuple:
    """Returns a session of the whole chain, and a photo of the size asked for."""
    settings.intra_op_num_threads = settings.intra_op_num_threads or options.threads or 0
    graph = read_model(options.model).path("model.onnx")
    session = onnxruntime.InferenceSession(str(graph), settings, providers=["CPUExecutionProvider"])
    width, height = map(int, options.size.split("x"))
    photo = np.random.RandomState(0).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
    return session, {"image": photo, "strength": np.ones(1, np.float32)}


def shares(options: argparse.Namespace) -> list[list[str]]:
    """Returns a row for each operator: its milliseconds in a painting, and its share of them all."""
    with tempfile.TemporaryDirectory() as folder:
        settings = onnxruntime.SessionOptions()
        settings.enable_profiling = True
        settings.profile_file_prefix = f"{folder}/profile"
        session, inputs = session_and_inputs(options, settings)
        for _ in range(options.runs):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    spent = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"] / 1000 / options.runs
    total = sum(spent.values())
    return [[name, f"{ms:.1f}", f"{100 * ms / total:.1f} %"] for name, ms in spent.most_common() if ms > total / 200]


def measure(options: argparse.Namespace) -> None:
    """The side of one setting: answers calls."""
    settings = onnxruntime.SessionOptions()
    SETTINGS[options.engine](settings)
    session, inputs = session_and_inputs(options, settings)
    last = session.get_outputs()[-1].name
    serve(lambda: session.run([last], inputs) and None)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--model", default="starry_night", help="a shipped name or a folder (default: %(default)s)")
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=11, help="timed runs of each (default: %(default)s)")
    options = parser.parse_args()
    if options.engine:
        return measure(options)
    arguments = ["--model", options.model, "--size", options.size, "--threads", str(options.threads)]
    figures = interleave(tuple(SETTINGS), options.runs, arguments)
    rows = [
        [name, *(f"{seconds:.2f}" for seconds in (own.load, own.first, own.median)), f"{own.peak:.0f}"]
        for name, own in figures.items()
    ]
    print(table(["session", "load, s", "first call, s", "median, s", "peak memory, MiB"], rows))
    print(f"\n{options.size}, medians of {options.runs} interleaved runs, {options.threads} threads unless said so.\n")
    print(table(["operator", "ms", "share"], shares(options)))  # last: a child's peak memory begins with its parent's


if __name__ == "__main__":
    main()
