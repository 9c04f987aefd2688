"""Our networks once more, in PyTorch: the `pyramid` generator, VGG-19 and the loss, to time training against.

Line by line what e2e_art/generators.py, vgg.py and losses.py do, instance norm and average pooling included.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from e2e_art.files import pretrained_folder
from e2e_art.images import CHANNEL_MEANS

__all__ = ["Loss", "Pyramid"]

BORDER = 16
LEAK = 0.25


def _layer(inputs: int, channels: int, kernel: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.InstanceNorm2d(channels, affine=True), nn.LeakyReLU(LEAK))


class _Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.first = _layer(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x):
        return x + self.norm(self.second(self.first(x)))


def _growth(channels: int, factor: int) -> nn.ConvTranspose2d:
    pad = factor // 2 + factor  # a cell of it is the repeated border
    grow = nn.ConvTranspose2d(channels, channels, 2 * factor, factor, pad, groups=channels, bias=False)
    grow.weight.requires_grad_(False)
    return grow


def _framed(x):
    return F.pad(x, (1, 1, 1, 1), mode="replicate")


def _space_to_depth(x, block: int):
    n, c, height, width = x.shape
    cells = x.reshape(n, c, height // block, block, width // block, block).permute(0, 3, 5, 1, 2, 4)  # MXNet's order
    return cells.reshape(n, c * block * block, height // block, width // block)


class Pyramid(nn.Module):
    """The `pyramid` generator as first stage, frame and all: a photo (N, 3, H, W) in VGG space to a painting alike.

    channels, blocks, details, residual_weight: as our generator describes itself.  noise: (1, 1, H + 32, W + 32).
    """

    def __init__(self, channels, blocks, details: int, residual_weight: float, noise: np.ndarray, **ignored):
        super().__init__()
        self.residual_weight = residual_weight
        coarse, fine = channels
        joint = nn.Conv2d(coarse, fine, 1, bias=False), nn.InstanceNorm2d(fine, affine=True)
        far = (_Residual(coarse) for _ in range(blocks[0]))
        self.coarse = nn.Sequential(_layer(7 * 64, coarse, 1), *far, *joint)
        self.grow_coarse = _growth(fine, 2)
        self.look_fine = nn.Sequential(nn.Conv2d(7 * 16, fine, 1, bias=False), nn.InstanceNorm2d(fine, affine=True))
        near = (_Residual(fine) for _ in range(blocks[1]))
        last = _layer(fine, 2 * details), nn.Conv2d(2 * details, details, 1)
        self.fine = nn.Sequential(nn.LeakyReLU(LEAK), *near, *last)
        self.grow_fine = _growth(details, 4)
        self.look = nn.Conv2d(7, details, 3, padding=1)
        self.finish = nn.Sequential(nn.LeakyReLU(LEAK), nn.Conv2d(details, 3, 3, padding=1))
        self.register_buffer("noise", torch.from_numpy(noise))
        self.register_buffer("means", torch.tensor(CHANNEL_MEANS).reshape(1, 3, 1, 1))

    def take(self, weights: dict[str, np.ndarray]) -> None:
        """Takes the weights of our generator, so that both start alike."""
        names = {"weight": "gamma", "bias": "beta"}  # what our norms call them
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                place, _, last = name.rpartition(".")
                own = weights[name if name in weights else f"{place}.{names[last]}"]
                parameter.copy_(torch.from_numpy(own))

    def forward(self, photo):
        picture = F.pad(photo, (BORDER,) * 4, mode="reflect")
        x = torch.cat([picture, picture, self.noise.expand(len(photo), -1, -1, -1)], 1) / 64
        y = self.look_fine(_space_to_depth(x, 4)) + self.grow_coarse(_framed(self.coarse(_space_to_depth(x, 8))))
        colors = 128 * torch.tanh(self.finish(self.look(x) + self.grow_fine(_framed(self.fine(y))))) + 128
        painting = colors - self.means
        picture = picture + self.residual_weight * (painting - picture)
        return picture[:, :, BORDER:-BORDER, BORDER:-BORDER]


class Loss:
    """THE loss with its default options: content, style and smoothness of a picture, each weighted."""

    STYLE, CONTENT = ("1_1", "2_1", "3_1", "4_1", "5_1"), "4_2"

    def __init__(self, style: np.ndarray):
        counts = enumerate((2, 2, 4, 4, 1), 1)  # convolutions of each block, as deep as the loss looks
        positions = [f"{block}_{index}" for block, count in counts for index in range(1, count + 1)]
        self.weights = {}
        with np.load(pretrained_folder() / "vgg19" / "vgg19-conv-8bit.npz") as file:
            for position in positions:
                weight = file[f"conv{position}_table"][file[f"conv{position}_index"]]
                weight = weight[:, ::-1].copy() if position == "1_1" else weight  # trained on BGR
                self.weights[position] = torch.from_numpy(weight), torch.from_numpy(file[f"conv{position}_bias"])
        with torch.no_grad():
            maps = self._maps(torch.from_numpy(style))
            self.targets = [_gram(maps[layer]) for layer in self.STYLE]

    def _maps(self, x, last: str = "5_1") -> dict:
        maps = {}
        for position, (weight, bias) in self.weights.items():
            if position.endswith("_1") and position != "1_1":
                x = F.avg_pool2d(x, 2)
            x = maps[position] = F.relu(F.conv2d(x, weight, bias, padding=1))
            if position == last:
                break
        return maps

    @torch.no_grad()
    def content_features(self, photo):
        return self._maps(photo, self.CONTENT)[self.CONTENT]

    def __call__(self, picture, photo_features) -> dict:
        maps = self._maps(picture)
        errors = [_relative_error(_gram(maps[layer]), target) for layer, target in zip(self.STYLE, self.targets)]
        down, across = picture.diff(dim=2), picture.diff(dim=3)
        return {
            "style": 20 * sum(errors) / len(errors),
            "content": _relative_error(maps[self.CONTENT], photo_features),
            "tv": 1e-5 * (down.square().mean() + across.square().mean()),
        }


def _gram(features):
    n, c, height, width = features.shape
    rows = features.reshape(n, c, -1)
    return rows @ rows.transpose(1, 2) / (c * height * width)


def _relative_error(x, target):
    return (x - target).square().mean() / (target.square().mean() + 1e-12)
