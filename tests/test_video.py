"""Clips: painted frame by frame, in their own size and rate, whole or not at all; and how steady they are."""

import shutil
import subprocess

import cv2
import numpy as np
import pytest
from helpers import on_full_disk
from skimage import data

from e2e_art.commands.main import main
from e2e_art.painting.flow import flicker, motion
from e2e_art.painting.video import Clip, VideoError, paint_clip

SIZE = (96, 128)
FRAMES, RATE = 9, 12.5


def panned(step: int = 3) -> list[np.ndarray]:
    """The frames of a clip: a photo that moves to the left."""
    photo = data.astronaut()
    return [np.ascontiguousarray(photo[60:156, 150 + step * n : 278 + step * n]) for n in range(FRAMES)]


def write_clip(path, frames) -> None:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), RATE, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "pan.mp4"
    write_clip(path, panned())
    return path


def frames_of(path) -> list[np.ndarray]:
    opened = Clip(str(path))
    try:
        assert opened.rate == RATE and opened.size == SIZE
        return list(opened)
    finally:
        opened.close()


def negative(frame: np.ndarray) -> np.ndarray:
    return 255 - frame


# Reading and writing


def test_a_clip_is_painted_frame_by_frame_in_its_size_and_rate(clip, tmp_path):
    counted = []
    done = paint_clip(Clip(str(clip)), tmp_path / "new" / "out.mp4", negative, on_frame=counted.append)
    assert counted == list(range(1, FRAMES + 1))
    assert (done.frames, done.sound) == (FRAMES, False)
    for before, after in zip(frames_of(clip), frames_of(tmp_path / "new" / "out.mp4")):
        assert np.abs(negative(before).astype(int) - after).mean() < 6  # but for what compression takes
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.mp4"]


def test_ctrl_c_leaves_a_clip_that_plays(clip, tmp_path):
    def third(frames: int) -> None:
        if frames == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint_clip(Clip(str(clip)), tmp_path / "out.mp4", negative, on_frame=third)
    assert len(frames_of(tmp_path / "out.mp4")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_painter_that_fails_leaves_nothing(clip, tmp_path):
    def fails(frame):
        raise MemoryError

    with pytest.raises(MemoryError):
        paint_clip(Clip(str(clip)), tmp_path / "out.mp4", fails)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_clip(tmp_path):
    (tmp_path / "text.mp4").write_text("no clip")
    with pytest.raises(VideoError, match=r"text\.mp4 gives no pictures: check that it is a clip"):
        Clip(str(tmp_path / "text.mp4"))
    with pytest.raises(VideoError, match="There is no file .*none.mp4: check the path"):
        Clip(str(tmp_path / "none.mp4"))
    with pytest.raises(VideoError, match="camera 77 gives no pictures"):
        Clip(77)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg: sound is kept only where it is installed")
def test_the_sound_is_kept(clip, tmp_path):
    loud = tmp_path / "loud.mp4"
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={FRAMES / RATE}"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *tone, "-c:v", "copy", "-shortest", loud], check=True)
    assert paint_clip(Clip(str(loud)), tmp_path / "out.mp4", negative).sound
    probe = subprocess.run(["ffmpeg", "-i", tmp_path / "out.mp4"], capture_output=True, text=True).stderr
    assert "Audio:" in probe


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


def test_steady_clips_flicker_less(clip, tmp_path):
    random = np.random.RandomState(0)

    def shimmering(frame):
        return np.clip(frame + random.normal(0, 20, frame.shape), 0, 255).astype(np.uint8)

    plain = paint_clip(Clip(str(clip)), tmp_path / "plain.mp4", shimmering, measure=True)
    steady = paint_clip(Clip(str(clip)), tmp_path / "steady.mp4", shimmering, measure=True, steady=True)
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

    paint_clip(Clip(str(clip)), tmp_path / "plain.avi", rough)
    paint_clip(Clip(str(clip)), tmp_path / "steady.avi", rough, steady=True)
    assert strokes(tmp_path / "steady.avi") > 0.85 * strokes(tmp_path / "plain.avi")


# The command


def test_a_clip_through_the_command(clip, published, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    words = ["infer", clip, "--model", published, "-o", out]
    assert main([*map(str, words), "--flicker"]) == 0
    said = capsys.readouterr()
    assert f"{FRAMES} frames of {SIZE[1]}x{SIZE[0]} at {RATE} a second, without sound" in said.err
    assert said.out.startswith("flicker: ")
    assert len(frames_of(out)) == FRAMES
    before, after = frames_of(clip)[0], frames_of(out)[0]
    assert np.abs(before.astype(int) - after).mean() > 5
    assert main([str(word) for word in words]) == 2
    assert "exists: choose another -o, or add --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{clip}", "-o", "{out}.png"], "-o must be a clip's name, ending in .mp4"),
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


@pytest.mark.parametrize(("suffix", "limit"), [(".mp4", 2000), (".avi", 2000), (".avi", 20_000)])
def test_a_full_disk(clip, published, tmp_path, suffix, limit):
    words = ["infer.py", clip, "--model", published, "-o", tmp_path / f"out{suffix}"]
    done = on_full_disk(limit, *words)
    assert done.returncode == 2
    assert b"could not be written whole: free space, or choose another -o" in done.stderr
    assert list(tmp_path.iterdir()) == []
