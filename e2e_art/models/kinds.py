"""The kinds of models that there are: one record each, with all that differs between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from .quantization import halve, quantize, quantize_kernels
from .schema import (
    AnyStyleModel,
    AutoencoderModel,
    DoodleModel,
    MultiStyleModel,
    PhotoModel,
    TextureModel,
    UpscalerModel,
)

__all__ = [
    "ANYSTYLE",
    "AUTOENCODER",
    "DOODLE",
    "EXTERNAL",
    "KINDS",
    "MULTISTYLE",
    "PHOTO",
    "TEXTURE",
    "UPSCALER",
    "Kind",
]

_NOISE = "float32, even in -1..1, as e2e_art/networks/inputs.py makes it of a seed"


def _call(name: str, *arguments) -> Any:
    """Calls "module:attribute", below this package, which is imported only now, since it may need an engine.

    So a model is read and painted with where no engine to train with is installed.
    """
    module, attribute = name.split(":")
    return getattr(import_module(f"..{module}", __package__), attribute)(*arguments)


@dataclass(frozen=True)
class Kind:
    """What a kind of model is made of, and how it is used."""

    name: str  # in model.json
    usage: str  # what follows "e2e-art infer" to paint with it
    schema: Any = None  # what its model.json may say
    convention: str = ""  # inputs and outputs of its ONNX graph
    chain: Callable[..., Any] = _call  # makes its chain of generators
    task: Callable[..., Any] = _call  # makes its training task
    exporter: Callable[..., dict[str, bytes]] = _call  # makes its ONNX graphs
    keep: Callable[..., dict[str, Any]] = quantize  # makes of a weight, by name, what its files hold
    paints_photos: bool = False  # whether it is given a photo, whose content its loss keeps
    paints_regions: bool = False  # whether it is given a drawing, whose colors the palette in its record explains
    noise_planes: int = 0  # planes of seeded noise that it is given
    multiple: int = 1  # what height and width of its noise divide by
    mixes: bool = False  # whether a strength mixes stages, each with a graph of its own, which do not stand in a line
    subfolder: str = ""  # of `pretrained/`, where shipped models of this kind lie
    page_list: str = ""  # the file that names them to the page; empty where the page has no use for them


PHOTO = Kind(
    name="chain",
    usage="PHOTO --model",
    schema=PhotoModel,
    convention=(
        "image: float32 (N, 3, H, W), RGB in 0..255, any H, W >= 1; strength: float32 (1,), 0 is the photo, 1 the "
        "trained look; outputs stage_0, stage_1, ...: as image, one for each boosted stage"
    ),
    chain=partial(_call, "networks.chain:Chain"),
    task=partial(_call, "training.styling:PhotoTask"),
    exporter=partial(_call, "models.onnx_export:photo_graphs"),
    paints_photos=True,
    page_list="styles.json",
)
MULTISTYLE = Kind(
    name="multistyle",
    usage="PHOTO --model",
    schema=MultiStyleModel,
    convention=(
        "image and strength as of a chain; style: float32 (S,), the weight of each style in the order of the record, "
        "which add up to 1; outputs as of a chain"
    ),
    chain=partial(_call, "networks.styled:MultiStyleChain"),
    task=partial(_call, "training.multistyle:MultiStyleTask"),
    exporter=partial(_call, "models.onnx_export:photo_graphs"),
    keep=quantize_kernels,
    paints_photos=True,
    subfolder="multistyle",
    page_list="styles.json",
)
ANYSTYLE = Kind(
    name="anystyle",
    usage="PHOTO --style PAINTING --model",
    schema=AnyStyleModel,
    convention=(
        "image and strength as of a chain; style: float32 (D,), what describe.onnx makes of a painting (1, 3, H, W), "
        "RGB in 0..255, sides multiples of 16; outputs as of a chain"
    ),
    chain=partial(_call, "networks.styled:AnyStyleChain"),
    task=partial(_call, "training.any_style:AnyStyleTask"),
    exporter=partial(_call, "models.onnx_export:any_style_graphs"),
    keep=quantize_kernels,
    paints_photos=True,
    subfolder="anystyle",
    page_list="styles.json",
)
TEXTURE = Kind(
    name="texture",
    usage="--texture",
    schema=TextureModel,
    convention=(
        f"noise: (1, 6, H, W), {_NOISE}, H and W multiples of 32; outputs stage_0, ...: float32 (1, 3, H, W), RGB in "
        "0..255, which tile"
    ),
    chain=partial(_call, "networks.chain:TextureChain"),
    task=partial(_call, "training.styling:TextureTask"),
    exporter=partial(_call, "models.onnx_export:noise_graphs"),
    noise_planes=6,
    multiple=32,
    subfolder="textures",
)
DOODLE = Kind(
    name="doodle",
    usage="DOODLE --model",
    schema=DoodleModel,
    convention=(
        "regions: float32 (1, R, H, W), 1 where a region is and 0 elsewhere, in the order of the palette; "
        f"noise: (1, 16, H, W), {_NOISE}; outputs stage_0, ...: float32 (1, 3, H, W), RGB in 0..255"
    ),
    chain=partial(_call, "networks.chain:DoodleChain"),
    task=partial(_call, "training.styling:DoodleTask"),
    exporter=partial(_call, "models.onnx_export:noise_graphs"),
    paints_regions=True,
    noise_planes=16,
    subfolder="doodles",
    page_list="doodles.json",
)
UPSCALER = Kind(
    name="upscaler",
    usage="PHOTO --upscale",
    schema=UpscalerModel,
    convention=(
        "image: float32 (N, 3, H, W), RGB in 0..255, any H, W >= 1; output stage_K: as image, 2, 4 or 8 times as wide "
        "and as high"
    ),
    chain=partial(_call, "networks.chain:UpscaleChain"),
    task=partial(_call, "training.upscaling:UpscaleTask"),
    exporter=partial(_call, "models.onnx_export:upscaler_graphs"),
    keep=halve,
    mixes=True,
    subfolder="upscalers",
    page_list="upscalers.json",
)
AUTOENCODER = Kind(
    name="autoencoder",
    usage="PHOTO --style PAINTING --method ost --model",
    schema=AutoencoderModel,
    convention=(
        "encode-K: image, float32 (N, 3, H, W), RGB in 0..255, H and W multiples of 16; output features, float32 "
        "(N, C, H / 2^(K - 1), W / 2^(K - 1)). decode-K: features; output image"
    ),
    chain=partial(_call, "networks.autoencoder:Autoencoder"),
    task=partial(_call, "training.decoding:DecodingTask"),
    exporter=partial(_call, "models.onnx_export:autoencoder_graphs"),
    keep=halve,
    subfolder="autoencoders",
)
KINDS = {kind.name: kind for kind in (PHOTO, MULTISTYLE, ANYSTYLE, TEXTURE, DOODLE, UPSCALER, AUTOENCODER)}
EXTERNAL = Kind(name="onnx", usage="PHOTO --model", paints_photos=True)  # one ONNX file of others; not trained here
