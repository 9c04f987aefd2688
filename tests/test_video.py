"""Clips: painted frame by frame, upright, in their size, at their times, with their sound; whole or not at all."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from helpers import ROOT, on_full_disk, process, save
from PIL import Image
from skimage import data

from e2e_art.clips.camera import Camera
from e2e_art.clips.formats import READABLE
from e2e_art.commands.infer_video import is_clip
from e2e_art.commands.main import main
from e2e_art.painting.flow import flicker, motion
from e2e_art.painting.video import VideoError, open_clip, paint_clip

SIZE = (96, 128)
FRAMES, RATE = 9, Fraction(25, 2)
CORNERS = {"top left": (255, 0, 0), "top right": (0, 255, 0), "bottom left": (0, 0, 255), "bottom right": (255, 255, 0)}


def panned(step: int = 3) -> list[np.ndarray]:
    """The frames of a clip: a photo that moves to the left."""
    photo = data.astronaut()
    return [np.ascontiguousarray(photo[60:156, 150 + step * n : 278 + step * n]) for n in range(FRAMES)]


def quartered(height: int = 48, width: int = 64) -> np.ndarray:
    """A frame whose quarters have colors of their own."""
    colors = np.array(list(CORNERS.values()), np.uint8).reshape(2, 2, 3)
    rows, columns = (np.arange(height) * 2 // height), (np.arange(width) * 2 // width)
    return colors[rows[:, None], columns]


def write_clip(
    path,
    frames,
    times=None,
    rate=RATE,
    codec="libx264",
    pixels="yuv420p",
    container=None,
    sounds=(),
    metadata=None,
    **options,
):
    """Writes a clip.  times: of frames, in seconds, and when the last one ends.  sounds: (codec, start, seconds)."""
    times = [Fraction(n) / rate for n in range(len(frames) + 1)] if times is None else times
    context = options.pop("context", {})
    with av.open(str(path), "w", format=container) as output:
        video = output.add_stream(codec, rate=rate, options=options)
        first = frames[0]
        video.height, video.width = (first.height, first.width) if isinstance(first, av.VideoFrame) else first.shape[:2]
        video.pix_fmt = pixels
        video.metadata.update(metadata or {})
        for name, value in context.items():
            setattr(video.codec_context, name, value)
        clock = Fraction(1, 90_000) if times else 1 / rate
        video.codec_context.time_base = video.time_base = (
            1 / rate if codec in ("mpeg4", "mpeg2video", "mjpeg") else clock
        )
        tracks = [output.add_stream(kind, rate=48_000, layout="mono") for kind, *_ in sounds]
        base = video.codec_context.time_base
        packets = []
        for number, pixels_of in enumerate(frames):
            frame = pixels_of if isinstance(pixels_of, av.VideoFrame) else av.VideoFrame.from_ndarray(pixels_of)
            frame = frame if frame.format.name == pixels else frame.reformat(format=pixels, dst_colorspace="ITU601")
            frame.pts, frame.time_base = round(times[number] / base), base
            packets += video.encode(frame)
        packets += video.encode(None)
        for track, (_, start, length) in zip(tracks, sounds):
            wave = np.sin(np.arange(round(length * 48_000)) * 440 * 2 * np.pi / 48_000) * 8000
            frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = 48_000, round(start * 48_000), Fraction(1, 48_000)
            packets += [*track.encode(frame), *track.encode(None)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def turned(path, target, a, b, c, d):
    """Copies an MP4 with another display matrix."""
    content = path.read_bytes()
    matrix = lambda *values: b"".join((v * 65536 % 2**32).to_bytes(4, "big") for v in values)  # noqa: E731
    plain = matrix(1, 0, 0, 0, 1, 0, 0, 0) + (0x40000000).to_bytes(4, "big")
    place = content.index(plain, content.index(b"tkhd"))
    target.write_bytes(content[:place] + matrix(a, b, 0, c, d) + content[place + 20 :])
    return target


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "pan.mp4", panned())


def read(path):
    """Returns the frames of a clip, and the clip."""
    opened = open_clip(path)
    try:
        return list(opened), opened
    finally:
        opened.close()


def frames_of(path) -> list[np.ndarray]:
    return [frame.pixels for frame in read(path)[0]]


def times_of(path) -> list[float]:
    frames, _ = read(path)
    return [float(frame.time) for frame in frames] + [float(frames[-1].time + frames[-1].duration)]


def negative(frame: np.ndarray) -> np.ndarray:
    return 255 - frame


def same(frame: np.ndarray) -> np.ndarray:
    return frame


def paint(path, target, painter=same, **options):
    opened = open_clip(path)
    try:
        return paint_clip(opened, target, painter, **options)
    finally:
        opened.close()


def sound_of(path) -> list[tuple[str, float, float]]:
    """Returns codec, start and length in seconds of each sound track, as decoded."""
    found = []
    with av.open(str(path)) as container:
        count = len(container.streams.audio)
    for number in range(count):
        with av.open(str(path)) as container:
            frames = list(container.decode(audio=number))
            codec = container.streams.audio[number].codec_context.name
        found.append((codec, float(frames[0].time), sum(frame.samples for frame in frames) / frames[0].sample_rate))
    return found


def corner_colors(frame: np.ndarray) -> dict[str, tuple]:
    height, width = frame.shape[:2]
    places = {"top": height // 4, "bottom": height - height // 4, "left": width // 4, "right": width - width // 4}
    return {name: frame[tuple(places[word] for word in name.split())] for name in CORNERS}


def assert_corners(frame: np.ndarray, *order: str) -> None:
    for (place, found), color in zip(corner_colors(frame).items(), (CORNERS[name] for name in order or CORNERS)):
        assert np.abs(found.astype(int) - color).max() < 12, place


# Reading and writing


def test_a_clip_is_painted_frame_by_frame_in_its_size_and_rate(clip, tmp_path):
    counted = []
    done = paint(clip, tmp_path / "new" / "out.mp4", negative, on_frame=counted.append)
    assert counted == list(range(1, FRAMES + 1))
    assert (done.frames, done.rate, done.size, done.copied + done.encoded) == (FRAMES, RATE, SIZE, 0)
    for before, after in zip(frames_of(clip), frames_of(tmp_path / "new" / "out.mp4")):
        assert np.abs(negative(before).astype(int) - after).mean() < 6  # but for what compression takes
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.mp4"]


def test_what_is_written_plays_in_browsers(clip, tmp_path):
    paint(clip, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.colorspace, context.color_range) == ("h264", "yuv420p", 1, 1)
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # begins to play before it is loaded


@pytest.mark.parametrize(
    ("matrix", "order"),
    [
        ((0, 1, -1, 0), ("bottom left", "top left", "bottom right", "top right")),  # a quarter clockwise
        ((-1, 0, 0, -1), ("bottom right", "bottom left", "top right", "top left")),
        ((0, -1, 1, 0), ("top right", "bottom right", "top left", "bottom left")),
        ((-1, 0, 0, 1), ("top right", "top left", "bottom right", "bottom left")),  # a mirror
    ],
)
def test_clips_stand_upright(tmp_path, matrix, order):
    plain = write_clip(tmp_path / "plain.mp4", [quartered()] * 2)
    done = paint(turned(plain, tmp_path / "turned.mp4", *matrix), tmp_path / "out.mp4")
    assert done.size == ((48, 64) if matrix[0] else (64, 48))
    assert_corners(frames_of(tmp_path / "out.mp4")[0], *order)
    assert done.size == read(tmp_path / "out.mp4")[1].size  # the mark is gone


def test_the_old_tag_of_a_turned_clip(tmp_path):
    path = write_clip(tmp_path / "old.mkv", [quartered()] * 2, metadata={"rotate": "90"})
    assert_corners(frames_of(path)[0], "bottom left", "top left", "bottom right", "top right")


@pytest.mark.parametrize(("shape", "size"), [(Fraction(4, 3), (48, 86)), (Fraction(1, 2), (96, 64))])
def test_pixels_become_square(tmp_path, shape, size):
    path = write_clip(tmp_path / "wide.mp4", [quartered()] * 2, context={"sample_aspect_ratio": shape})
    assert paint(path, tmp_path / "out.mp4").size == size
    frames, painted = read(tmp_path / "out.mp4")
    assert painted.size == size
    assert_corners(frames[0].pixels)


@pytest.mark.parametrize(("suffix", "size"), [(".mp4", (122, 162)), (".webm", (121, 161)), (".gif", (121, 161))])
def test_odd_sizes_stay_whole(tmp_path, suffix, size):
    frame = np.full((121, 161, 3), 90, np.uint8)
    frame[-1:], frame[:, -1:] = 255, 255
    path = write_clip(tmp_path / "odd.mkv", [frame] * 2, codec="ffv1", pixels="bgr0")
    assert paint(path, tmp_path / f"out{suffix}").size == size
    last = frames_of(tmp_path / f"out{suffix}")[0]
    assert last.shape[:2] == size
    assert last[120, :].mean() > 200 and last[:, 160].mean() > 200 and abs(last[:100, :100].mean() - 90) < 4


TINTS = np.array(
    [(200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128), (16, 16, 16), (240, 240, 240)], np.uint8
)


def yuv(color, weights: tuple[float, float], bits: int, full: bool) -> list[int]:
    """Returns Y, U, V of a color, as ITU-R BT.601 and 709 write them."""
    red, green, blue = (part / 255 for part in color)
    luma = weights[0] * red + (1 - sum(weights)) * green + weights[1] * blue
    chroma = [(blue - luma) / (2 - 2 * weights[1]), (red - luma) / (2 - 2 * weights[0])]
    scale = 2 ** (bits - 8)
    if full:
        return [round(luma * 255 * scale), *(round((part * 255 + 128) * scale) for part in chroma)]
    return [round((luma * 219 + 16) * scale), *(round((part * 224 + 128) * scale) for part in chroma)]


@pytest.mark.parametrize(
    ("name", "weights", "tags", "bits", "full", "rows"),
    [
        ("601", (0.299, 0.114), {"colorspace": 6}, 8, False, 48),
        ("709", (0.2126, 0.0722), {"colorspace": 1}, 8, False, 48),
        ("full", (0.299, 0.114), {"colorspace": 6, "color_range": 2}, 8, True, 48),
        ("ten bits", (0.2126, 0.0722), {"colorspace": 1}, 10, False, 48),
        ("small without a tag", (0.299, 0.114), {}, 8, False, 48),
        ("large without a tag", (0.2126, 0.0722), {}, 8, False, 720),
    ],
)
def test_colors_are_those_of_the_clip(tmp_path, name, weights, tags, bits, full, rows):
    frames = []
    for color in TINTS:
        frame = av.VideoFrame(64, rows, "yuv420p10le" if bits == 10 else "yuv420p")
        for plane, value in zip(frame.planes, yuv(color, weights, bits, full)):
            plane.update(
                np.full(plane.buffer_size * 8 // (16 if bits > 8 else 8), value, f"uint{16 if bits > 8 else 8}")
            )
        frame.colorspace, frame.color_range = tags.get("colorspace", 2), tags.get("color_range", 0)
        frames.append(frame)
    path = write_clip(tmp_path / "in.mkv", frames, codec="ffv1", pixels=frames[0].format.name, context=tags)
    paint(path, tmp_path / "out.mp4")
    for color, before, after in zip(TINTS, frames_of(path), frames_of(tmp_path / "out.mp4")):
        assert np.abs(before.mean((0, 1)) - color).max() < 3, name
        assert np.abs(after.mean((0, 1)) - color).max() < 4, name


def test_high_dynamic_range_is_shown_as_such(tmp_path):
    """White of 203 candelas in PQ is 58 % of the signal (BT.2408): it stays the lightest of grays."""
    frames = []
    for level in (0.58, 0.35, 0.0):
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        for plane, value in zip(frame.planes, (round((level * 219 + 16) * 4), 512, 512)):
            plane.update(np.full(plane.buffer_size // 2, value, np.uint16))
        frames.append(frame)
    tags = {"colorspace": 9, "color_trc": 16, "color_primaries": 9}
    path = write_clip(tmp_path / "pq.mkv", frames, codec="ffv1", pixels="yuv420p10le", context=tags)
    white, gray, black = (frame.mean() for frame in frames_of(path))
    assert white > 230 and 60 < gray < 140 and black < 5


def test_transparency_is_white(tmp_path):
    frame = np.zeros((48, 64, 4), np.uint8)
    frame[..., 0] = 255
    frame[:, 32:, 3] = 255  # red, but for a left half that shows nothing
    clips = [
        write_clip(tmp_path / "a.mov", [av.VideoFrame.from_ndarray(frame, "rgba")] * 2, codec="qtrle", pixels="argb"),
        write_clip(
            tmp_path / "a.webm", [av.VideoFrame.from_ndarray(frame, "rgba")] * 2, codec="libvpx-vp9", pixels="yuva420p"
        ),
    ]
    for path in clips:
        shown = frames_of(path)[0]
        assert np.abs(shown[10, 10].astype(int) - 255).max() < 4, path
        assert np.abs(shown[10, 50].astype(int) - (255, 0, 0)).max() < 6, path


# Times and sound


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_variable_rate_is_kept(tmp_path, suffix):
    times = [Fraction(n, 30) for n in range(6)] + [Fraction(n, 10) for n in range(3, 10)]
    path = write_clip(tmp_path / "vfr.mp4", [*panned(), *panned()[:3]], times, sounds=[("aac", 0, 1)])
    done = paint(path, tmp_path / f"out{suffix}")
    assert done.frames == 12
    found = np.array(times_of(tmp_path / f"out{suffix}"))
    assert (found - found[0])[:-1] == pytest.approx(
        [float(time) for time in times[:-1]], abs=0.002 if suffix in (".mkv", ".webm") else 1e-4
    )


def test_a_variable_rate_in_an_avi(tmp_path):
    times = [Fraction(n, 30) for n in range(6)] + [Fraction(n, 10) for n in range(2, 6)]
    path = write_clip(tmp_path / "vfr.mp4", panned(), times, rate=Fraction(30))
    paint(path, tmp_path / "out.avi")
    assert times_of(tmp_path / "out.avi")[:9] == pytest.approx([float(time) for time in times[:9]], abs=1 / 60)


@pytest.mark.parametrize("length", [0.2, 2.0])
def test_all_frames_stay_however_long_the_sound(tmp_path, length):
    path = write_clip(tmp_path / "in.mp4", panned(), sounds=[("aac", 0, length)])
    assert paint(path, tmp_path / "out.mp4").copied == 1
    assert len(frames_of(tmp_path / "out.mp4")) == FRAMES
    ((codec, start, seconds),) = sound_of(tmp_path / "out.mp4")
    assert (codec, start) == ("aac", 0) and seconds == pytest.approx(length, abs=0.05)


@pytest.mark.parametrize(
    ("name", "sound", "suffix", "expected"),
    [
        ("in.mov", "pcm_s16le", ".mp4", "aac"),
        ("in.mov", "pcm_s16le", ".mov", "pcm_s16le"),
        ("in.mov", "pcm_s16le", ".webm", "opus"),
        ("in.mov", "pcm_s16le", ".mkv", "pcm_s16le"),
        ("in.mp4", "aac", ".webm", "opus"),
        ("in.mp4", "aac", ".avi", "pcm_s16le"),
        ("in.mp4", "mp3", ".avi", "pcm_s16le"),
        ("in.mov", "pcm_s16le", ".avi", "pcm_s16le"),
        ("in.mkv", "mp2", ".mp4", "aac"),
        ("in.ts", "mp2", ".mp4", "aac"),
    ],
)
def test_sound_is_copied_or_encoded_and_in_time(tmp_path, name, sound, suffix, expected):
    path = write_clip(tmp_path / name, panned(), sounds=[(sound, 0.25, 0.5)])
    done = paint(path, tmp_path / f"out{suffix}")
    assert (done.copied, done.encoded) == ((1, 0) if sound == expected and suffix != ".avi" else (0, 1))
    ((codec, start, seconds),) = sound_of(tmp_path / f"out{suffix}")
    first = times_of(path)[0]
    before = sound_of(path)[0][1] - (0 if name != "in.ts" else float(av.open(str(path)).start_time) / 1e6)
    silence = 0.25 if suffix == ".avi" else 0  # whose sound cannot begin late
    assert codec == expected and seconds == pytest.approx(0.5 + silence, abs=0.06)
    offset = start + silence - times_of(tmp_path / f"out{suffix}")[0]
    assert offset == pytest.approx(before - first, abs=0.05)


def test_several_sound_tracks(tmp_path):
    path = write_clip(tmp_path / "in.mkv", panned(), sounds=[("aac", 0, 0.5), ("pcm_s16le", 0, 0.5)])
    done = paint(path, tmp_path / "out.mp4")
    assert (done.copied, done.encoded) == (1, 1)
    assert [codec for codec, *_ in sound_of(tmp_path / "out.mp4")] == ["aac", "aac"]


CODECS = {".wmv": "msmpeg4v3", ".flv": "flv", ".3gp": "mpeg4", ".webm": "libvpx-vp9"}
CODECS |= dict.fromkeys((".mpg", ".mpeg", ".vob", ".m2v", ".mxf"), "mpeg2video") | {
    ".avi": "mpeg4",
    ".asf": "msmpeg4v3",
}
CONTAINERS = {".mts": "mpegts", ".m2ts": "mpegts", ".wmv": "asf", ".m4v": "mp4", ".m2v": "mpeg2video"}


@pytest.mark.parametrize("suffix", [suffix for suffix in READABLE if suffix not in (".ogv", ".dv")])
def test_every_kind_of_clip_is_read(tmp_path, suffix):
    rate = Fraction(25)
    path = write_clip(
        tmp_path / f"CLIP{suffix.upper()}", panned(), rate=rate, codec=CODECS.get(suffix, "libx264"),
        container=CONTAINERS.get(suffix),
    )  # fmt: skip
    assert is_clip(str(path), "out.mp4")
    assert paint(path, tmp_path / "out.mp4").frames == FRAMES
    assert times_of(tmp_path / "out.mp4") == pytest.approx(np.arange(FRAMES + 1) / 25, abs=0.003)


# Animated pictures


def animated(path, mode="RGB", durations=(50, 70, 80, 300), loop=0, **options):
    frames = [Image.fromarray(frame).convert(mode) for frame in panned()[:4]]
    return save(
        path, frames[0], save_all=True, append_images=frames[1:], duration=list(durations), loop=loop, **options
    )


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".mp4"])
@pytest.mark.parametrize("source", [".gif", ".webp", ".png"])
def test_animated_pictures_are_clips(tmp_path, source, suffix):
    path = animated(tmp_path / f"in{source}", loop=0, **({"lossless": True} if source == ".webp" else {}))
    assert paint(path, tmp_path / f"out{suffix}", negative).frames == 4
    assert times_of(tmp_path / f"out{suffix}") == pytest.approx([0, 0.05, 0.12, 0.2, 0.5], abs=1e-3)
    for before, after in zip(frames_of(path), frames_of(tmp_path / f"out{suffix}")):
        assert np.abs(negative(before).astype(int) - after).mean() < 7
    if suffix != ".mp4":
        with Image.open(tmp_path / f"out{suffix}") as image:
            assert image.info["loop"] == 0


@pytest.mark.parametrize("plays", [1, 3])
def test_animated_pictures_play_as_often(tmp_path, plays):
    animated(tmp_path / "in.png", loop=plays)
    for suffix, loop in ((".png", plays), (".webp", plays), (".gif", plays - 1 or None)):
        paint(tmp_path / "in.png", tmp_path / f"out{suffix}")
        with Image.open(tmp_path / f"out{suffix}") as image:
            assert image.info.get("loop") == loop
        assert read(tmp_path / f"out{suffix}")[1].plays == plays


def test_partial_frames_and_transparency(tmp_path):
    """A square that moves over nothing: each frame replaces the last one, on white."""
    frames = []
    for place in (4, 20, 36):
        frame = Image.new("RGBA", (64, 32))
        frame.paste((255, 0, 0, 255), (place, 8, place + 12, 20))
        frames.append(frame)
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=100, disposal=2, loop=0)
    for number, frame in enumerate(frames_of(tmp_path / "in.gif")):
        assert tuple(frame[2, 2]) == (255, 255, 255)
        assert [tuple(frame[14, place]) == (255, 0, 0) for place in (10, 26, 42)] == [number == n for n in range(3)]


def test_a_gif_keeps_time_and_shows_no_frame_too_briefly(tmp_path):
    path = write_clip(tmp_path / "fast.mp4", panned() * 4, rate=Fraction(60))
    done = paint(path, tmp_path / "out.gif")
    assert (done.read, len(frames_of(tmp_path / "out.gif"))) == (36, done.frames)
    durations = np.diff(times_of(tmp_path / "out.gif"))
    assert durations.min() >= 0.0199 and durations.sum() == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_a_gif_cut_short_is_painted_as_far_as_it_goes(tmp_path, suffix):
    path = animated(tmp_path / "in.gif")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 5 // 8])
    assert is_clip(str(path), f"out{suffix}")
    opened = open_clip(path)
    assert paint_clip(opened, tmp_path / f"out{suffix}", negative).frames == 2 and opened.damaged
    opened.close()
    assert times_of(tmp_path / f"out{suffix}") == pytest.approx([0, 0.05, 0.12], abs=1e-3)


def test_what_is_a_clip(clip, tmp_path):
    gif, png = str(animated(tmp_path / "in.gif")), str(animated(tmp_path / "in.png"))
    still = str(save(tmp_path / "still.gif", np.zeros((8, 8, 3), np.uint8)))
    assert is_clip(str(clip), "out.jpg") and is_clip("missing.MP4", None)
    assert is_clip("camcorder.tod", "o.mp4") and is_clip("no_suffix", "o.AVI") and not is_clip("photo.jpg", "o.mp4")
    assert is_clip(gif, "o.gif") and is_clip(gif, "o.WEBP") and is_clip(gif, "o.mp4") and is_clip(png, "o.png")
    assert not any([is_clip(gif, "o.png"), is_clip(gif, "o.jpg"), is_clip(still, "o.gif"), is_clip(gif, None)])
    (tmp_path / "folder.mp4").mkdir()
    assert not is_clip(str(tmp_path / "folder.mp4"), "out")


# Damage, strange names and strangers' files


def gray_noise(count: int) -> list[np.ndarray]:
    random = np.random.RandomState(0)
    return [random.randint(0, 255, (*SIZE, 3)).astype(np.uint8) for _ in range(count)]


def test_decoding_goes_on_behind_damage(tmp_path):
    path = write_clip(tmp_path / "in.mp4", gray_noise(40), rate=Fraction(10), g="10", movflags="")
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + 200_000
    content[middle : middle + 20_000] = b"\xff" * 20_000
    path.write_bytes(content)
    done = paint(path, tmp_path / "out.mp4")
    _, damaged = read(path)
    assert damaged.damaged and damaged.count == 40
    assert 20 < done.frames < 40
    times = times_of(tmp_path / "out.mp4")
    assert times[-2] == pytest.approx(3.9, abs=0.01)  # to the end
    assert len(times) == done.frames + 1 and (np.diff(times) > 0).all()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_clip_cut_short(tmp_path, published, capsys, suffix):
    path = write_clip(tmp_path / f"in{suffix}", gray_noise(40), rate=Fraction(10), g="10")
    if suffix == ".mp4":
        paint(path, path := tmp_path / "front.mp4")  # with its index in front
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert main(["infer", str(path), "--model", str(published), "--stage", "0", "-o", str(tmp_path / "out.mp4")]) == 0
    frames = len(frames_of(tmp_path / "out.mp4"))
    said = capsys.readouterr().err
    assert 10 < frames < 30 and f"{frames} of 40 frames of 128x96" in said and "damaged or cut short" in said


def test_sound_that_is_damaged_in_part_is_left_out_in_part(tmp_path, caplog):
    path = write_clip(tmp_path / "in.ts", panned(), sounds=[("aac", 0, 0.7)])
    content = bytearray(path.read_bytes())
    starts = [match.start() for match in re.finditer(rb"\xff\xf1[\x4c\x50]", content)]  # of packets of AAC
    content[starts[len(starts) // 3]] = 0
    path.write_bytes(content)
    done = paint(path, tmp_path / "out.mp4")
    assert (done.frames, done.copied) == (FRAMES, 1)
    ((_, _, seconds),) = sound_of(tmp_path / "out.mp4")
    assert seconds == pytest.approx(0.7, abs=0.06)
    assert [record.message for record in caplog.records] == [f"{path}: some of its sound is damaged, and was left out"]


def test_another_program_in_the_middle_ends_neither_picture_nor_sound(tmp_path):
    frames = [np.full((48, 64, 3), 20 + shade, np.uint8) for shade in range(100)]
    path = write_clip(tmp_path / "in.ts", frames, rate=5, sounds=[("aac", 0, 20)])
    program = {"mpegts_start_pid": "512", "mpegts_pmt_start_pid": "4500", "mpegts_service_id": "2"}
    with av.open(str(path)) as source, av.open(str(tmp_path / "other.ts"), "w", options=program) as output:
        added = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = added
                output.mux(packet)
    path.write_bytes(path.read_bytes() + (tmp_path / "other.ts").read_bytes())  # PyAV 18 raises IndexError there
    done = paint(path, tmp_path / "out.mp4")
    assert (done.frames, done.copied) == (100, 1)
    ((_, _, seconds),) = sound_of(tmp_path / "out.mp4")
    assert seconds == pytest.approx(20, abs=0.1)


def test_a_broadcast_that_lost_a_part_says_so(tmp_path):
    path = write_clip(tmp_path / "in.ts", gray_noise(40), rate=Fraction(10), g="10")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 4] + content[len(content) // 2 :])
    frames, damaged = read(path)
    assert damaged.damaged and damaged.count == 40 and 20 < len(frames) < 40


def test_a_size_that_changes_is_scaled_to_the_first(tmp_path, caplog):
    parts = [write_clip(tmp_path / f"{n}.ts", [quartered(48 * n, 64 * n)] * 5, rate=Fraction(10)) for n in (1, 2)]
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert paint(tmp_path / "both.ts", tmp_path / "out.mp4").size == (48, 64)
    frames = frames_of(tmp_path / "out.mp4")
    assert len(frames) == 10 and times_of(tmp_path / "out.mp4")[-1] == pytest.approx(1.0, abs=0.02)
    assert_corners(frames[-1])
    assert "changes its size" in caplog.text


@pytest.mark.parametrize(
    "name",
    ["12:30.mp4", "-o.mp4", "a b %03d.mp4", "http:x.mp4", "concat:a|b.mp4", b"caf\xe9.mp4", "日本.mp4", "file:.mp4"],
)
def test_names_are_names(clip, tmp_path, name):
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), os.fsencode(name))))
    path.write_bytes(clip.read_bytes())
    target = path.with_name("out " + path.name)
    assert paint(path, target).frames == FRAMES
    assert len(frames_of(target)) == FRAMES


def test_strangers_files_open_no_others(clip, tmp_path):
    lists = {
        "list.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
        "concat.mkv": f"ffconcat version 1.0\nfile {clip}\n",
        "session.mov": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(VideoError, match=f"{name} gives no pictures"):
            open_clip(tmp_path / name)


def test_what_is_no_clip(clip, tmp_path):
    (tmp_path / "text.mp4").write_text("no clip")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "page.mp4").write_text("<!doctype html>")
    (tmp_path / "pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1")
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.mp4", "jpeg")
    os.mkfifo(tmp_path / "pipe.mp4")
    index = clip.read_bytes().index(b"moov")
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:index])
    with av.open(str(tmp_path / "sound.mp4"), "w") as output:
        track = output.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
        frame.rate, frame.pts = 48_000, 0
        output.mux([*track.encode(frame), *track.encode(None)])
    for name, says in {
        "text.mp4": r"text\.mp4 gives no pictures: check that it is a clip",
        "empty.mp4": "is empty: copy it again",
        "pipe.mp4": "is no file: save the clip as one first",
        "page.mp4": "is a web page: save",
        "pointer.mp4": "is a Git LFS pointer, not the file itself: fetch it with git lfs pull",
        "photo.mp4": "is a picture: give it the suffix of one",
        "cut.mp4": r"its index \(moov\) is missing",
        "sound.mp4": "holds no moving pictures",
        "none.mp4": "There is no file .*none.mp4: check the path",
    }.items():
        with pytest.raises(VideoError, match=says):
            open_clip(tmp_path / name)
    with pytest.raises(VideoError, match="camera 77 gives no pictures"):
        Camera("77")


# Interruptions


def stop_at(frames: int):
    def on_frame(done: int) -> None:
        if done == frames:
            raise KeyboardInterrupt

    return on_frame


def test_ctrl_c_leaves_a_clip_that_plays(tmp_path):
    path = write_clip(tmp_path / "in.mp4", panned(), sounds=[("aac", 0, 0.7)])
    with pytest.raises(KeyboardInterrupt):
        paint(path, tmp_path / "out.mp4", negative, on_frame=stop_at(3))
    assert len(frames_of(tmp_path / "out.mp4")) == 3
    assert sound_of(tmp_path / "out.mp4")[0][2] == pytest.approx(3 / float(RATE), abs=0.05)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("steady", [False, True])
def test_an_interrupted_clip_goes_on(tmp_path, steady):
    path = write_clip(tmp_path / "in.mp4", panned() * 13, sounds=[("aac", 0, 9)])
    counted: list[int] = []

    def shifted(frame):
        counted.append(1)
        return negative(frame)

    paint(path, tmp_path / "whole.mp4", negative, steady=steady, measure=steady)
    for stop in (3, 70):
        with pytest.raises(KeyboardInterrupt):
            paint(
                path, tmp_path / "out.mp4", shifted, steady=steady, measure=steady, resume=True, on_frame=stop_at(stop)
            )
    done = paint(path, tmp_path / "out.mp4", shifted, steady=steady, measure=steady, resume=True)
    assert done.frames == len(counted) == 117
    assert times_of(tmp_path / "out.mp4") == times_of(tmp_path / "whole.mp4")
    assert sound_of(tmp_path / "out.mp4") == sound_of(tmp_path / "whole.mp4")
    for one, other in zip(frames_of(tmp_path / "out.mp4"), frames_of(tmp_path / "whole.mp4")):
        assert np.abs(one.astype(int) - other).mean() < 4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "whole.mp4"]


def test_only_the_same_painting_goes_on(clip, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        paint(clip, tmp_path / "out.mp4", request={"strength": 1}, on_frame=stop_at(3))
    with pytest.raises(VideoError, match=r"out\.mp4 was begun .* with other options: leave --resume out"):
        paint(clip, tmp_path / "out.mp4", request={"strength": 0.5}, resume=True)
    assert paint(clip, tmp_path / "out.mp4", request={"strength": 0.5}).frames == FRAMES  # begins anew
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.slow
def test_a_killed_painting_goes_on(tmp_path, published):
    path = write_clip(tmp_path / "in.mp4", panned() * 20, rate=Fraction(10))
    words = [
        sys.executable,
        str(ROOT / "infer.py"),
        path,
        "--model",
        published,
        "--stage",
        "0",
        "-o",
        tmp_path / "out.mp4",
    ]
    started = subprocess.Popen([str(word) for word in words], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".e2e-art-*/*.json")) and time.monotonic() < until and started.poll() is None:
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert not (tmp_path / "out.mp4").exists()
    done = process(*words[1:], "--resume")
    assert done.returncode == 0, done.stderr
    assert b"out.mp4: 180 frames of 128x96 at 10 a second" in done.stderr
    assert len(frames_of(tmp_path / "out.mp4")) == 180
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_a_painter_that_fails_leaves_nothing(clip, tmp_path):
    def fails(frame):
        raise MemoryError

    with pytest.raises(MemoryError):
        paint(clip, tmp_path / "out.mp4", fails)
    assert list(tmp_path.iterdir()) == []


# Steadiness


def test_motion_finds_where_things_were():
    before, _, _, now = panned()[:4]  # nine pixels to the left
    moved = motion(before, now)
    assert moved.reliable[:, :-16].mean() > 0.8
    assert not moved.reliable[:, -3:].any()  # came into view
    warped = moved.warp(before)
    assert np.abs(warped.astype(int) - now)[moved.reliable].mean() < 2
    assert np.abs(before.astype(int) - now)[moved.reliable].mean() > 4


def test_flicker_by_hand():
    frame = panned()[0]
    still = motion(frame, frame)
    gray = np.full_like(frame, 100)
    assert still.reliable.all()
    assert flicker(still, gray, gray) == 0
    assert flicker(still, gray, gray + 3) == pytest.approx(9, abs=0.01)
    before, now = panned()[:2]
    moved = motion(before, now)
    assert flicker(moved, negative(before), negative(now)) < 40  # a painting that moves as the clip does
    assert flicker(moved, gray, gray + 3) == pytest.approx(9, abs=0.01)


def test_nothing_can_be_followed_in_what_is_too_small_or_all_new():
    tiny = np.zeros((8, 8, 3), np.uint8)
    assert motion(tiny, tiny).reliable.all()
    assert flicker(motion(tiny, tiny + 255), tiny, tiny + 9) == 0.0


def test_enlarged_pictures_move_as_the_frames_do():
    picture = np.ascontiguousarray(data.astronaut()[:200, :240])
    later = np.roll(picture, 8, axis=1)
    before, now = (cv2.resize(each, (60, 50), interpolation=cv2.INTER_AREA) for each in (picture, later))
    moved = motion(before, now)
    grown = moved.at(200, 240)
    assert moved.at(50, 60) is moved
    assert grown.columns.shape == grown.rows.shape == grown.reliable.shape == (200, 240)
    assert np.median(np.arange(240) - grown.columns) == pytest.approx(8, abs=1)
    warped = grown.warp(picture)[40:160, 60:200].astype(int)
    still = np.abs(picture.astype(int) - later)[40:160, 60:200].mean()
    assert np.abs(warped - later[40:160, 60:200]).mean() < 0.5 * still


def test_steady_clips_flicker_less(clip, tmp_path):
    random = np.random.RandomState(0)

    def shimmering(frame):
        return np.clip(frame + random.normal(0, 20, frame.shape), 0, 255).astype(np.uint8)

    plain = paint(clip, tmp_path / "plain.mp4", shimmering, measure=True)
    steady = paint(clip, tmp_path / "steady.mp4", shimmering, measure=True, steady=True)
    assert plain.flicker == pytest.approx(2 * 20**2, rel=0.3)
    assert steady.flicker < plain.flicker / 4
    assert plain.flicker_of_clip == steady.flicker_of_clip < 40


def test_steady_clips_keep_their_strokes(clip, tmp_path):
    noise = np.random.RandomState(0).randint(-40, 40, (*SIZE, 3))  # strokes that stay where they are on the screen

    def rough(frame: np.ndarray) -> np.ndarray:
        return np.clip(frame.astype(int) // 2 + 64 + noise, 0, 255).astype(np.uint8)

    def strokes(path) -> float:
        last = frames_of(path)[-1].astype(np.float32)
        return (last - cv2.GaussianBlur(last, (0, 0), 2)).std()

    paint(clip, tmp_path / "plain.avi", rough)
    paint(clip, tmp_path / "steady.avi", rough, steady=True)
    assert strokes(tmp_path / "steady.avi") > 0.85 * strokes(tmp_path / "plain.avi")


# The command


def test_a_clip_through_the_command(clip, published, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    words = ["infer", clip, "--model", published, "-o", out]
    assert main([*map(str, words), "--flicker"]) == 0
    said = capsys.readouterr()
    assert f"{FRAMES} frames of {SIZE[1]}x{SIZE[0]} at 12.5 a second, without sound" in said.err
    assert said.out.startswith("flicker: ")
    assert len(frames_of(out)) == FRAMES
    before, after = frames_of(clip)[0], frames_of(out)[0]
    assert np.abs(before.astype(int) - after).mean() > 5
    assert main([str(word) for word in words]) == 2
    assert "exists: choose another -o, or add --overwrite" in capsys.readouterr().err


def test_what_a_clip_says_of_itself_travels(tmp_path, published):
    said = {"title": "A walk", "location": "+48.1000+011.5000/", "creation_time": "2021-05-01T12:00:00.000000Z"}
    for suffix in (".mp4", ".mkv"):
        path, out = write_clip(tmp_path / f"in{suffix}", panned()[:2]), tmp_path / f"out{suffix}"
        with av.open(str(path)) as source, av.open(str(tmp_path / f"told{suffix}"), "w") as told:
            told.metadata.update(said)
            copied = told.add_stream_from_template(source.streams.video[0])
            for packet in source.demux():
                if packet.size:
                    packet.stream = copied
                    told.mux(packet)
        words = ["infer", str(tmp_path / f"told{suffix}"), "--model", str(published), "--stage", "0", "-o", str(out)]
        for flags, expected in (([], said), (["--strip", "--overwrite"], {})):
            assert main([*words, *flags]) == 0
            with av.open(str(out)) as painted:
                tags = {key.lower(): value for key, value in painted.metadata.items()}
            assert {key: tags[key] for key in said if key in tags} == expected


def test_clips_tell_programs(clip, published, tmp_path, capsys):
    words = ["infer", str(clip), "--model", str(published), "--stage", "0", "--json", "-o", str(tmp_path / "out.mp4")]
    assert main([*words, "--flicker"]) == 0
    (entry,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert entry.pop("seconds") > 0 and entry.pop("flicker") > 0 and entry.pop("flicker_of_clip") > 0
    assert entry == {
        "in": str(clip), "out": str(tmp_path / "out.mp4"), "model": published.name, "size": [SIZE[1], SIZE[0]],
        "skipped": None, "frames": FRAMES, "frames_of_clip": FRAMES, "sound_tracks": 0,
    }  # fmt: skip
    (tmp_path / "text.mp4").write_text("no clip")
    assert main(["infer", str(tmp_path / "text.mp4"), *words[2:], "--overwrite"]) == 2
    (entry,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert entry["skipped"].endswith("text.mp4 gives no pictures: check that it is a clip") and entry["size"] is None


def test_warnings_stand_on_lines_of_their_own(published, tmp_path):
    parts = [write_clip(tmp_path / f"{n}.ts", [quartered(48 * n, 64 * n)] * 2) for n in (1, 2)]
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    done = process("infer.py", tmp_path / "both.ts", "--model", published, "--stage", "0", "-o", tmp_path / "out.mp4")
    lines = done.stderr.decode().replace("\r", "\n").split("\n")
    assert f"{tmp_path / 'both.ts'} changes its size: frames are scaled to the first" in lines


@pytest.mark.browser
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_clips_play_in_a_browser(request, tmp_path, suffix):
    page = request.getfixturevalue("browser").new_page()
    path = write_clip(tmp_path / "in.mov", panned()[:5], rate=Fraction(5), sounds=[("pcm_s16le", 0, 1)])
    paint(path, tmp_path / f"out{suffix}")
    played = page.evaluate(
        """content => new Promise(resolve => {
            const video = document.createElement("video");
            const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0));
            video.muted = true;
            video.onerror = () => resolve(video.error.message);
            video.onended = () => resolve([video.videoWidth, video.videoHeight, video.duration]);
            video.src = URL.createObjectURL(new Blob([bytes]));
            video.play();
        })""",
        base64.b64encode((tmp_path / f"out{suffix}").read_bytes()).decode(),
    )
    assert played == [SIZE[1], SIZE[0], pytest.approx(1, abs=0.05)]
    page.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{clip}"], "A clip is read from a file and written to one"),
        (["{clip}", "-o", "-"], "A clip is read from a file and written to one"),
        (["-", "-o", "{out}.mp4"], "A clip is read from a file and written to one"),
        (["{clip}", "-o", "{clip}", "--overwrite"], "is the clip itself, which --overwrite does not replace"),
        (["{clip}", "-o", "{out}.jpg"], "x.jpg is no clip's name: choose one ending in .mp4"),
        (["{clip}", "-o", "{out}.WMV"], "x.WMV can be read, but not written: choose one ending in .mp4"),
        (["{clip}", "{clip}", "-o", "{out}"], "One clip at a time"),
        (["--camera", "--resume", "-o", "{out}.mp4"], "--resume is for clips"),
        (["{clip}", "photo.jpg", "-o", "{out}.mp4"], "One clip at a time"),
        (["--camera", "-o", "{out}.mp4", "{clip}"], "leave it out for the camera"),
        (["{clip}", "--stages", "-o", "{out}.mp4"], "--stages is for photos"),
        (["--camera", "77", "-o", "{out}.mp4"], "camera 77 gives no pictures"),
        (["{out}.mp4", "-o", "{out}.avi"], "There is no file"),
    ],
)
def test_clips_that_are_refused(clip, published, tmp_path, capsys, words, says):
    places = {"clip": clip, "out": tmp_path / "x"}
    assert main(["infer", "--model", str(published), *(word.format(**places) for word in words)]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_for_drawings_paints_no_clips(clip, tmp_path, capsys):
    assert main(["infer", str(clip), "--model", "monet", "-o", str(tmp_path / "x.mp4")]) == 2
    assert "monet paints drawings, not clips: choose another --model" in capsys.readouterr().err


@pytest.mark.parametrize(("suffix", "limit"), [(".mp4", 2000), (".avi", 2000), (".avi", 20_000)])
def test_a_full_disk(clip, published, tmp_path, suffix, limit):
    words = ["infer.py", clip, "--model", published, "-o", tmp_path / f"out{suffix}"]
    done = on_full_disk(limit, *words)
    assert done.returncode == 2
    assert b"could not be written whole" in done.stderr and b"free space, or choose another -o" in done.stderr
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
