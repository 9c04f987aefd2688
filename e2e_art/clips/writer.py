"""Painted frames into a file: encoded in segments, which are joined as they are, with the clip's sound."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from PIL import Image

from .clip import Clip
from .container import open_to_read, open_to_write
from .formats import Format
from .pixels import EXACT
from .sound import Sound

__all__ = ["Encoder", "Plan", "join"]

log = logging.getLogger(__name__)

LOSSLESS = Format("nut", "ffv1", "bgr0")  # for segments that are encoded when they are joined
ITU_709, LIMITED, WHOLE = 1, 1, 2  # numbers of H.273


@dataclass(frozen=True)
class Plan:
    """What is written: a format; its clock, ticks of so many seconds; size (height, width) and rate of the picture."""

    format: Format
    clock: Fraction
    size: tuple[int, int]
    rate: Fraction
    plays: int

    @classmethod
    def of(cls, clip: Clip, format: Format, size: tuple[int, int] | None = None) -> Plan:
        """Returns how a clip is written in a format, as near to its size and times as that can hold.

        size: (height, width), the clip's own by default.
        """
        clock = 1 / clip.steps if format.clock is None else format.clock or clip.clock
        step = 2 if format.even else 1
        height, width = (side + -side % step for side in size or clip.size)
        return cls(format, clock, (height, width), clip.rate, clip.plays)


class Encoder:
    """Encodes frames into a file, one segment.  Raises OSError and `av.FFmpegError`, as `close` does."""

    def __init__(self, path: Path, plan: Plan):
        self._stack = ExitStack()
        self._plan = plan
        self._output = self._stack.enter_context(open_to_write(path, "nut"))
        format = LOSSLESS if plan.format.animated else plan.format
        self._stream = _video_stream(self._output, format, plan)

    def write(self, picture: np.ndarray, tick: int) -> None:
        """Encodes a picture, uint8 (H, W, 3); odd sides grow by repeating the edge where the coding wants even ones."""
        more = [(0, whole - side) for whole, side in zip(self._plan.size, picture.shape)]
        frame = VideoFrame.from_ndarray(np.pad(picture, [*more, (0, 0)], "edge"), format="rgb24")
        frame = _converted(frame, self._stream.pix_fmt)
        frame.pts, frame.time_base = tick, self._plan.clock
        self._output.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Writes what the codec still holds, and ends the file."""
        with self._stack:
            self._output.mux(self._stream.encode(None))

    def abandon(self) -> None:
        """Ends the file, whatever is in it."""
        with suppress(OSError, av.FFmpegError):
            self._stack.close()


def _video_stream(output: OutputContainer, format: Format, plan: Plan):
    """Adds the picture of a plan to a file, encoded as a format says."""
    stream = output.add_stream(format.codec, rate=plan.rate, options=dict(format.options))
    stream.height, stream.width = plan.size
    stream.pix_fmt = format.pixels
    context = stream.codec_context
    context.time_base = stream.time_base = plan.clock
    if format.pixels.startswith("yuv"):
        jpeg = format.pixels == "yuvj420p"
        context.color_range = WHOLE if jpeg else LIMITED
        context.colorspace = 5 if jpeg else ITU_709  # as any JPEG
        context.color_primaries = context.color_trc = ITU_709
    return stream


def _converted(frame: VideoFrame, pixels: str) -> VideoFrame:
    """Returns an RGB frame in another pixel format, by the matrix and range that `_video_stream` promises."""
    if not pixels.startswith("yuv"):
        return frame.reformat(format=pixels)
    whole = pixels == "yuvj420p"
    return frame.reformat(
        format=pixels,
        src_color_range="JPEG",
        dst_colorspace="ITU601" if whole else "ITU709",
        dst_color_range="JPEG" if whole else "MPEG",
        interpolation=EXACT,
    )


def join(
    target: Path,
    segments: Sequence[Path],
    plan: Plan,
    clip: Clip,
    times: tuple[int, int],
    whole: bool,
    with_sound: bool,
) -> Sound | None:
    """Writes segments as one file, with the clip's sound, which is returned; None where there is none.

    times: ticks at which the last frame begins and ends.  whole: whether the clip was painted to its end; else its
    sound ends there, too.  with_sound: not where it holds none, or none that can be written.
    Raises OSError and `av.FFmpegError`.
    """
    format, (last, end), damaged = plan.format, times, set[int]()
    options = {**format.muxing, **_repetition(plan)}
    if format.container == "apng":
        options["final_delay"] = f"{(end - last) * plan.clock}"
    sound = None
    with ExitStack() as stack:
        output = stack.enter_context(open_to_write(target, format.container, options))
        if format.animated:
            stream = _video_stream(output, format, plan)
            packets = _encoded(stream, segments, plan)
        else:
            with open_to_read(segments[0]) as first:
                stream = output.add_stream_from_template(first.streams.video[0])
            stream.time_base = plan.clock
            packets = _packets(segments, plan)
            if clip.path and with_sound:
                source = stack.enter_context(open_to_read(clip.path))
                sound = Sound(source, clip.name, output, format, clip.start)
        output.metadata.update({} if format.animated else clip.metadata)
        picture = _lasting(stream, packets, plan, end)
        until = None if whole else end * plan.clock
        for _, packet in heapq.merge(picture, sound.packets(until) if sound else (), key=lambda timed: timed[0]):
            try:
                output.mux(packet)
            except ValueError:  # so are the errors of PyAV for data that are none
                if packet.stream is stream:
                    raise
                damaged.add(packet.stream.index)
    if damaged:
        log.warning("%s: some of its sound is damaged, and was left out", clip.name)
    return sound


def _repetition(plan: Plan) -> dict[str, str]:
    """Returns the option that says how often an animated picture plays; a GIF counts the times after the first."""
    if plan.format.container == "gif":
        return {"loop": str(plan.plays and (plan.plays - 1 or -1))}
    return {"webp": {"loop": str(plan.plays)}, "apng": {"plays": str(plan.plays)}}.get(plan.format.container, {})


def _packets(segments: Sequence[Path], plan: Plan) -> Iterator[av.Packet]:
    for path in segments:
        with open_to_read(path) as container:
            for packet in container.demux(video=0):
                if packet.size:
                    packet.pts = packet.dts = _tick(packet, plan)
                    yield packet


def _tick(timed: av.Packet | VideoFrame, plan: Plan) -> int:
    return round(timed.pts * timed.time_base / plan.clock)  # segments have clocks of their own


def _encoded(stream, segments: Sequence[Path], plan: Plan) -> Iterator[av.Packet]:
    """Yields the frames of lossless segments, encoded as a picture's."""
    for path in segments:
        with open_to_read(path) as container:
            for frame in container.decode(video=0):
                tick = _tick(frame, plan)
                frame = _in_colors(frame) if plan.format.pixels == "pal8" else _converted(frame, plan.format.pixels)
                frame.pts, frame.time_base = tick, plan.clock
                yield from stream.encode(frame)
    yield from stream.encode(None)


def _in_colors(frame: VideoFrame) -> VideoFrame:
    """Returns a frame in the 256 colors that suit it best, dithered."""
    image = Image.fromarray(frame.to_ndarray(format="rgb24")).quantize(256, Image.Quantize.MEDIANCUT)
    colors = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    palette = np.full((256, 4), 255, np.uint8)  # opacity first
    palette[: len(colors), 1:] = colors
    return VideoFrame.from_ndarray((np.asarray(image), palette), format="pal8")


def _lasting(stream, packets: Iterator[av.Packet], plan: Plan, end: int) -> Iterator[tuple[Fraction, av.Packet]]:
    """Yields packets with their times in seconds, each lasting until the next, and the last one until the end."""
    waiting = None
    for packet in packets:
        if waiting is not None:
            waiting.duration = packet.pts - waiting.pts
            yield waiting.pts * plan.clock, waiting
        packet.stream, packet.time_base, waiting = stream, plan.clock, packet
    if waiting is not None:
        waiting.duration = max(1, end - waiting.pts)
        yield waiting.pts * plan.clock, waiting
