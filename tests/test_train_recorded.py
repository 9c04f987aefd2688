"""A step is a function of arrays alone: so a GPU can record it once, and play it with other photos and rates.

PyTorch's tracing records operators, too, on any device, and refuses to fetch a number: what is fixed where it should
follow the inputs shows in the second step.
"""

import numpy as np
import pytest

from e2e_art.engines.choice import chosen

if chosen() != "torch":
    pytest.skip("MXNet records nothing", allow_module_level=True)

import torch
from helpers import save
from torch.fx.experimental.proxy_tensor import make_fx

from e2e_art.losses.options import LossOptions
from e2e_art.training import step
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training

pytestmark = [pytest.mark.training, pytest.mark.numerical, pytest.mark.slow]

LOSS = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": ("relu2_1",)}
PLAIN = LossOptions(**LOSS, content_weight=0.0)
KINDS = {
    "staged": {"stages": "pyramid,pyramid", "optimizer": "adam"},
    "joint": {"stages": "pyramid,deconv", "coupling": "joint"},
    "straight-through, shared": {"stages": "pyramid,pyramid", "coupling": "straight-through", "share_weights": True},
    "batch norm": {"stages": "conv,pyramid", "norm": "batch"},
    "gradients": {"stages": "pyramid", "loss": LossOptions(**LOSS, normalize_gradients=True, covariance=True)},
    "bing-xu": {"stages": "pyramid", "loss": LossOptions(**LOSS, convention="bing-xu", pooling="max")},
    "texture": {"kind": "texture", "loss": PLAIN},
    "critic": {"stages": "pyramid", "gan_weights": (0.2,), "steps": (8,)},
    "doodle": {"kind": "doodle", "loss": PLAIN, "regions": 2, "edge_jitter": 3.0},
}


class Traced:
    """What `recorded` of engines/torch_gradients.py does on a GPU, by tracing."""

    def __init__(self, function, state):
        self.function, self.state, self.graphs = function, state, {}

    def __call__(self, *inputs):
        shapes = tuple(each.shape for each in inputs)
        if shapes not in self.graphs:
            before = [each.clone() for each in self.state]
            self.function(*inputs)  # whatever it keeps for good is made here, as in a warm-up
            graph = self.graphs[shapes] = make_fx(self.function)(*inputs)
            assert not [node for node in graph.graph.nodes if "lift_fresh" in str(node.target)]  # made from numpy
            for each, value in zip(self.state, before):
                each.copy_(value)
        with torch.no_grad():  # its gradients are operators like others
            return self.graphs[shapes](*inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_step_follows_its_inputs_and_nothing_else(files, tmp_path, monkeypatch, kind):
    options = {"styles": (str(files / "painting.jpg"),), "photos": str(files / "photos"), "loss": LossOptions(**LOSS)}
    options |= {"style_size": 64, "sizes": (32,), "steps": (3,), "batch": 2, **KINDS[kind]}
    if kind == "doodle":
        mask = np.where(np.arange(128) < 64, 255, 0) * np.ones((96, 1))
        options |= {"style_mask": str(save(tmp_path / "mask.png", mask.astype(np.uint8), "RGB"))}
    found = []
    for recorded in (lambda function, state: function, Traced):
        monkeypatch.setattr(step, "recorded", recorded)
        training, steps = Training(TrainingOptions(**options), tmp_path / "checkpoint.npz", bfloat16=False), []
        training.run(lambda step, steps=steps: steps.append([*step.losses[-1].values(), step.gradient_norm]))
        weights = training.chain.stage_weights(0)
        found.append((np.array(steps), np.concatenate([weights[name].ravel() for name in sorted(weights)])))
    (losses, weights), (same_losses, same_weights) = found
    assert np.allclose(losses, same_losses, rtol=1e-3)
    assert np.linalg.norm(weights - same_weights) < 1e-3 * np.linalg.norm(weights)
