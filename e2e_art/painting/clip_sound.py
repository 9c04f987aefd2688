"""A clip's sound: copied where the new file can hold it, else encoded anew, in time with the picture."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph

from .clip_formats import Format
from .container import open_to_read, seconds

__all__ = ["Sound"]

log = logging.getLogger(__name__)

RATES = {"libopus": (48000,), "libmp3lame": (44100, 48000, 32000)}  # others take what there is, up to MOST_RATE
MOST_RATE = 48000
MOST_CHANNELS = {"libmp3lame": 2}
BITS = 96_000  # a second and channel
FRAME = 1024  # samples, where an encoder takes any number


class Sound:
    """The sound tracks of a clip, added to a file.

    start: where the clip's clock stands at time 0, in seconds.  copied, encoded: how many tracks are.
    """

    def __init__(self, path: Path, output: OutputContainer, format: Format, start: Fraction):
        self._source, self._name, self._start = open_to_read(path), str(path), start
        self._tracks: dict[int, _Copied | _Encoded] = {}
        for stream in self._source.streams.audio:
            if stream.codec_context is None:
                log.warning("%s: sound in an unknown coding is left out", path)
                continue
            kind = _Copied if stream.codec_context.name.replace("float", "") in format.sounds else _Encoded
            self._tracks[stream.index] = track = kind(output, stream, format.encoder)
            track.added.metadata.update({key: stream.metadata[key] for key in ("language", "title") if key in stream.metadata})
        self.copied = sum(isinstance(track, _Copied) for track in self._tracks.values())
        self.encoded = len(self._tracks) - self.copied

    def packets(self, until: Fraction | None) -> Iterator[tuple[Fraction, av.Packet]]:
        """Yields packets with their times, in seconds, all or those before a time; what is damaged is passed over."""
        with self._source:
            try:
                for packet in self._source.demux():
                    if (track := self._tracks.get(packet.stream_index)) is None:
                        continue
                    if packet.size and packet.pts is not None:
                        shift = round(self._start / packet.time_base)
                        packet.pts, packet.dts = packet.pts - shift, (packet.dts or packet.pts) - shift
                        if until is not None and seconds(packet.pts, packet.time_base) >= until:
                            continue
                    for result in track.packets(packet):
                        yield seconds(result.pts, result.time_base), result
            except (av.FFmpegError, OSError) as error:
                log.warning("%s: its sound is damaged and ends early (%s)", self._name, error)


class _Copied:
    def __init__(self, output: OutputContainer, stream: AudioStream, encoder: str):
        self.added = output.add_stream_from_template(stream)

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        if packet.size and packet.pts is not None:
            packet.stream = self.added
            yield packet


class _Encoded:
    """Encodes a track anew; gaps are filled with silence, so that what comes behind them is in time."""

    def __init__(self, output: OutputContainer, stream: AudioStream, encoder: str):
        context = stream.codec_context
        rates = RATES.get(encoder, (min(context.rate, MOST_RATE),))
        rate = context.rate if context.rate in rates else rates[0]
        few = min(context.layout.nb_channels, MOST_CHANNELS.get(encoder, 8))
        layout = context.layout.name if few == context.layout.nb_channels else {1: "mono", 2: "stereo"}[few]
        self._source = stream
        self.added = output.add_stream(encoder, rate=rate, layout=layout)
        self.added.bit_rate = BITS * few
        self.added.time_base = Fraction(1, rate)
        self.added.codec_context.open()
        self._graph = Graph()
        form = f"sample_rates={rate}:channel_layouts={layout}:sample_fmts={self.added.format.name}"
        chain = self._graph.add_abuffer(template=stream), self._graph.add("aresample", "async=1"), self._graph.add("aformat", form)
        self._graph.link_nodes(*chain, self._graph.add("abuffersink")).configure()
        self._graph.set_audio_frame_size(self.added.codec_context.frame_size or FRAME)

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        try:
            frames = self._source.codec_context.decode(packet)
        except av.FFmpegError:
            frames = []
        for frame in frames:
            self._graph.push(frame)
            yield from self._drained()
        if not packet.size:
            self._graph.push(None)
            yield from self._drained()
            yield from self.added.encode(None)

    def _drained(self) -> Iterator[av.Packet]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield from self.added.encode(frame)
