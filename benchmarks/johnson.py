"""Johnson's transform network in PyTorch: the yardstick for painting in one pass.

J. Johnson, A. Alahi, L. Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, arXiv 1603.08155.
As in its supplement, c9s1-32, d64, d128, five residual blocks, u64, u32, c9s1-3, with what became usual since: instance
norm for batch norm, reflection before every convolution, nearest-neighbor growth before one for its fractional stride.
"""

from torch import nn

__all__ = ["TransformNet"]


def _conv(inputs: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(inputs, channels, kernel, stride),
        nn.InstanceNorm2d(channels, affine=True),
    )


def _layer(inputs: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, channels, kernel, stride), nn.ReLU())


def _up(inputs: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), _layer(inputs, channels, 3))


class _Residual(nn.Module):
    """Two 3x3 convolutions whose result is added to their input."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(_layer(channels, channels, 3), _conv(channels, channels, 3))

    def forward(self, x):
        return x + self.body(x)


class TransformNet(nn.Sequential):
    """Pictures (N, 3, H, W) in 0..255, H and W multiples of 4, to paintings alike."""

    def __init__(self):
        super().__init__(
            _layer(3, 32, 9),
            _layer(32, 64, 3, stride=2),
            _layer(64, 128, 3, stride=2),
            *(_Residual(128) for _ in range(5)),
            _up(128, 64),
            _up(64, 32),
            nn.ReflectionPad2d(4),
            nn.Conv2d(32, 3, 9),
            nn.Tanh(),
        )

    def forward(self, x):
        return 127.5 * super().forward(x) + 127.5
