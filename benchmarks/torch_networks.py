"""Our networks once more, in PyTorch: the `pyramid` generator, VGG-19 and the loss, to time training against.

Line by line what e2e_art/networks/ and e2e_art/losses/ do, instance norm and average pooling included.
`gpu_training.py` trains with them.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from e2e_art.files import pretrained_folder
from e2e_art.images.arrays import CHANNEL_MEANS

__all__ = ["Loss", "Pyramid", "cropped", "padded"]

PADDING = 16
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


def _bordered(x):
    return F.pad(x, (1, 1, 1, 1), mode="replicate")


def padded(photo):
    """Returns a photo (N, 3, H, W) with its reflection around it; H and W are multiples of 8."""
    return F.pad(photo, (PADDING,) * 4, mode="reflect")


def cropped(picture):
    return picture[:, :, PADDING:-PADDING, PADDING:-PADDING]


def _space_to_depth(x, block: int):
    n, c, height, width = x.shape
    cells = x.reshape(n, c, height // block, block, width // block, block).permute(0, 3, 5, 1, 2, 4)  # MXNet's order
    return cells.reshape(n, c * block * block, height // block, width // block)


class Pyramid(nn.Module):
    """The `pyramid` generator.  Called as first stage: a photo (N, 3, H, W) in VGG space to its painting.

    channels, blocks, details, residual_weight: as our generator describes itself.
    noise: (1, 1, H + 32, W + 32), for the call; `paint` is given its own.
    """

    def __init__(
        self, channels, blocks, details: int, residual_weight: float, noise: np.ndarray | None = None, **ignored
    ):
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
        self.register_buffer("noise", None if noise is None else torch.from_numpy(noise))
        self.register_buffer("means", torch.tensor(CHANNEL_MEANS).reshape(1, 3, 1, 1))

    def _names(self) -> dict[str, str]:
        """Returns what our generator calls each parameter."""
        theirs = {"weight": "gamma", "bias": "beta"}  # in our norms
        norms = {name for name, module in self.named_modules() if isinstance(module, nn.InstanceNorm2d)}
        names = {}
        for name, _ in self.named_parameters():
            place, _, last = name.rpartition(".")
            names[name] = f"{place}.{theirs[last]}" if place in norms else name
        return names

    def take(self, weights: dict[str, np.ndarray]) -> None:
        """Takes the weights of our generator, so that both start alike."""
        names = self._names()
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(torch.from_numpy(weights[names[name]]))

    def give(self, weights: dict[str, np.ndarray]) -> None:
        """Puts its weights in the place of our generator's."""
        names = self._names()
        for name, parameter in self.named_parameters():
            weights[names[name]] = parameter.detach().cpu().numpy()

    def forward(self, photo):
        picture = padded(photo)
        return cropped(self.paint(picture, torch.cat([picture, self.noise.expand(len(photo), -1, -1, -1)], 1)))

    def paint(self, picture, conditioning):
        """Returns the painting of a padded picture; conditioning: the padded photo and its noise, (N, 4, H, W)."""
        x = torch.cat([picture, conditioning], 1) / 64
        y = self.look_fine(_space_to_depth(x, 4)) + self.grow_coarse(_bordered(self.coarse(_space_to_depth(x, 8))))
        colors = 128 * torch.tanh(self.finish(self.look(x) + self.grow_fine(_bordered(self.fine(y))))) + 128
        painting = colors - self.means
        return picture + self.residual_weight * (painting - picture)


class Loss:
    """The perceptual loss with its default options: content, style and total variation of a picture, each weighted.

    style: the painting, (1, 3, H, W) in VGG space.  content_layers, content_weight, style_boost: as in training.
    """

    STYLE = ("1_1", "2_1", "3_1", "4_1", "5_1")

    def __init__(self, style: np.ndarray, content_layers=("4_2",), content_weight: float = 1.0, device: str = "cpu"):
        self.content, self.content_weight = content_layers, content_weight
        counts = enumerate((2, 2, 4, 4, 1), 1)  # convolutions of each block, as deep as the loss looks
        positions = [f"{block}_{index}" for block, count in counts for index in range(1, count + 1)]
        self.weights = {}
        with np.load(pretrained_folder() / "vgg19" / "vgg19-conv-8bit.npz") as file:
            for position in positions:
                weight = file[f"conv{position}_table"][file[f"conv{position}_index"]]
                weight = weight[:, ::-1].copy() if position == "1_1" else weight  # trained on BGR
                pair = torch.from_numpy(weight), torch.from_numpy(file[f"conv{position}_bias"])
                self.weights[position] = tuple(array.to(device) for array in pair)
        with torch.no_grad():
            maps = self._maps(torch.from_numpy(style).to(device))
            self.targets = [_gram(maps[layer]) for layer in self.STYLE]

    def compute_in(self, kind: torch.dtype) -> None:
        """Lets the convolutions compute in another precision from now on; Gram matrices and errors stay in single."""
        layout = torch.channels_last
        for position, (weight, bias) in self.weights.items():
            self.weights[position] = weight.to(kind, memory_format=layout), bias.to(kind)

    def _maps(self, x, last: str = "5_1") -> dict:
        x = x.to(self.weights["1_1"][0].dtype)
        maps = {}
        for position, (weight, bias) in self.weights.items():
            if position.endswith("_1") and position != "1_1":
                x = F.avg_pool2d(x, 2)
            x = maps[position] = F.relu(F.conv2d(x, weight, bias, padding=1))
            if position == last:
                break
        return maps

    @torch.no_grad()
    def content_features(self, photo) -> list:
        maps = self._maps(photo, max(self.content))
        return [maps[layer] for layer in self.content]

    def __call__(self, picture, photo_features, style_boost: float = 1.0) -> dict:
        maps = self._maps(picture)
        errors = [_relative_error(_gram(maps[layer]), target) for layer, target in zip(self.STYLE, self.targets)]
        changes = [_relative_error(maps[layer], target) for layer, target in zip(self.content, photo_features)]
        down, across = picture.diff(dim=2), picture.diff(dim=3)
        return {
            "style": style_boost * 20 * sum(errors) / len(errors),
            "content": self.content_weight * sum(changes) / len(changes),
            "tv": 1e-5 * (down.square().mean() + across.square().mean()),
        }


def _gram(features):
    n, c, height, width = features.shape
    rows = features.float().reshape(n, c, -1)
    return rows @ rows.transpose(1, 2) / (c * height * width)


def _relative_error(x, target):
    """Returns the mean over pictures (N, ...) of the relative error of each."""
    x, target = x.float().flatten(1), target.float().flatten(1)
    return ((x - target).square().mean(1) / (target.square().mean(1) + 1e-12)).mean()
