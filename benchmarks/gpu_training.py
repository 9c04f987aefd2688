"""A training on a GPU that MXNet has no code for: the same networks in PyTorch take its checkpoint to the end.

python train.py ... --out MODEL, stopped by Ctrl-C at once; then, where PyTorch sees a GPU,
python benchmarks/gpu_training.py MODEL.training/checkpoint.npz --style PAINTING --photos DIR;
then the first command again, with --resume: it evaluates and writes the model.  A stage that has begun begins anew from
its weights.

The same photos, crops, noise, losses, optimizer and learning rates as `train.py` takes step by step; only sums come
out in another order.  mxnet-cu112 holds code for GPUs up to Ampere, which Ada runs, too; Hopper and later do not.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch_networks import Loss, Pyramid, cropped, padded
from tqdm import tqdm

from e2e_art.data.photos import PhotoStream
from e2e_art.images.arrays import CHANNEL_MEANS, to_vgg_space
from e2e_art.images.io import list_images, read_image
from e2e_art.images.resize import resize_long_edge, resize_short_edge
from e2e_art.losses.options import LossOptions
from e2e_art.networks.inputs import NOISE_PERIOD, noise_tile
from e2e_art.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from e2e_art.training.options import TrainingOptions

WARM_UP, VALIDATION_EDGE = 20, 320  # as in trainer.py and tasks.py, which need MXNet
MATRIX_RATE, MOMENTUM, SMALLEST = 10.0, 0.95, 16  # and optimizer.py
ITERATIONS, A, B, C = 5, 3.4445, -4.7750, 2.0315
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def orthogonalize(matrices: list) -> list:
    """Returns about the orthogonal matrix nearest to each: `orthogonalize` of e2e_art/optimizer.py."""
    wide = [matrix.T if len(matrix) > matrix.shape[1] else matrix for matrix in matrices]
    wide = [matrix / (matrix.norm() + 1e-7) for matrix in wide]
    results = {}
    for rows in {len(x) for x in wide}:
        alike = [index for index, x in enumerate(wide) if len(x) == rows]
        square = torch.stack([wide[index] @ wide[index].T for index in alike])  # (M, rows, rows)
        one = torch.eye(rows, device=square.device).expand_as(square)
        whole = one
        for _ in range(ITERATIONS):
            factor = A * one + square @ (B * one + C * square)
            square, whole = factor @ square @ factor, factor @ whole
        results.update({index: whole[place] @ wide[index] for place, index in enumerate(alike)})
    return [results[n].T if len(matrix) > matrix.shape[1] else results[n] for n, matrix in enumerate(matrices)]


class Muon:
    """Our optimizer; its rates are tensors, so that a recorded step can be played with others."""

    def __init__(self, weights: list):
        self.weights = weights
        self.is_matrix = [w.dim() == 4 and min(len(w), w[0].numel()) >= SMALLEST for w in weights]
        self.momenta = [torch.zeros_like(weight) for weight in weights]
        self.squares = [torch.zeros_like(weight) for weight in weights]
        self.rate, self.adam_rate = (torch.zeros((), device=weights[0].device) for _ in range(2))
        self.count = 0

    def set_rate(self, rate: float) -> None:
        """Sets the learning rate of the next step."""
        self.count += 1
        self.rate.fill_(rate)
        self.adam_rate.fill_(rate * math.sqrt(1 - BETA_2**self.count) / (1 - BETA_1**self.count))

    @torch.no_grad()
    def step(self, gradients) -> None:
        moving, ahead = [], []
        for index, (weight, gradient) in enumerate(zip(self.weights, gradients)):
            momentum, square = self.momenta[index], self.squares[index]
            if self.is_matrix[index]:
                momentum.mul_(MOMENTUM).add_(gradient, alpha=1 - MOMENTUM)
                moving.append(weight)
                ahead.append((MOMENTUM * momentum + (1 - MOMENTUM) * gradient).reshape(len(weight), -1))
            else:
                momentum.mul_(BETA_1).add_(gradient, alpha=1 - BETA_1)
                square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
                weight.sub_(self.adam_rate * momentum / (square.sqrt() + EPSILON))
        for weight, direction in zip(moving, orthogonalize(ahead)):
            scale = max(1.0, len(direction) / direction.shape[1]) ** 0.5
            weight.sub_(self.rate * (MATRIX_RATE * scale) * direction.reshape(weight.shape))

    def memory(self) -> list:
        return [*self.weights, *self.momenta, *self.squares]


class Phase:
    """One stage that learns, behind those that have learned before."""

    def __init__(self, training: Training, stage: int):
        options = training.options
        self.training, self.stage = training, stage
        self.boost = options.style_boosts[stage]
        size, device = options.sizes[stage], training.device
        self.size = size
        self.crops = torch.zeros((options.batch, size, size, 3), dtype=torch.uint8, device=device)
        edge = size + 32
        self.noise = torch.zeros((1, 1, edge, edge), device=device)
        self.learning = [each for each in training.stages[stage].parameters() if each.requires_grad]
        self.muon = Muon(self.learning)
        self.graph = None
        self.losses: dict = {}
        if device == "cuda":
            self._record()

    def _record(self) -> None:
        """Records a step once, to be played without Python: thousands of small kernels would wait for it."""
        before = [array.detach().clone() for array in self.muon.memory()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        self.crops.random_()
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._compute()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._compute()
        with torch.no_grad():
            for array, value in zip(self.muon.memory(), before):
                array.copy_(value)

    def _compute(self) -> None:
        training = self.training
        photo = training.to_vgg_space(self.crops)
        picture = padded(photo)
        conditioning = torch.cat([picture, self.noise.expand(len(photo), -1, -1, -1)], 1)
        with torch.no_grad():
            for stage in training.stages[: self.stage]:
                picture = stage.paint(picture, conditioning)
            features = training.loss.content_features(photo)
        picture = cropped(training.stages[self.stage].paint(picture, conditioning))
        self.losses = training.loss(picture, features, self.boost)
        gradients = torch.autograd.grad(sum(self.losses.values()), self.learning)
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
        share = (training.options.gradient_clip / (norm + 1e-8)).clamp(max=1)
        self.muon.step([gradient * share for gradient in gradients])
        self.losses = {name: term.detach() for name, term in self.losses.items()}

    def step(self, crops: np.ndarray, position: int, rate: float) -> None:
        """Takes one step; position: the number of its first crop, which the noise follows."""
        shift = int(np.random.RandomState(position % 2**32).randint(NOISE_PERIOD**2))
        rows, columns = ((np.arange(self.size + 32) + each) % NOISE_PERIOD for each in (shift, shift // NOISE_PERIOD))
        self.noise.copy_(torch.from_numpy(noise_tile()[:, :, rows][:, :, :, columns].astype(np.float32)))
        self.crops.copy_(torch.from_numpy(crops))
        self.muon.set_rate(rate)
        if self.graph is None:
            self._compute()
        else:
            self.graph.replay()


class Training:
    """A training from its checkpoint on."""

    def __init__(self, flags: argparse.Namespace):
        self.flags, self.device = flags, flags.device
        checkpoint = load_checkpoint(flags.checkpoint)
        self.state, self.weights = checkpoint.state, checkpoint.weights
        self.options = TrainingOptions.of(self.state["options"])
        loss = self.options.loss
        generators = self.options.generators()
        ours = LossOptions(
            content_weight=loss.content_weight,
            content_layers=loss.content_layers,
            content_layer_weights=loss.content_layer_weights,
        )
        shares = set(loss.content_layer_weights)
        if (
            self.options.kind != "chain"
            or any(generator["kind"] != "pyramid" or generator["norm"] != "instance" for generator in generators)
            or (self.options.coupling, self.options.optimizer) != ("staged", "muon")
            or len(self.options.styles) != 1
            or len(shares) > 1
            or loss != ours
        ):
            raise SystemExit("Only staged chains of pyramids that learn one painting with Muon are known here")
        self.stages = []
        for description, weights in zip(generators, self.weights):
            sizes = {"channels": (128, 48), "blocks": (3, 2), "details": 16}  # Pyramid's own
            stage = Pyramid(**{**sizes, **description})
            stage.take(weights)
            self.stages.append(stage.to(self.device))
        self.means = torch.tensor(CHANNEL_MEANS, device=self.device)
        style = to_vgg_space(resize_long_edge(read_image(flags.style), self.options.style_size))
        content = tuple(layer.removeprefix("relu") for layer in loss.content_layers)
        torch.backends.cudnn.allow_tf32 = False  # the painting's statistics in single precision
        self.loss = Loss(style, content, loss.content_weight, device=self.device)
        self.evaluation = Loss(style, device=self.device)
        if self.device == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
            self.loss.compute_in(torch.bfloat16)

    def to_vgg_space(self, crops):
        return (crops.float() - self.means).permute(0, 3, 1, 2).contiguous()  # (N, 3, H, W)

    def run(self) -> None:
        """Trains to the end; saves after each stage."""
        options = self.options
        while self.state["phase"] < len(self.stages):
            stage = self.state["phase"]
            steps = options.steps[stage]
            started = time.perf_counter()
            if steps:
                self._learn(stage, steps)
            self.stages[stage].give(self.weights[stage])
            if steps and options.warm_start and stage + 1 < len(self.stages):
                self.weights[stage + 1] = dict(self.weights[stage])
                self.stages[stage + 1].take(self.weights[stage])
            self.state.update(phase=stage + 1, step=0)
            self.state["seconds"] += time.perf_counter() - started
            name = torch.cuda.get_device_name() if self.device == "cuda" else "CPU"
            self.state["engine"] = f"PyTorch {torch.__version__}, {name} (benchmarks/gpu_training.py)"
            save_checkpoint(self.flags.checkpoint, Checkpoint(self.state, self.weights))
            self.validate(stage)

    def _learn(self, stage: int, steps: int) -> None:
        options, rate = self.options, self.options.learning_rates[stage]
        phase = Phase(self, stage)
        stream = PhotoStream(
            self.flags.photos,
            phase.size,
            options.batch,
            seed=options.seed,
            limit=options.limit,
            position=self.state["position"],
            workers=self.flags.workers,
        )
        with stream as photos, tqdm(total=steps, unit="step", mininterval=5) as bar:
            self.state["photo_count"] = len(photos.photos)
            for step in range(steps):
                cosine = 0.5 + 0.5 * math.cos(math.pi * step / steps)
                position = photos.position
                phase.step(next(photos), position, rate * min(1.0, (step + 1) / WARM_UP) * cosine)
                bar.update()
                if step % 250 == 249 or step == steps - 1 or step < 2:
                    words = ", ".join(f"{name} {term.item():.4f}" for name, term in phase.losses.items())
                    bar.write(f"Stage {stage}, step {step + 1}: {words}")
                if step % self.flags.validate_every == self.flags.validate_every - 1:
                    self.validate(stage)
            self.state["position"] = photos.position
            self.state["skipped"].update(photos.skipped)

    @torch.no_grad()
    def validate(self, stage: int) -> None:
        """Prints the mean weighted terms of a stage in the default weights, on photos at short edge 320."""
        if not self.flags.validate:
            return
        sums: dict = {}
        paths = list_images(self.flags.validate)
        for path in paths:
            photo = resize_short_edge(read_image(path), VALIDATION_EDGE)
            photo = torch.from_numpy(to_vgg_space(photo)).to(self.device)
            height, width = (side - side % 8 for side in photo.shape[2:])
            photo = photo[:, :, :height, :width]
            picture = padded(photo)
            places = (np.arange(side + 32) % NOISE_PERIOD for side in (height, width))
            noise = torch.from_numpy(noise_tile()[:, :, next(places)][:, :, :, next(places)].astype(np.float32))
            conditioning = torch.cat([picture, noise.to(self.device)], 1)
            for each in self.stages[: stage + 1]:
                picture = each.paint(picture, conditioning)
            terms = self.evaluation(cropped(picture), self.evaluation.content_features(photo))
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + term.item() / len(paths)
        words = ", ".join(f"{name} {term:.4f}" for name, term in sums.items())
        tqdm.write(f"Stage {stage}, on {len(paths)} photos: {words}, total {sum(sums.values()):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="of a training that train.py began")
    parser.add_argument("--style", type=Path, required=True, help="its painting, where it lies here")
    parser.add_argument("--photos", type=Path, required=True, help="its photos, where they lie here")
    parser.add_argument("--validate", type=Path, help="photos to evaluate on, never trained on")
    parser.add_argument("--validate-every", type=int, default=2000, metavar="N", help="steps (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=8, help="threads that decode photos (default: %(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    Training(parser.parse_args()).run()


if __name__ == "__main__":
    main()
