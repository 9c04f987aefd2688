"""What clips can be read from, and what they are written as: one row a suffix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from ..errors import UserError, listed
from ..images.formats import LONGEST

__all__ = ["ANIMATED", "FORMATS", "READABLE", "Format", "VideoError", "check_sides", "format_of"]

READABLE: tuple[str, ...] = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg")
READABLE += (".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv")
READABLE += (".vob", ".m2v", ".asf", ".f4v", ".3g2", ".mxf", ".dv")
ANIMATED = (".gif", ".webp", ".png")  # pictures that may hold several frames


class VideoError(UserError):
    """A clip that cannot be read or written; the message names file, reason and fix."""


@dataclass(frozen=True)
class Format:
    """How a clip is written.

    container, muxing: FFmpeg's name, and options.  codec, pixels, options: of the picture.  sounds: codecs that are
    copied.  encoder: what other sound becomes, "" where the container holds none.  even: sides must be.  clock: what
    times are multiples of, 0 for the clip's own, None for one tick a frame.  shortest: ticks that a frame is shown at
    least.  animated: a picture of several frames, whose segments are lossless, and are encoded when they are joined.
    longest: pixels of a side at most.
    """

    container: str
    codec: str
    pixels: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    sounds: tuple[str, ...] = ()
    encoder: str = ""
    muxing: Mapping[str, str] = field(default_factory=dict)
    even: bool = False
    clock: Fraction | None = Fraction(0)
    shortest: int = 1
    animated: bool = False
    longest: float = math.inf


# Without frames that refer to later ones segments can be joined as they are.
_H264 = {"crf": "18", "preset": "veryfast", "bf": "0"}
_VP9 = {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
_PCM = ("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_f32le", "pcm_u8")
_INDEX_FIRST = {"movflags": "+faststart"}
_MP4_SOUNDS = ("aac", "mp3", "opus", "flac")
_MP4 = Format("mp4", "libx264", "yuv420p", _H264, _MP4_SOUNDS, "aac", _INDEX_FIRST, even=True, longest=2**14)
_MKV_SOUNDS = ("aac", "mp3", "mp2", "opus", "vorbis", "flac", "ac3", "eac3", "dts", "truehd", "alac", *_PCM)
FORMATS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": replace(_MP4, container="mov", sounds=("aac", "mp3", "ac3", "alac", *_PCM)),
    ".mkv": replace(_MP4, container="matroska", sounds=_MKV_SOUNDS, muxing={}),
    ".webm": Format("webm", "libvpx-vp9", "yuv420p", _VP9, ("opus", "vorbis"), "libopus", longest=2**16),
    # Its sound knows no times: it is encoded, for silence to stand where there is none.
    ".avi": Format("avi", "mjpeg", "yuvj420p", {"q": "2"}, encoder="pcm_s16le", clock=None, longest=LONGEST["JPEG"]),
    # Browsers slow down what is faster.
    ".gif": Format("gif", "gif", "pal8", clock=Fraction(1, 100), shortest=2, animated=True, longest=2**16 - 1),
    ".webp": Format(
        "webp", "libwebp", "bgra", {"quality": "90"}, clock=Fraction(1, 1000), animated=True, longest=LONGEST["WEBP"]
    ),
    ".png": Format("apng", "apng", "rgb24", clock=Fraction(1, 1000), animated=True),
}


def format_of(target: Path) -> Format:
    """Returns how a clip of that name is written; raises VideoError where clips cannot be."""
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        why = "can be read, but not written" if suffix in READABLE else "is no clip's name"
        raise VideoError(f"-o {target} {why}: choose one ending in {listed(FORMATS)}")
    return FORMATS[suffix]


def check_sides(target: Path, height: int, width: int) -> None:
    """Raises VideoError where a clip of that name cannot have frames of that size."""
    longest = format_of(target).longest
    if max(height, width) > longest:
        others = listed(suffix for suffix, format in FORMATS.items() if format.longest >= max(height, width))
        why = f"frames of {width}x{height} do not fit into a {target.suffix}, which takes {longest} pixels a side"
        raise VideoError(f"{target} cannot be written: {why}: choose {others}")
