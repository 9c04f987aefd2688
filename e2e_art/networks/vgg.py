"""The loss network: VGG features as a Gluon block.

Its weights are the original ones of 2014, in 8 bits; any other plain VGG can be taken from a file, or from gluoncv.
K. Simonyan, A. Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv 1409.1556.
"""

from __future__ import annotations

import logging
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..engines.gluon import HybridBlock, array, cpu, has_bfloat16, to_numpy, zoo_convolutions
from ..errors import UserError, listed, reason_of, unknown
from ..files import pretrained_folder
from ..images.arrays import to_vgg_space
from .vgg_files import BLOCKS, CHANNELS, INPUTS, SUFFIXES, VGGFile, is_file, read_vgg

__all__ = ["CHANNELS", "LossNetworkError", "VGGFeatures", "block_of", "layers_of", "load_vgg"]

log = logging.getLogger(__name__)

_POOL_TYPES = {"average": "avg", "max": "max"}


class LossNetworkError(UserError):
    """The loss network is missing, or has no such layer; the message says what to do."""


class VGGFeatures(HybridBlock):
    """The outputs of ReLU layers of a VGG, for a batch of pictures in VGG space.

    layers: names such as "relu1_1" or "relu4_2"; the network is built only as deep as the deepest of them.
    depth: 11, 13, 16 or 19.  pooling: "average" (Gatys: smoother pictures) or "max" (as the network was trained).
    bfloat16: compute the convolutions in bfloat16; the features are returned in float32.
    shared: a network as deep or deeper, to share the weights of.

    Input: (N, 3, H, W) float32, RGB, 0..255 minus CHANNEL_MEANS.  Output: a list of features, in the order of `layers`;
    those of block b have floor(H / 2**(b - 1)) rows.  Raises LossNetworkError for a layer that the network lacks.
    """

    def __init__(
        self,
        layers: Sequence[str],
        depth: int = 19,
        pooling: str = "average",
        bfloat16: bool = False,
        shared: VGGFeatures | None = None,
    ):
        super().__init__()
        if pooling not in _POOL_TYPES:
            raise LossNetworkError(unknown("pooling", pooling, _POOL_TYPES))
        names = _layers(depth)
        if wrong := [layer for layer in layers if layer not in names]:
            raise LossNetworkError(unknown(f"VGG-{depth} layer", wrong[0], names))
        self.layers, self.depth, self.pooling, self.bfloat16 = list(layers), depth, pooling, bfloat16
        deepest = max(names.index(layer) for layer in layers)
        self.positions = [name.removeprefix("relu") for name in names[: deepest + 1]]
        shapes: dict[str, tuple[int, ...]] = {"shift": (1, 3, 1, 1)}
        channels = 3
        for position in self.positions:
            filters = CHANNELS[int(position[0]) - 1]
            shapes |= {f"conv{position}_weight": (filters, channels, 3, 3), f"conv{position}_bias": (filters,)}
            channels = filters
        for name, shape in shapes.items():
            setattr(self, name, getattr(shared, name) if shared else self.parameter(name, shape, learns=False))

    def of_layers(self, layers: Sequence[str]) -> VGGFeatures:
        """Returns a network of other layers, no deeper than this one, that shares its weights."""
        other = VGGFeatures(layers, self.depth, self.pooling, self.bfloat16, shared=self)
        other.hybridize()
        return other

    def hybrid_forward(self, F, x, shift, **weights):
        features = {}
        x = F.broadcast_add(x, shift)  # (N, 3, H, W)
        if self.bfloat16:
            x = F.to_bfloat16(x)
            weights = {name: F.to_bfloat16(weight) for name, weight in weights.items()}
        for position in self.positions:
            block, index = map(int, position.split("_"))
            if index == 1 and block > 1:
                x = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type=_POOL_TYPES[self.pooling])  # halves H and W
            weight, bias = weights[f"conv{position}_weight"], weights[f"conv{position}_bias"]
            x = F.Convolution(x, weight, bias, kernel=(3, 3), pad=(1, 1), num_filter=CHANNELS[block - 1])
            x = F.Activation(x, act_type="relu")  # (N, channels of the block, H / 2**(block - 1), W / 2**(block - 1))
            if (layer := f"relu{position}") in self.layers:
                features[layer] = x
                if self.bfloat16:  # branch in float32, where adding the two gradients is fast
                    features[layer] = F.to_float32(x)
                    x = F.to_bfloat16(features[layer])
        return [features[layer] for layer in self.layers]


def load_vgg(
    layers: Sequence[str],
    name: str = "vgg19",
    pooling: str = "average",
    bfloat16: bool | None = None,
    devices: Sequence | None = None,
) -> VGGFeatures:
    """Returns a trained VGG, frozen and hybridized.

    name: "vgg19" is shipped; gluoncv's model zoo downloads "zoo:vgg16" and the like; or a file, as `read_vgg` takes it.
    bfloat16: None takes it where the devices are fast at it; True falls back to float32 elsewhere.  Raises
    LossNetworkError where weights are missing, lack a layer, or see nothing.
    """
    devices = list(devices or [cpu()])
    fast = has_bfloat16(devices)
    if bfloat16 and not fast:
        log.warning("There is no bfloat16 here: the loss network computes in float32")
    bfloat16 = fast and bfloat16 is not False
    log.debug("The loss network computes in %s", "bfloat16" if bfloat16 else "float32")
    file = _read(name) if is_file(name) else None
    network = VGGFeatures(layers, file.depth if file else _depth(name), pooling, bfloat16)
    if name == "vgg19":
        weights = _shipped_weights(pretrained_folder() / "vgg19" / "vgg19-conv-8bit.npz", network.positions)
    else:
        file = file or VGGFile(network.depth, zoo_convolutions(name.removeprefix("zoo:")), "torchvision")
        weights = _weights(file, network.positions, name)
    network.initialize(devices)
    for key, value in weights.items():
        getattr(network, key).set_data(value)
    network.hybridize()
    if is_file(name):
        _check_activations(network, name, devices)
    return network


def block_of(layer: str) -> int:
    """Returns which block a layer is in, as 3 of "relu3_1": its features have 2^2 times as few rows as the picture."""
    return int(layer.removeprefix("relu").partition("_")[0])


def layers_of(name: str) -> list[str]:
    """Returns the ReLU layers of a loss network, from the input on; raises LossNetworkError for an unknown network."""
    return _layers_in(_read(name)) if is_file(name) else _layers(_depth(name))


def _layers(depth: int) -> list[str]:
    if depth not in BLOCKS:
        raise LossNetworkError(unknown("VGG depth", depth, map(str, BLOCKS)))
    return [f"relu{block}_{index}" for block, count in enumerate(BLOCKS[depth], 1) for index in range(1, count + 1)]


def _layers_in(file: VGGFile) -> list[str]:
    return _layers(file.depth)[: len(file.convolutions)]


def _depth(name: str) -> int:
    """Returns the number of weight layers of a network that is no file."""
    match = re.fullmatch(r"(zoo:)?vgg(\d+)", name)
    if not match:
        choices = f"zoo:vgg11, 13, 16 or 19, or a file that ends in {listed(SUFFIXES)}"
        raise LossNetworkError(f"unknown loss network '{name}': choose vgg19 (shipped), {choices}")
    if not match.group(1) and name != "vgg19":
        raise LossNetworkError(f"'{name}' is not shipped: choose vgg19, zoo:{name} from gluoncv's model zoo, or a file")
    return int(match.group(2))


def _shipped_weights(path: Path, positions: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads the 8-bit weights: a table of 256 levels for each layer, and an index into it for each weight."""
    try:
        with path.open("rb") as content, np.load(content) as file:
            weights = {f"conv{position}_bias": file[f"conv{position}_bias"] for position in positions}
            for position in positions:
                weights[f"conv{position}_weight"] = file[f"conv{position}_table"][file[f"conv{position}_index"]]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LossNetworkError(
            f"The loss network's weights cannot be read from {path} ({error}): reinstall the package"
        ) from error
    weights["conv1_1_weight"] = weights["conv1_1_weight"][:, ::-1]  # trained on BGR, pictures here are RGB
    return weights


def _read(name: str) -> VGGFile:
    """Returns the network in a file."""
    try:
        return read_vgg(Path(name))
    except Exception as error:  # zipfile, numpy and safetensors each have their own kinds for damage
        raise LossNetworkError(f"{name} is no loss network ({reason_of(error)}): choose another file") from error


def _weights(file: VGGFile, positions: Sequence[str], name: str) -> dict[str, np.ndarray]:
    """Returns the weights of a network by name, with its input folded into the first ones and a shift."""
    if len(file.convolutions) < len(positions):
        raise LossNetworkError(unknown(f"layer of {name}", f"relu{positions[-1]}", _layers_in(file)))
    weights = {"shift": INPUTS[file.input].shift()}
    for position, (weight, bias) in zip(positions, file.convolutions):
        weights |= {f"conv{position}_weight": weight, f"conv{position}_bias": bias}
    return {**weights, "conv1_1_weight": INPUTS[file.input].first_weights(weights["conv1_1_weight"])}


def _check_activations(network: VGGFeatures, name: str, devices: Sequence) -> None:
    """Raises LossNetworkError where a layer sees nothing in a test picture, or its numbers grow without end."""
    row, column, channel = np.ogrid[:64, :64, :3]
    picture = (7 * row + 13 * column + 29 * channel + row * column // 5) % 256
    for layer, features in zip(network.layers, network(array(to_vgg_space(picture.astype(np.uint8)), devices[0]))):
        if not 0 < np.abs(to_numpy(features)).max() < np.inf:
            raise LossNetworkError(f"{name} sees nothing in a test picture at {layer}: choose another --loss-network")
