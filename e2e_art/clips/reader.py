"""A clip's file: frames as they are meant to be seen, upright, in square pixels and sRGB, at their own times."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..images.formats import no_clip
from .clip import Clip, Frame, check_frame
from .container import begins_anew, demuxed, open_to_read, seconds
from .formats import VideoError
from .pixels import Sight
from .timeline import Timeline

__all__ = ["ClipFile"]

log = logging.getLogger(__name__)

ONE_BY_ONE = ("h264", "hevc", "mpeg2video", "mpeg1video")  # whose packets are a frame each, or half of one
MOST_STEPS = 120  # a second
RATE = Fraction(25)  # frames a second, where a clip does not say
CLOCK = Fraction(1, 1_000_000)  # the finest
METADATA: tuple[str, ...] = ("title", "artist", "author", "album", "genre", "comment", "description", "copyright")
METADATA += ("date", "creation_time", "location", "make", "model")
APPLE = "com.apple.quicktime."
SLACK = Fraction(1, 2)  # seconds by which a whole clip may end before its length


class ClipFile(Clip):
    """A clip in a file; what is damaged is passed over.  Raises VideoError where it gives no pictures.

    start: where the file's clock stands at time 0, in seconds.
    """

    def __init__(self, path: Path):
        self.path, self.name = path, str(path)
        self._stack = ExitStack()
        try:
            self._container = self._stack.enter_context(open_to_read(path))
        except FileNotFoundError:
            raise VideoError(f"There is no file {path}: check the path") from None
        except av.FFmpegError as error:
            raise VideoError(f"{path} {_why_unreadable(path)}") from error
        except OSError as error:
            raise VideoError(f"{path} cannot be opened ({error.strerror}): check its path and permissions") from error
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        container, self._lost, self._packets_read, self._end = self._container, 0, 0, Fraction(0)
        self._corrupt = False  # some packet, which may be where recordings were strung together
        pictures = [stream for stream in container.streams.video if not stream.disposition & _ATTACHED]
        if not pictures:
            raise VideoError(f"{self.name} holds no moving pictures: give a clip")
        known = [stream for stream in pictures if stream.codec_context]
        if not known:
            raise VideoError(f"{self.name} is in a coding that is not known: convert it to .mp4 first")
        self._stream = known[0]
        sounds = [stream for stream in container.streams.audio if stream.codec_context]
        self.has_sound = bool(sounds)
        self.metadata = _metadata(container.metadata)
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        self.rate = Fraction(rate) if 0 < rate < 1000 else RATE
        base = self._stream.time_base or CLOCK
        self.clock = max(base, CLOCK)
        self._decoder = _decoder(self._stream)
        self._frames = self._decoded()
        decoded = next(self._frames, None)
        if decoded is None:
            raise VideoError(f"{self.name} gives no pictures: it is damaged, or in a coding that is not known")
        self._first: VideoFrame = decoded
        check_frame(self.name, self._first.height, self._first.width)
        self._sight = Sight(self._first, self._stream)
        self.size = self._sight.size
        self._whole = seconds(container.duration or 0, None)
        if container.format.name == "avi":  # whose duration is that of what is there
            self._whole = max(self._whole, self._stream.frames / self.rate)
        length = seconds(self._stream.duration, base) if self._stream.duration else self._whole
        self.count = self._stream.frames or round(length * self.rate)
        first = self._first.pts if self._first.pts is not None else self._first.dts
        starts = [seconds(stream.start_time, stream.time_base) for stream in sounds if stream.start_time is not None]
        self.start = min([Fraction(0) if first is None else seconds(first, self._first.time_base), *starts])

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames, once; then `count` and `damaged` tell how many there should have been."""
        timeline, yielded, last = Timeline(self.start, begins_anew(self._container)), 0, -self.clock
        size, begun = (self._first.width, self._first.height), Fraction(0)
        for frame in itertools.chain([self._first], self._frames):
            stamp = frame.pts if frame.pts is not None else frame.dts
            length = seconds(frame.duration, frame.time_base) if frame.duration else 1 / self.rate
            time = timeline.at(None if stamp is None else seconds(stamp, frame.time_base), length)
            if self._lost and time <= last:  # behind what is damaged, a frame from before it
                self._lost += 1
                continue
            if (frame.width, frame.height) != size:
                log.warning("%s changes its size: frames are scaled to the first", self.name)
                size = frame.width, frame.height
            last = max(time, last + self.clock)
            begun = begun if yielded else last
            yield Frame(self._sight.pixels(frame), last, length)
            yielded += 1
        self._conclude(yielded, last + length, last + length - begun)

    def _conclude(self, frames: int, end: Fraction, length: Fraction) -> None:
        """Sets `damaged` and `count` by what was read, up to a time, of so many seconds."""
        begun = seconds(self._container.start_time or 0, None)
        read = max(end + self.start, self._end) - begun
        short = read < self._whole - SLACK
        dropped = self._packets_read - frames - self._lost
        if self._stream.codec_context.name in ONE_BY_ONE and 0 < dropped < frames // 2:
            self._lost += dropped
        missing = self._corrupt and round(length * self.rate) - frames > 1
        self.damaged = self.damaged or short or missing or self._lost > 0
        counted = self._container.format.name.startswith("mov")  # by its index
        due = self._stream.frames if counted else round(self._whole * frames / end)
        due = due if short else round(length * self.rate) if missing else 0
        self.count = max(frames + self._lost, due) if self.damaged else frames

    @property
    def steps(self) -> Fraction:
        base = self._stream.base_rate or 0
        return Fraction(base) if 0 < base <= MOST_STEPS else self.rate

    def _packets(self) -> Iterator[av.Packet]:
        """Yields the picture's packets, and notes how far any stream goes."""
        for packet in demuxed(self._container, self._note_damage):
            if packet.pts is not None:
                self._end = max(self._end, seconds(packet.pts + (packet.duration or 0), packet.time_base))
            if packet.stream.index == self._stream.index:
                self._packets_read += bool(packet.size) and not packet.is_discard
                self._corrupt = self._corrupt or packet.is_corrupt
                yield packet

    def _note_damage(self) -> None:
        self.damaged = True

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            try:
                frames = self._decoder.decode(packet)
            except av.FFmpegError:
                if packet.size:
                    self._lost += 1
                    self.damaged = True
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._lost += 1
                    self.damaged = True
                else:
                    yield frame

    def close(self) -> None:
        self._stack.close()


def _metadata(tags: Mapping[str, str]) -> dict[str, str]:
    """Returns what a file's tags say that others know, too; phones have names of their own for some of them."""
    known = {key.lower().replace(APPLE, "").replace(".iso6709", ""): value for key, value in tags.items()}
    return {key: known[key] for key in METADATA if key in known}


_ATTACHED = av.stream.Disposition.attached_pic


def _decoder(stream: VideoStream):
    """Returns what decodes a stream; FFmpeg's own decoders pass over the opacity of VP8 and VP9."""
    context = stream.codec_context
    library = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(context.name)
    if not library or stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1":
        return context
    decoder = av.CodecContext.create(library, "r")
    decoder.extradata = context.extradata
    return decoder


def _why_unreadable(path: Path) -> str:
    """Returns what is the matter with a file that no demuxer took, and what to do."""
    with path.open("rb") as file:
        head = file.read(4096)
    if other := no_clip(head):
        return other
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "is damaged or cut short, its index (moov) is missing: copy it again, or restore the index (untrunc)"
    return "gives no pictures: check that it is a clip"
