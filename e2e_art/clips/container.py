"""Files of clips as PyAV sees them: opened by us, so that FFmpeg finds neither a name to interpret nor another file."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer

__all__ = ["begins_anew", "demuxed", "open_to_read", "open_to_write", "seconds"]

# Formats of one file each.  FFmpeg's others hold lists of files and addresses, or are pictures and sound alone.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,nut,mxf,dv"
LARGEST = 2**27  # pixels of a frame
MOST_FAILURES = 100  # one after another, of reading on behind what is damaged


class _Nameless(io.BufferedReader):
    """A file whose name FFmpeg does not learn; it would take `12:30.mp4` for an address, and cannot take every byte."""

    name = "clip"

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Returns the new position; an error's number for one before the beginning, where a broken index may point."""
        try:
            return super().seek(offset, whence)
        except OSError as error:  # PyAV would print some of them
            return -(error.errno or errno.EIO)


class _Unnamed(io.FileIO):
    name = _Nameless.name


@contextmanager
def open_to_read(path: Path) -> Iterator[InputContainer]:
    """Yields a clip's file.  Raises OSError and `av.FFmpegError`, and nothing is said on the terminal."""
    av.logging.set_level(None)
    # As options of the streams, too, they crash PyAV 15, which is Python 3.9's newest, where these are found late.
    told: Any = {"container_options": {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}}
    if int(av.__version__.partition(".")[0]) < 19:  # from then on tags that are no UTF-8 keep their bytes
        told["metadata_errors"] = "replace"
    with _Nameless(io.FileIO(path)) as file, av.open(file, **told) as container:
        for stream in container.streams.video:
            if stream.codec_context:  # whose coding is known
                stream.codec_context.options = {"max_pixels": str(LARGEST)}
        yield container


@contextmanager
def open_to_write(path: Path, container: str, options: dict[str, str] | None = None) -> Iterator[OutputContainer]:
    """Yields a container to write to; on leaving, all of it is on the disk.  Raises OSError and `av.FFmpegError`."""
    av.logging.set_level(None)

    def reread(url: str, flags: int, options: Any) -> io.FileIO:  # by an MP4, to bring its index to the front
        return io.FileIO(path)

    with _Unnamed(path, "w") as file, av.open(file, "w", container, options or {}, io_open=reread) as output:
        yield output


def demuxed(container: InputContainer, on_failure: Callable[[], object] = lambda: None) -> Iterator[av.Packet]:
    """Yields the packets of all streams, and goes on behind what cannot be read; on_failure: called each time."""
    failures = 0
    while failures < MOST_FAILURES:
        try:
            for packet in container.demux():
                failures = 0
                yield packet
            return
        except (av.FFmpegError, OSError, IndexError):  # the last for a stream that was not there at the beginning
            failures += 1
            on_failure()


def begins_anew(container: InputContainer) -> bool:
    """Says whether the clock of a file may jump back, where recordings were strung together."""
    return container.format.name in ("mpegts", "mpeg")


def seconds(ticks: int, time_base: Fraction | None) -> Fraction:
    """Returns a time of FFmpeg's."""
    return ticks * (time_base or Fraction(1, av.time_base))
