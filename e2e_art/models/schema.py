"""What a model.json may say: one type for each kind of model, with bounds that every training keeps to.

What train.py writes lies far within them; a machine can build whatever they let pass.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional, Union

from msgspec import Meta, Struct, json
from msgspec.structs import replace

from ..files import Count, FileName, Measure, Share, Text

__all__ = [
    "MOST_STAGES",
    "MOST_STYLES",
    "AnyStyleModel",
    "AutoencoderModel",
    "DoodleModel",
    "MultiStyleModel",
    "PhotoModel",
    "TextureModel",
    "UpscalerModel",
]

MOST_STAGES = 16
MOST_COLORS = 64  # of a palette
MOST_STYLES = 1000  # of one network
MOST_FILES = 128 + MOST_STYLES  # each style may have a thumbnail

_Width = Annotated[int, Meta(ge=2, le=1024)]  # channels of a layer
_Depth = Annotated[int, Meta(ge=0, le=16)]  # residual blocks in a row
_Regions = Annotated[int, Meta(ge=1, le=MOST_COLORS)]
_Styles = Annotated[int, Meta(ge=1, le=MOST_STYLES)]
_Factor = Literal[2, 4, 8]  # by which an upscaler enlarges
_Color = Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}\Z")]


# Generators: the arguments of each, as `Generator.describe` returns them, and the file of its weights.


class _Stage(Struct, tag_field="kind", forbid_unknown_fields=True):
    file: FileName
    residual_weight: Share
    norm: Literal["instance", "batch"]


class _Conv(_Stage, tag="conv"):
    widths: Annotated[list[_Width], Meta(min_length=6, max_length=6)]


class _Deconv(_Stage, tag="deconv"):
    widths: Annotated[list[_Width], Meta(min_length=3, max_length=3)]


class _Pyramid(_Stage, tag="pyramid"):
    channels: Annotated[list[_Width], Meta(min_length=2, max_length=2)]
    blocks: Annotated[list[_Depth], Meta(min_length=2, max_length=2)]
    details: _Width


class _Johnson(_Stage, tag="johnson"):
    widths: Annotated[list[_Width], Meta(min_length=3, max_length=3)]
    blocks: _Depth


class _Compact(_Stage, tag="compact"):
    norm: Literal["instance"]  # though it has none
    factor: _Factor
    channels: _Width
    depth: _Depth


class _JohnsonUpscaler(_Stage, tag="johnson-upscaler"):
    norm: Literal["batch"]
    factor: _Factor
    channels: _Width
    blocks: _Depth


_Narrow = Annotated[int, Meta(ge=2, le=64)]  # channels of the first level of features, of which VGG has 64


class _Student(_Stage, tag="student"):
    norm: Literal["instance"]  # though it has none
    width: _Narrow


class _Decoder(_Stage, tag="decoder"):
    norm: Literal["instance"]
    level: Annotated[int, Meta(ge=1, le=4)]
    width: _Narrow


_AutoencoderStage = Union[_Student, _Decoder]
_PhotoStage = Union[_Conv, _Deconv, _Pyramid, _Johnson]


class _StyledConv(_Conv, tag="conv"):
    styles: _Styles


class _StyledDeconv(_Deconv, tag="deconv"):
    styles: _Styles


class _StyledPyramid(_Pyramid, tag="pyramid"):
    styles: _Styles


class _StyledJohnson(_Johnson, tag="johnson"):
    styles: _Styles


class _DescribedPyramid(_Pyramid, tag="pyramid"):
    described: _Width
    hidden: _Width


_StyledStage = Union[_StyledConv, _StyledDeconv, _StyledPyramid, _StyledJohnson]
_UpscalerStage = Union[_Compact, _JohnsonUpscaler]


class _Texture(_Stage, tag="texture"):
    sees_picture: bool


class _Doodle(_Stage, tag="doodle"):
    regions: _Regions
    sees_picture: bool


# The record of a training: what is read of it; other entries are free.


class _Style(Struct):
    file: Text


class _RegionColor(Struct):
    color: _Color
    name: Annotated[str, Meta(min_length=1, max_length=100)]


_Terms = Annotated[dict[str, Measure], Meta(max_length=32)]
_Palette = Annotated[list[_RegionColor], Meta(min_length=1, max_length=MOST_COLORS)]
_Earlier = Optional["_Record"]


class _Record(Struct):
    command: Text = ""
    engine: Text = ""
    engine_seconds: Annotated[dict[Text, Measure], Meta(max_length=32)] = {}
    photos: Count = 0
    seconds: Measure = 0
    styles: Annotated[list[_Style], Meta(max_length=MOST_STYLES)] = []
    versions: Annotated[dict[str, Text], Meta(max_length=100)] = {}
    validation_photos: Count = 0
    validation: Annotated[list[_Terms], Meta(max_length=MOST_STAGES)] = []
    palette: _Palette = []  # of a doodle, a color for each region
    started_from: _Earlier = None

    def __post_init__(self) -> None:
        if not all("total" in terms for terms in self.validation):
            raise ValueError("a validation has no total")


# Models: the entries of model.json.


class _Model(Struct):
    name: FileName
    kind: str
    share_weights: bool
    files: Annotated[dict[FileName, str], Meta(max_length=MOST_FILES)]
    stages: Any
    record: _Record

    def __post_init__(self) -> None:
        if missing := {stage.file for stage in self.stages} - self.files.keys():
            raise ValueError(f"there is no file '{missing.pop()}' of weights")


class PhotoModel(_Model):
    """A chain that paints photos."""

    stages: Annotated[list[_PhotoStage], Meta(min_length=1, max_length=MOST_STAGES)]


class MultiStyleModel(_Model):
    """A chain that paints photos in several styles, those of its record."""

    stages: Annotated[list[_StyledStage], Meta(min_length=1, max_length=MOST_STAGES)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(stage.styles != len(self.record.styles) for stage in self.stages):
            raise ValueError("the styles in its record are not those of its stages")


class AnyStyleModel(_Model):
    """A chain that paints photos in any style."""

    stages: Annotated[list[_DescribedPyramid], Meta(min_length=1, max_length=MOST_STAGES)]


class TextureModel(_Model):
    """A chain that makes textures of noise."""

    stages: Annotated[list[_Texture], Meta(min_length=1, max_length=MOST_STAGES)]


class DoodleModel(_Model):
    """A chain that paints drawings: its palette has a color for each region."""

    stages: Annotated[list[_Doodle], Meta(min_length=1, max_length=MOST_STAGES)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(stage.regions != len(self.record.palette) for stage in self.stages):
            raise ValueError("the palette in its record has not one color for each region")


class UpscalerModel(_Model):
    """An upscaler: stages of one form, whose weights mix."""

    stages: Annotated[list[_UpscalerStage], Meta(min_length=1, max_length=MOST_STAGES)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len({json.encode(replace(stage, file="")) for stage in self.stages}) > 1:
            raise ValueError("its stages are not of one form")


class AutoencoderModel(_Model):
    """A student of VGG, and a decoder for each level of its features."""

    stages: Annotated[list[_AutoencoderStage], Meta(min_length=5, max_length=5)]

    def __post_init__(self) -> None:
        super().__post_init__()
        student, *decoders = self.stages
        levels = [getattr(stage, "level", 0) for stage in self.stages]
        if levels != [0, 1, 2, 3, 4] or any(stage.width != student.width for stage in decoders):
            raise ValueError("its stages are not a student, and a decoder of its width for each level")
