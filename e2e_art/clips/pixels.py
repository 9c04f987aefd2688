"""From a decoded frame to pixels: its colors by their tags, square pixels, upright, opacity laid onto white."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .high_range import to_standard_range

__all__ = ["EXACT", "Sight"]

HIGH_DEFINITION = 720  # rows from which colors without a tag are those of HD
# Numbers of ITU-T H.273; libswscale has the same for matrices, two of them under one.
BT_709, BT_601, BT_2020 = 1, 5, 9
MATRICES = {BT_709: BT_709, 4: 4, BT_601: BT_601, 6: BT_601, 7: 7, BT_2020: BT_2020, 10: BT_2020}
PQ, HLG = 16, 18
FULL = 2
EXACT = 0x4 | 0x2000 | 0x40000  # of libswscale: bicubic, with chroma at every pixel, rounded and not cut
SQUAREST = (Fraction(1, 8), Fraction(8))  # a pixel that claims more is taken for square


class Sight:
    """How the frames of a clip are meant to be seen, by its first one; `pixels` makes all of them so.

    size: (height, width), upright, of square pixels.
    """

    def __init__(self, frame: VideoFrame, stream: VideoStream):
        shape = Fraction(stream.sample_aspect_ratio or 1)
        shape = shape if SQUAREST[0] <= shape <= SQUAREST[1] else Fraction(1)
        self._width = round(frame.width * max(shape, Fraction(1)))
        self._height = round(frame.height / min(shape, Fraction(1)))
        self._curve = stream.codec_context.color_trc
        self._turn = _turn(frame, stream)
        self.size = (self._height, self._width) if self._turn[0][0] else (self._width, self._height)

    def pixels(self, frame: VideoFrame) -> np.ndarray:
        """Returns a frame as uint8 (H, W, 3) RGB."""
        rgb = frame.format.is_rgb
        opaque = not any(component.is_alpha for component in frame.format.components) and frame.format.name != "pal8"
        high = self._curve in (PQ, HLG) and opaque
        full = rgb or frame.color_range == FULL or frame.format.name.startswith(("yuvj", "gray", "pal8"))
        guess = BT_709 if frame.height >= HIGH_DEFINITION else BT_601
        seen = frame.reformat(
            self._width,
            self._height,
            "rgb48le" if high else "rgb24" if opaque else "rgba",
            src_colorspace=None if rgb else MATRICES.get(frame.colorspace, guess),
            src_color_range="JPEG" if full else "MPEG",
            dst_color_range="JPEG",
            interpolation=EXACT,
        ).to_ndarray()
        if high:
            seen = to_standard_range(seen, hlg=self._curve == HLG)
        elif not opaque:
            opacity = seen[..., 3:].astype(np.float32) / 255
            seen = (seen[..., :3] * opacity + 255 * (1 - opacity) + 0.5).astype(np.uint8)
        (across, down), (left, up) = self._turn
        upright = seen if across else seen.swapaxes(0, 1)
        upright = upright[:: down if across else left, :: across or up]
        return np.ascontiguousarray(upright)


def _turn(frame: VideoFrame, stream: VideoStream):
    """Returns the signs of a display matrix ((a, d), (b, c)): either of the pairs is 0, 0.

    A pixel at (x, y) is shown at (a x + c y, b x + d y), as the standard of MP4 has it.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(float)
        if abs(a * d) >= abs(b * c):
            return (_sign(a), _sign(d)), (0, 0)
        return (0, 0), (_sign(b), _sign(c))
    tag = {key.lower(): value for key, value in stream.metadata.items()}.get("rotate", "0")
    turns = {"90": ((0, 0), (1, -1)), "180": ((-1, -1), (0, 0)), "270": ((0, 0), (-1, 1)), "-90": ((0, 0), (-1, 1))}
    return turns.get(tag, ((1, 1), (0, 0)))


def _sign(value: float) -> int:
    return -1 if value < 0 else 1
