"""A clip's sound: copied where the new file can hold it, else encoded anew, in time with the picture."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.filter import Graph

from .container import begins_anew, demuxed, seconds
from .formats import Format
from .timeline import Timeline

__all__ = ["Sound"]

log = logging.getLogger(__name__)

RATES = {"libopus": (48000,), "aac": (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # by channels; others become stereo
BITS = 96_000  # a second and channel
TOLD = ("language", "title")  # what a track says of itself, and keeps
SAMPLES = 1024  # of a frame, where an encoder takes any number


class Sound:
    """The sound tracks of a clip, added to a file.

    start: where the clip's clock stands at time 0, in seconds.  copied, encoded: how many tracks are.
    """

    def __init__(self, source: InputContainer, name: str, output: OutputContainer, format: Format, start: Fraction):
        self._source, self._name = source, name
        self._timelines: dict[int, Timeline] = defaultdict(lambda: Timeline(start, begins_anew(self._source)))
        self._tracks: dict[int, _Copied | _Encoded] = {}
        for stream in self._source.streams.audio:
            if stream.codec_context is None:
                log.warning("%s: sound in an unknown coding is left out", name)
                continue
            kind = _Copied if stream.codec_context.name.replace("float", "") in format.sounds else _Encoded
            self._tracks[stream.index] = track = kind(output, stream, format)
            track.added.metadata.update({key: value for key, value in stream.metadata.items() if key in TOLD})
        self.copied = sum(isinstance(track, _Copied) for track in self._tracks.values())
        self.encoded = len(self._tracks) - self.copied

    def packets(self, until: Fraction | None) -> Iterator[tuple[Fraction, av.Packet]]:
        """Yields packets with their times, in seconds, all or those before a time; what is damaged is passed over."""
        try:
            for packet in demuxed(self._source):
                if (track := self._tracks.get(packet.stream.index)) is None:
                    continue
                if packet.size:
                    base = packet.time_base
                    said = None if packet.pts is None else seconds(packet.pts, base)
                    time = self._timelines[packet.stream.index].at(said, seconds(packet.duration or 0, base))
                    packet.pts = packet.dts = round(time / base)
                    if until is not None and time >= until:
                        continue
                for result in track.packets(packet):
                    yield seconds(result.pts, result.time_base), result
        except (av.FFmpegError, OSError) as error:
            log.warning("%s: its sound is damaged and ends early (%s)", self._name, error)


class _Copied:
    def __init__(self, output: OutputContainer, stream: AudioStream, format: Format):
        self.added = output.add_stream_from_template(stream)

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        if packet.size:
            packet.stream = self.added
            yield packet


class _Encoded:
    """Encodes a track anew; gaps are filled with silence, so that what comes behind them is in time.

    format: where it has no clock, silence stands before what begins late, too.
    """

    def __init__(self, output: OutputContainer, stream: AudioStream, format: Format):
        encoder = format.encoder
        context = stream.codec_context
        rates = RATES.get(encoder, (context.rate,))
        rate = context.rate if context.rate in rates else rates[0]
        layout = LAYOUTS.get(context.layout.nb_channels, "stereo")
        self._decoder = context
        self.added = output.add_stream(encoder, rate=rate, layout=layout)
        self.added.bit_rate = BITS * self.added.layout.nb_channels
        self.added.time_base = Fraction(1, rate)
        self.added.codec_context.open()
        self._form = f"sample_rates={rate}:channel_layouts={layout}:sample_fmts={self.added.format.name}"
        self._times = "async=1" if format.clock is not None else "async=1:first_pts=0"
        self._graph: Graph | None = None
        self._due = 0

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            frames = []
        for frame in frames:
            frame.pts = self._due if frame.pts is None else frame.pts
            self._due = frame.pts + round(frame.samples / frame.sample_rate / frame.time_base)
            self._graph = self._graph or self._resampler(frame)
            self._graph.push(frame)
            yield from self._resampled()
        if not packet.size and self._graph:
            self._graph.push(None)
            yield from self._resampled()
            yield from self.added.encode(None)

    def _resampler(self, frame: AudioFrame) -> Graph:
        graph = Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout, time_base=frame.time_base
        )
        chain = graph.add("aresample", self._times), graph.add("aformat", self._form), graph.add("abuffersink")
        graph.link_nodes(source, *chain).configure()
        graph.set_audio_frame_size(self.added.codec_context.frame_size or SAMPLES)
        return graph

    def _resampled(self) -> Iterator[av.Packet]:
        while self._graph:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield from self.added.encode(frame)
