"""Files of trained VGGs, whoever wrote them: their convolutions by order and shape, and the input they learned on.

Names of arrays are other in each framework, so they only give the order, and which bias belongs to which weights.
Simonyan's weights of 2014 go around in every framework's names: their first filters, which are nearly the same in all
of his networks, tell them, and whether they see BGR or RGB.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from ..errors import shortened
from ..files import load_arrays, parse_json, pretrained_folder, read_file, sha256_of
from ..images.arrays import CHANNEL_MEANS
from .params_file import read_params
from .torch_file import read_state_dict

__all__ = ["BLOCKS", "CHANNELS", "INPUTS", "SUFFIXES", "Input", "VGGFile", "described", "is_file", "read_vgg"]

# Convolutions in each of the five blocks, by the number of weight layers of the network.
BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)  # of each block

MOST_BYTES = 600_000_000  # of a file: a VGG-19 in single precision takes 575 MB with its fully connected layers
SIMILAR = 0.5  # mean cosine of first filters: 0.98 among Simonyan's, 0.68 with colors swapped, 0.1 of other networks


class Input(NamedTuple):
    """What a network takes: channels of 0..255, RGB or BGR, minus means, over deviations (both RGB)."""

    bgr: bool
    means: tuple[float, ...] = CHANNEL_MEANS
    deviations: tuple[float, ...] = (1.0, 1.0, 1.0)

    def first_weights(self, weight: np.ndarray) -> np.ndarray:
        """Returns the weights of its first convolution, (64, 3, 3, 3), for undivided RGB."""
        return (weight[:, ::-1] if self.bgr else weight) / np.array(self.deviations, np.float32).reshape(3, 1, 1)

    def shift(self) -> np.ndarray:
        """Returns what has to be added to pictures in VGG space, (1, 3, 1, 1)."""
        return (np.array(CHANNEL_MEANS, np.float32) - np.array(self.means, np.float32)).reshape(1, 3, 1, 1)


# By the names that a file may give as "input".
INPUTS = {
    "caffe": Input(bgr=True),  # Simonyan's own; Keras too
    "caffe-rgb": Input(bgr=False),
    "torchvision": Input(False, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),  # gluoncv's too
}


class VGGFile(NamedTuple):
    """The convolutions of a VGG of a depth, weights (out, in, 3, 3) and biases (out,) in float32, as trained."""

    depth: int
    convolutions: Sequence[tuple[np.ndarray, np.ndarray]]
    input: str


def read_vgg(path: Path) -> VGGFile:
    """Returns the network in a file: .npz, .params, .safetensors, or .pth or .pt with a state dict.

    It may end after any of its convolutions.  Raises OSError where it cannot be read, ValueError where it is no plain
    VGG; its code, if it has any, is not run, and no more memory is taken than a VGG needs.
    """
    arrays = _READERS[path.suffix.lower()](read_file(path, MOST_BYTES))
    record = str(arrays.pop("input")) if "input" in arrays else None
    if record is not None and record not in INPUTS:
        raise ValueError(f"its input is none of {', '.join(INPUTS)}")
    if any(re.search("running_mean|moving_mean", name) for name in arrays):
        raise ValueError("it has batch normalization, which the loss network does not: take the plain VGG")
    arrays = _unpacked(arrays)
    names = _convolutions(arrays)
    weights, biases = [_turned(arrays[name]) for name in names], [arrays[name] for name in names.values()]
    filters = [len(weight) for weight in weights]
    depths = [depth for depth in BLOCKS if _filters(depth)[: len(filters)] == filters]
    if not (filters and depths) or [weight.shape[1] for weight in weights] != [3, *filters[:-1]]:
        raise ValueError("its convolutions are not those of a VGG-11, 13, 16 or 19")
    weights, biases = ([np.ascontiguousarray(each, np.float32) for each in several] for several in (weights, biases))
    convolutions = list(zip(weights, biases))
    if not all(np.isfinite(each).all() for pair in convolutions for each in pair):
        raise ValueError("it holds infinite numbers or none (NaN)")
    if not any(map(np.any, biases)):
        raise ValueError("its biases are all 0, so that it is not trained")
    return VGGFile(depths[0], convolutions, record or _guess_input(next(iter(names)), weights[0]))


def is_file(name: str) -> bool:
    """Returns whether a loss network is a file, by its suffix."""
    return Path(name).suffix.lower() in _READERS


def described(name: str) -> str:
    """Returns a loss network as records name it: a file by its name and sha256, without its folder."""
    path = Path(name)
    return f"{path.name} (sha256 {sha256_of(path)})" if is_file(name) and path.is_file() else name


def _read_safetensors(content: bytes) -> dict[str, np.ndarray]:
    length = int.from_bytes(content[:8], "little")
    try:
        arrays = load(content)  # which makes sure that the arrays lie one after another, and fill the file
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:  # the others for types that numpy lacks
        raise ValueError("it is no whole safetensors file of single, half or double precision") from error
    about = parse_json(content[8 : 8 + length]).get("__metadata__", {})
    return {**arrays, **({"input": np.array(about["input"])} if "input" in about else {})}


_READERS: dict[str, Callable[[bytes], dict[str, np.ndarray]]] = {
    ".npz": lambda content: load_arrays(content, MOST_BYTES),
    ".params": read_params,
    ".safetensors": _read_safetensors,
    ".pth": lambda content: read_state_dict(content, MOST_BYTES),
    ".pt": lambda content: read_state_dict(content, MOST_BYTES),
}
SUFFIXES = tuple(_READERS)


def _unpacked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns arrays with each 8-bit index into a table of levels, as in the shipped file, as the weights it means."""
    tables = {name: name.removesuffix("index") + "table" for name in arrays if name.endswith("index")}
    plain = {name: array for name, array in arrays.items() if name not in {*tables, *tables.values()}}
    if sum(4 * arrays[name].size for name in tables) > MOST_BYTES or any(
        arrays[name].ndim != 1 for name in tables.values()
    ):
        raise ValueError("it unpacks to more than a network is")
    weights = {index: arrays[table].astype(np.float32)[arrays[index]] for index, table in tables.items()}
    return {**plain, **weights}


def _convolutions(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Returns the names of the weights of 3x3 convolutions, from the input on, each with that of its bias.

    A bias is the one whose name begins most like that of the weights: in every framework only the last word differs.
    """
    weights = [name for name, array in arrays.items() if array.ndim == 4 and _turned(array).shape[2:] == (3, 3)]
    biases = sorted(name for name, array in arrays.items() if array.ndim == 1)
    if len(weights) > max(map(sum, BLOCKS.values())):
        raise ValueError("it has more convolutions than a VGG-19")
    found: dict[str, str] = {}
    for name in sorted(weights, key=_natural):
        bias = max(biases, key=lambda bias: len(os.path.commonprefix([bias, name])), default=None)
        if bias is None or arrays[bias].shape != (len(_turned(arrays[name])),):
            raise ValueError(f"its convolution '{shortened(name)}' has no bias")
        biases.remove(bias)
        found[name] = bias
    return found


def _turned(weight: np.ndarray) -> np.ndarray:
    """Returns weights (out, in, H, W), of Keras' form (H, W, in, out), too."""
    return weight.transpose(3, 2, 0, 1) if weight.shape[:2] == (3, 3) else weight


def _natural(name: str) -> list[str | tuple[int, str]]:
    """Returns what sorts names with numbers, of any length, as people do: conv2 before conv10."""
    parts = [part.lstrip("0") if place % 2 else part for place, part in enumerate(re.split("([0-9]+)", name))]
    return [(len(part), part) if place % 2 else part for place, part in enumerate(parts)]  # every second is a number


def _filters(depth: int) -> list[int]:
    """Returns how many filters each convolution of a network has."""
    return [channels for count, channels in zip(BLOCKS[depth], CHANNELS) for _ in range(count)]


def _guess_input(name: str, first: np.ndarray) -> str:
    """Returns the input of a network without a record: by its first filters if they are Simonyan's, else by a name."""
    with np.load(pretrained_folder() / "vgg19" / "vgg19-conv-8bit.npz") as file:
        known = file["conv1_1_table"][file["conv1_1_index"]]  # (64, 3, 3, 3), BGR
    likeness = {"caffe": _likeness(first, known), "caffe-rgb": _likeness(first[:, ::-1], known)}
    best = max(likeness, key=likeness.__getitem__)
    if likeness[best] > SIMILAR:
        return best
    return "torchvision" if re.search(r"features\.\d|vgg\d+_conv\d", name) else "caffe"


def _likeness(filters: np.ndarray, others: np.ndarray) -> float:
    """Returns the mean cosine of filters and others, one by one, whatever their lengths: some scale filters."""
    rows, columns = (each.reshape(len(each), -1) for each in (filters, others))
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(columns, axis=1)
    return float(np.mean((rows * columns).sum(axis=1) / np.maximum(lengths, 1e-12)))
