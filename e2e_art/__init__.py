"""End-to-end neural art: photos painted in one pass by a boosted chain of generators, in Gluon by MXNet or PyTorch.

>>> import e2e_art
>>> painter = e2e_art.load("starry_night")
>>> e2e_art.write_image("painting.jpg", painter(e2e_art.read_image("photo.jpg"), strength=0.8))

Pictures are numpy arrays, uint8 RGB, (H, W, 3).  What a person can do something about is raised as a UserError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__
from .errors import ImageError, ModelError, OptionError, UserError

if TYPE_CHECKING:  # imported when they are needed, so that importing e2e_art takes no time
    from pathlib import Path
    from typing import BinaryIO

    import numpy as np

    from .images.metadata import Metadata
    from .images.reading.decode import Picture
    from .models.folder import Model
    from .painting.describe import Paintings
    from .painting.noise import DoodlePainter, TexturePainter
    from .painting.photo import Painter
    from .painting.upscale import UpscalePainter

__all__ = ["ImageError", "ModelError", "OptionError", "UserError", "__version__", "list_models", "load"]
__all__ += ["load_doodle", "load_texture", "load_upscaler", "read_image", "read_picture", "write_image"]


def load(
    model: str | Path | Model,
    engine: str = "auto",
    threads: int | None = None,
    gpu: int | str | None = None,
    style: Paintings | None = None,
) -> Painter:
    """Returns a trained model, ready to paint photos; called with one, it returns its painting (`Painter.stages`).

    model: a shipped name, the folder of a trained model, an ONNX file, or one of `list_models`.  engine: "onnx"
    (onnxruntime), "mxnet", "torch", or "auto": onnx where it can.  threads: how many to use, all cores by default.
    gpu: the number of a GPU, or "mps", that of a Mac; None is the CPU.  style: of a model of several, one of its
    `styles`, or a mix, {"starry_night": 0.7, "udnie": 0.3}; of a model of any style, a painting or its file, or a mix.

    Raises OptionError for an unknown engine or style, ModelError for a model that is missing, damaged or of another
    kind, UserError where the engine or GPU is not to be had.
    """
    from .painting.photo import Painter

    return Painter(model, engine, threads, gpu, style)


def load_texture(
    model: str | Path | Model, engine: str = "auto", threads: int | None = None, gpu: int | str | None = None
) -> TexturePainter:
    """Returns a trained model, ready to make textures, `load_texture("brick")(512, 512, seed=7)`; all as for `load`."""
    from .painting.noise import TexturePainter

    return TexturePainter(model, engine, threads, gpu)


def load_doodle(
    model: str | Path | Model, engine: str = "auto", threads: int | None = None, gpu: int | str | None = None
) -> DoodlePainter:
    """Returns a trained model, ready to paint doodles, `load_doodle("renoir")(doodle, seed=7)`; all as for `load`."""
    from .painting.noise import DoodlePainter

    return DoodlePainter(model, engine, threads, gpu)


def load_upscaler(
    model: str | Path | Model, engine: str = "auto", threads: int | None = None, gpu: int | str | None = None
) -> UpscalePainter:
    """Returns a trained upscaler, `load_upscaler("photo_x4")(image, strength=1.0)`; all as for `load`.

    It has a `factor`: 2, 4 or 8.
    """
    from .painting.upscale import UpscalePainter

    return UpscalePainter(model, engine, threads, gpu)


def list_models(folder: str | Path | None = None) -> list[Model]:
    """Returns the models in a folder, by default all shipped ones.

    Each has a `name`, which loads it, a `title`, a `kind` (its name is "chain" for photos, "texture", "doodle" or
    "upscaler"), `stages`, and the `record` of its training.  Raises ModelError for a damaged one.
    """
    from .models.folder import list_models

    return list_models(folder)


def read_image(source: Path | str | BinaryIO, at_least: int | None = None) -> np.ndarray:
    """Reads a picture, upright and in sRGB: uint8 RGB, (H, W, 3).

    source: a path, or an open binary file.  at_least: a JPEG may be shrunk while it is decoded, which is faster, as
    long as its short edge keeps this many pixels.  Raises ImageError for what is missing, damaged or no picture.
    """
    from .images.io import read_image

    return read_image(source, at_least)


def read_picture(source: Path | str | BinaryIO, at_least: int | None = None) -> Picture:
    """Reads a picture, all as `read_image`: its `pixels`, and what `write_image` passes on: metadata, opacity."""
    from .images.io import read_picture

    return read_picture(source, at_least)


def write_image(
    path: Path | str,
    image: np.ndarray,
    overwrite: bool = False,
    metadata: Metadata | None = None,
    opacity: np.ndarray | None = None,
) -> None:
    """Writes a picture, uint8 RGB (H, W, 3), as its suffix says, whole or not at all; missing folders are made.

    metadata: that of the photo (`read_picture`), to keep its EXIF data and its color profile.
    opacity: uint8 (H, W), of a picture as it looks on white (`read_picture`), for formats that hold it.
    Raises ImageError where the file exists already (unless overwrite), or cannot be written.
    """
    from .images.io import write_image

    write_image(path, image, overwrite, metadata, opacity)
