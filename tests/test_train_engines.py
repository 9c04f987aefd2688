"""Engines train alike: twenty steps of each in a process of its own, and ten of one after ten of the other."""

import importlib.util
import json

import numpy as np
import pytest

from e2e_art.training.checkpoint import load_checkpoint

ENGINES = [name for name in ("mxnet", "torch") if importlib.util.find_spec(name)]

pytestmark = [
    pytest.mark.numerical,
    pytest.mark.slow,
    pytest.mark.training,
    pytest.mark.skipif(len(ENGINES) < 2, reason="there is but one engine"),
]

STEPS = 20
# Takes the steps of a training up to one of them; prints the losses of each.
SCRIPT = """
import json, sys
from pathlib import Path
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training

_, options, checkpoint, last = sys.argv

def on_step(step):
    print(json.dumps([step.total_step, *(term for stage in step.losses for term in stage.values())]))
    if step.total_step == int(last):
        raise KeyboardInterrupt

options = TrainingOptions.of(json.loads(options))
try:
    Training(options, Path(checkpoint), bfloat16=False, resume=True).run(on_step)
except KeyboardInterrupt:
    pass
"""
LOSS = {"style_layers": ["relu1_1", "relu2_1", "relu3_1"], "content_layers": ["relu2_2"]}
KINDS = {
    "staged": {"stages": "pyramid,pyramid", "steps": [10], "batch": 2},
    "joint, batch norm": {"stages": "pyramid,deconv", "coupling": "joint", "norm": "batch", "batch": 2},
    "critic": {"stages": "pyramid,pyramid", "steps": [10], "batch": 2, "gan_weights": [0.2]},
    "upscaler": {
        "kind": "upscaler",
        "styles": [],
        "factor": 2,
        "sizes": [48],
        "steps": [6, 7, 7],
        "gan_weights": [0.2],
        "batch": 2,
    },
    "straight-through, shared": {"stages": "pyramid,pyramid", "coupling": "straight-through", "share_weights": True},
    # Of 32 pixels the coarsest scale would be a single one, whose variance is nothing but rounding.
    # Its loss halves in 20 steps of 3e-4, and numbers part by 1e-3 where many threads add them up.
    "texture": {
        "kind": "texture",
        "sizes": [64],
        "loss": {**LOSS, "content_weight": 0.0},
        "learning_rates": [5e-5],
    },
}


@pytest.fixture
def train(files, tmp_path, fresh_python):
    """Trains with one engine up to a step; returns the losses of each step."""

    def run(kind: str, engine: str, checkpoint, last: int = STEPS) -> np.ndarray:
        options = {"styles": [str(files / "painting.jpg")], "photos": str(files / "photos"), "style_size": 64}
        # At these rates a step moves the losses by a percent; the larger it is, the faster numbers part.
        options |= {"steps": [STEPS], "sizes": [32], "loss": LOSS, "learning_rates": [3e-4], **KINDS[kind]}
        done = fresh_python(SCRIPT, json.dumps(options), checkpoint, last, E2E_ART_ENGINE=engine)
        return np.array([json.loads(line) for line in done.stdout.splitlines()])

    return run


def weights_of(checkpoint) -> np.ndarray:
    stages = load_checkpoint(checkpoint).weights
    return np.concatenate([weight.ravel() for weights in stages for _, weight in sorted(weights.items())])


@pytest.mark.parametrize("kind", KINDS)
def test_engines_train_alike_and_take_over(train, tmp_path, kind):
    losses = {engine: train(kind, engine, tmp_path / f"{engine}.npz") for engine in ENGINES}
    begun = train(kind, "torch", tmp_path / "both.npz", STEPS // 2)
    losses["both"] = np.concatenate([begun, train(kind, "mxnet", tmp_path / "both.npz")])
    first, weights = losses["mxnet"], weights_of(tmp_path / "mxnet.npz")
    assert first[:, 0].tolist() == list(range(1, STEPS + 1))
    for name in ("torch", "both"):
        assert np.all(np.abs(losses[name] - first) <= 1e-3 * np.abs(first)), name
        other = weights_of(tmp_path / f"{name}.npz")
        assert np.linalg.norm(other - weights) < 1e-3 * np.linalg.norm(weights), name
    assert {engine[:2] for engine in load_checkpoint(tmp_path / "both.npz").state["times"]} == {"MX", "Py"}
