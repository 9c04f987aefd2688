"""Weights to begin with by least squares: convolution after convolution is fitted to what it is to give.

The student's are fitted to channels of VGG, those that tell most of all others; a decoder's to what the student was
given at the mirrored place.  A few pictures are enough, and it takes seconds; gradients then correct what adds up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..engines.gluon import HybridBlock, Parameter, array, nd, to_numpy
from ..networks.layers import PaddedConv, UpsampledConv
from ..networks.vgg import VGGFeatures
from ..networks.wct import LAYERS, Decoder, Halved, Student

__all__ = ["fit_decoder", "fit_student"]

RIDGE = 1e-4  # of the mean square of inputs, by which large weights are kept away
SILENT = 1e-9  # of the mean square of a layer: channels of less tell nothing


def fit_student(student: Student, network: VGGFeatures, pictures: Sequence, scales: Sequence[float]) -> None:
    """Sets the weights of a student, and of its maps to features of VGG, which a scale for each level divides.

    network: hands out every layer of VGG up to relu4_1.  pictures: arrays (1, 3, H, W) in VGG space, sides multiples
    of 16.
    """
    seen = [network(picture) for picture in pictures]
    above = list(pictures)  # what the convolution of VGG is given
    maps = [student.scaled(picture) for picture in pictures]  # and that of the student
    places = iter(enumerate(network.positions))
    for block in student.line:
        if isinstance(block, PaddedConv):
            place, position = next(places)
            features = [_rows(each[place]) for each in seen]
            moments = sum(x.astype(np.float64) @ x.T for x in features) / sum(x.shape[1] for x in features)
            chosen = _telling(moments, block.channels)
            size = np.sqrt(np.diag(moments)[chosen]) + 1e-6
            names = (f"conv{position}_{name}" for name in ("weight", "bias"))
            weight, bias = (to_numpy(getattr(network, name).list_data()[0])[chosen] for name in names)
            own = array(weight / size[:, np.newaxis, np.newaxis, np.newaxis]), array(bias / size)
            window = dict(kernel=(3, 3), pad=(1, 1), num_filter=block.channels)
            _fit(block, maps, [_rows(nd.Convolution(x, *own, **window)) for x in above])
            above = [each[place] for each in seen]
        elif isinstance(block, Halved):
            above = [block(x) for x in above]
        maps = [block(x) for x in maps]
    features = [student(picture) for picture in pictures]
    for level, (each, scale, layer) in enumerate(zip(student.maps, scales, LAYERS)):
        place = network.layers.index(layer)
        _fit(each, [x[level] for x in features], [_rows(x[place]) / scale for x in seen])


def fit_decoder(decoder: Decoder, student: Student, pictures: Sequence) -> None:
    """Sets the weights of a decoder of a trained student; pictures: as for `fit_student`."""
    given = []  # to each convolution of the student
    maps, mirrored = [student.scaled(picture) for picture in pictures], decoder.convolutions
    for block in student.line:
        if isinstance(block, PaddedConv):
            if len(given) == len(mirrored):
                break
            given.append(maps)
        maps = [block(x) for x in maps]
    for block in decoder.line:
        if block in mirrored:
            _fit(block, maps, [_rows(x) for x in given.pop()])
        maps = [block(x) for x in maps]


def _rows(maps) -> np.ndarray:
    """Returns maps (1, C, H, W) as rows, (C, H W)."""
    maps = to_numpy(maps)
    return maps.reshape(maps.shape[1], -1)


def _telling(moments: np.ndarray, count: int) -> list[int]:
    """Returns which channels tell most of all by linear maps: one after another, each the most of what is left.

    moments: second moments of all channels, (C, C).
    """
    left, chosen = moments.copy(), list[int]()
    least = SILENT * np.trace(moments) / len(moments)
    for _ in range(count):
        told = (left**2).sum(axis=0) / np.maximum(np.diag(left), least)
        told[chosen] = -1
        channel = int(told.argmax())
        chosen.append(channel)
        left = left - np.outer(left[:, channel], left[channel]) / max(left[channel, channel], least)
    return chosen


def _fit(block: HybridBlock, maps: Iterable, targets: Iterable[np.ndarray]) -> None:
    """Sets weight and bias of a convolution so that maps (1, C, H, W) come near to targets (F, H W)."""
    weight, bias = _weight_and_bias(block)
    products, crossed = 0.0, 0.0
    for given, target in zip(maps, targets):
        inputs = _inputs(to_numpy(given)[0], weight.shape[-1], isinstance(block, UpsampledConv))
        products, crossed = products + (inputs @ inputs.T).astype(np.float64), crossed + inputs @ target.T
    ridge = RIDGE * np.trace(products) / len(products)
    solution = np.linalg.solve(products + ridge * np.eye(len(products)), crossed)  # (k^2 C + 1, F)
    weight.set_data(solution[:-1].T.reshape(weight.shape))
    bias.set_data(solution[-1])


def _weight_and_bias(block: HybridBlock) -> tuple[Parameter, Parameter]:
    parameters = block.named_parameters()
    weight, bias = ([each for name, each in parameters.items() if name.endswith(end)] for end in ("weight", "bias"))
    return weight[0], bias[0]


def _inputs(maps: np.ndarray, kernel: int, upsampled: bool) -> np.ndarray:
    """Returns what a convolution with reflect padding sees at each pixel of maps (C, H, W), and 1: (k^2 C + 1, H W)."""
    if upsampled:
        maps = maps.repeat(2, axis=1).repeat(2, axis=2)
    border = kernel // 2
    padded = np.pad(maps, [(0, 0), (border, border), (border, border)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))  # (C, H, W, k, k)
    rows = windows.transpose(0, 3, 4, 1, 2).reshape(-1, maps.shape[1] * maps.shape[2])
    return np.concatenate([rows, np.ones((1, rows.shape[1]), np.float32)])
