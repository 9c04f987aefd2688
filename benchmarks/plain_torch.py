"""A step of training as one writes it in PyTorch by hand: a `pyramid`, VGG-19, the default loss, Adam.

What benchmarks/training.py measures engines against.  It begins with our weights, so that the losses of its first step
show that it computes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from e2e_art.files import pretrained_folder
from e2e_art.images.arrays import CHANNEL_MEANS
from e2e_art.networks.inputs import NOISE_PERIOD, PADDING, noise_tile

__all__ = ["plain_step"]

STYLE, CONTENT = ("1_1", "2_1", "3_1", "4_1", "5_1"), "4_2"
LAYERS = [f"{block}_{n}" for block, count in enumerate((2, 2, 4, 4, 1), 1) for n in range(1, count + 1)]


def layer(inputs: int, channels: int, kernel: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.InstanceNorm2d(channels, affine=True), nn.LeakyReLU(0.25))


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = layer(channels, channels), nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x):
        return x + self.norm(self.second(self.first(x)))


class Pyramid(nn.Module):
    """Called with a padded photo and its noise; its parts are named as ours are."""

    def __init__(self, coarse: int = 128, fine: int = 48, details: int = 16, residual_weight: float = 0.4):
        super().__init__()
        self.residual_weight = residual_weight
        joint = nn.Conv2d(coarse, fine, 1, bias=False), nn.InstanceNorm2d(fine, affine=True)
        self.coarse = nn.Sequential(layer(7 * 64, coarse, 1), *(Residual(coarse) for _ in range(3)), *joint)
        self.look_fine = nn.Sequential(nn.Conv2d(7 * 16, fine, 1, bias=False), nn.InstanceNorm2d(fine, affine=True))
        last = layer(fine, 2 * details), nn.Conv2d(2 * details, details, 1)
        self.fine = nn.Sequential(nn.LeakyReLU(0.25), *(Residual(fine) for _ in range(2)), *last)
        self.look = nn.Conv2d(7, details, 3, padding=1)
        self.finish = nn.Sequential(nn.LeakyReLU(0.25), nn.Conv2d(details, 3, 3, padding=1))
        self.register_buffer("means", torch.tensor(CHANNEL_MEANS).reshape(1, 3, 1, 1))

    @torch.no_grad()
    def take(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes the weights of our generator."""
        for name, parameter in self.named_parameters():
            theirs = {"weight": "gamma", "bias": "beta"} if parameter.dim() == 1 else {}
            place, _, last = name.rpartition(".")
            own = weights.get(f"{place}.{theirs.get(last, last)}", weights.get(name))
            if name in ("coarse.0.0.weight", "look_fine.0.weight"):  # pixel_unshuffle packs channel by channel
                own = own.reshape(len(own), -1, 7).transpose(0, 2, 1)
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(own)).reshape(parameter.shape))

    def forward(self, photo, noise):
        x = torch.cat([photo, photo, noise], 1) / 64
        y = F.interpolate(self.coarse(F.pixel_unshuffle(x, 8)), scale_factor=2, mode="bilinear")
        y = F.interpolate(self.fine(self.look_fine(F.pixel_unshuffle(x, 4)) + y), scale_factor=4, mode="bilinear")
        painting = 128 * torch.tanh(self.finish(self.look(x) + y)) + 128 - self.means
        return photo + self.residual_weight * (painting - photo)


def vgg(device: torch.device, dtype: torch.dtype) -> Callable:
    """Returns a function that returns the features of pictures by layer, in single precision."""
    weights = {}
    with np.load(pretrained_folder() / "vgg19" / "vgg19-conv-8bit.npz") as file:
        for name in LAYERS:
            weight, bias = file[f"conv{name}_table"][file[f"conv{name}_index"]], file[f"conv{name}_bias"]
            weight = weight[:, ::-1].copy() if name == "1_1" else weight  # trained on BGR
            weights[name] = [torch.from_numpy(each).to(device, dtype) for each in (weight, bias)]

    def features(x, last: str = LAYERS[-1]) -> dict:
        maps, x = {}, x.to(dtype)
        for name in LAYERS[: LAYERS.index(last) + 1]:
            x = F.avg_pool2d(x, 2) if name.endswith("_1") and name != "1_1" else x
            x = maps[name] = F.relu(F.conv2d(x, *weights[name], padding=1))
        return {name: maps[name].float() for name in {*STYLE, CONTENT} & maps.keys()}

    return features


def gram(x):
    rows = x.flatten(2)
    return rows @ rows.mT / rows[0].numel()


def error(x, target):
    return ((x - target).square().flatten(1).sum(1) / (target.square().flatten(1).sum(1) + 1e-12)).mean()


def plain_step(
    crops: np.ndarray,
    style: np.ndarray,
    weights: Mapping[str, np.ndarray],
    rate: float,
    clip: float,
    device: str = "cpu",
    bfloat16: bool = False,
) -> Callable[[], torch.Tensor]:
    """Returns a function that takes a step on crops (N, H, W, 3) uint8, and returns style, content and tv, weighted.

    style: a painting, (1, 3, H, W) in VGG space.  weights: of our generator.  rate: of Adam.  clip: of the gradient.
    """
    place = torch.device(device)
    generator = Pyramid()
    generator.take(weights)
    generator.to(place)
    adam = torch.optim.Adam(generator.parameters(), rate, fused=place.type == "cuda")
    features = vgg(place, torch.bfloat16 if bfloat16 else torch.float32)
    with torch.no_grad():
        targets = {name: gram(x) for name, x in vgg(place, torch.float32)(torch.from_numpy(style).to(place)).items()}
    edge = crops.shape[1] + 2 * PADDING
    across, down = divmod(np.random.RandomState(0).randint(NOISE_PERIOD**2), NOISE_PERIOD)  # as ours in its first step
    rows, columns = ((np.arange(edge) + shift) % NOISE_PERIOD for shift in (down, across))
    noise = torch.from_numpy(noise_tile()[:, :, rows][..., columns].astype(np.float32)).to(place)
    noise = noise.expand(len(crops), -1, -1, -1)

    def step() -> torch.Tensor:
        photo = torch.from_numpy(crops).to(place).permute(0, 3, 1, 2).float() - generator.means
        photo = photo.contiguous()
        with torch.no_grad():
            content = features(photo, CONTENT)[CONTENT]
        picture = generator(F.pad(photo, (PADDING,) * 4, mode="reflect"), noise)
        picture = picture[..., PADDING:-PADDING, PADDING:-PADDING]
        maps = features(picture)
        tv = sum(picture.diff(dim=axis).square().mean() for axis in (2, 3))
        styles = sum(error(gram(maps[name]), targets[name]) for name in STYLE) / len(STYLE)
        terms = torch.stack([20 * styles, error(maps[CONTENT], content), 1e-5 * tv])
        adam.zero_grad()
        terms.sum().backward()
        torch.nn.utils.clip_grad_norm_(generator.parameters(), clip)
        adam.step()
        return terms.detach()

    return step
