"""The stream of training crops: endless, seeded, resumable, and patient with a few broken photos."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from e2e_art.data import listing, photos
from e2e_art.data.listing import PhotoError, list_photos
from e2e_art.data.photos import Photos, PhotoStream


def save(path: Path, array, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Twelve real photos, small, in a tree as MIT Places has it."""
    sources = (data.astronaut(), data.coffee(), data.rocket(), data.chelsea())
    for number in range(12):
        top, left = 10 * number, 5 * number
        crop = sources[number % 4][top : top + 120, left : left + 160]
        save(tmp_path / "photos" / "ab"[number % 2] / f"class {number % 3}" / f"{number:04}.jpg", crop)
    return tmp_path / "photos"


def age(folder: Path) -> None:
    """Gives all folders a modification time that lies long enough ago to be trusted."""
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        os.utime(path, (10**9, 10**9))


def take(stream: PhotoStream, count: int) -> np.ndarray:
    with stream:
        return np.concatenate(list(islice(stream, count)))


# Listing


def test_the_list_is_sorted_and_relative(folder):
    (folder / "notes.txt").touch()
    (folder / ".hidden.jpg").touch()
    (folder / "a" / "loop").symlink_to(folder)
    found = list_photos(folder)
    assert len(found) == 12
    assert found == sorted(found)
    assert found[0] == "a/class 0/0000.jpg"
    assert list_photos(folder) == found


def test_the_cache_is_used_and_refreshed(folder, monkeypatch):
    age(folder)
    found = list_photos(folder)
    searched = []
    search = listing._list_folder
    monkeypatch.setattr(listing, "_list_folder", lambda path, modified: searched.append(path) or search(path, modified))
    assert list_photos(folder) == found
    assert [Path(path) for path in searched] == [folder]  # only the folder that holds the cache
    save(folder / "b" / "class 1" / "new.png", data.chelsea()[:9, :9])
    save(folder / "c" / "newer.png", data.chelsea()[:9, :9])
    assert list_photos(folder) == sorted([*found, "b/class 1/new.png", "c/newer.png"])
    (folder / "b" / "class 1" / "new.png").unlink()
    shutil.rmtree(folder / "a")
    assert list_photos(folder) == [name for name in [*found, "c/newer.png"] if name.startswith(("b", "c"))]


def test_a_folder_that_just_changed_is_searched_again(folder):
    list_photos(folder)
    status = os.stat(folder / "a" / "class 0")
    save(folder / "a" / "class 0" / "zzz.jpg", data.chelsea()[:9, :9])
    os.utime(folder / "a" / "class 0", ns=(status.st_atime_ns, status.st_mtime_ns))  # as within one tick of the clock
    assert "a/class 0/zzz.jpg" in list_photos(folder)


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"version": 99}', '{"version": 1, "folders": {"a/": '])
def test_a_broken_cache_is_ignored(folder, content):
    found = list_photos(folder)
    (folder / ".e2e-art-photos.json").write_text(content)
    assert list_photos(folder) == found


def test_where_no_cache_can_be_written_there_is_none(folder, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(listing, "write_atomically", fail)
    assert len(list_photos(folder)) == 12
    assert not (folder / ".e2e-art-photos.json").exists()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_names_that_are_no_text(folder):
    os.makedirs(os.fsencode(folder) + b"/caf\xe9")
    shutil.copy(folder / "a" / "class 0" / "0000.jpg", os.fsencode(folder) + b"/caf\xe9/line\nbreak \xff.jpg")
    age(folder)
    found = list_photos(folder)
    assert len(found) == 13
    assert list_photos(folder) == found
    assert json.loads((folder / ".e2e-art-photos.json").read_bytes())["version"] == 2
    assert take(PhotoStream(Photos(folder), 8, batch=13), 1).shape == (13, 8, 8, 3)


def test_a_list_file(folder, tmp_path):
    names = tmp_path / "train.txt"
    names.write_text(
        f"a/class 0/0000.jpg 0\n/b/class 1/0001.jpg 365\n\na/class 2/0002.jpg\n{folder}/b/class 0/0003.jpg 1 2\r\n"
        "a/class 0/0000.jpg 0\n# a comment\nb/my photo.jpg copy 1.JPEG 7\n"
    )
    assert list_photos(folder, names) == [
        "a/class 0/0000.jpg",
        "a/class 2/0002.jpg",
        "b/class 0/0003.jpg",
        "b/class 1/0001.jpg",
        "b/my photo.jpg copy 1.JPEG",
    ]
    names.write_text("b/class 1/0001.jpg 3\n")
    with PhotoStream(Photos(folder, list_file=names), 16) as stream:
        assert stream.photos.names == ["b/class 1/0001.jpg"]
        assert next(stream).shape == (1, 16, 16, 3)


def test_nothing_to_list_is_said_in_one_sentence(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("c/0001.jpg 0\nhello\n")
    for arguments, sentence in [
        ((tmp_path / "missing",), f"{tmp_path}/missing does not exist: give the folder that holds the photos"),
        ((tmp_path / "list.txt",), f"{tmp_path}/list.txt is a file: give the folder that holds the photos"),
        (
            (tmp_path / "empty",),
            f"{tmp_path}/empty holds no photos: put .jpg or .png files into it, or into folders in it",
        ),
        (
            (folder, tmp_path / "list.txt"),
            f"{tmp_path}/list.txt names no photo that is in {folder}: give paths relative to that folder",
        ),
        (
            (folder, tmp_path / "lost.txt"),
            f"{tmp_path}/lost.txt cannot be read (No such file or directory): give a text file of photo paths",
        ),
    ]:
        with pytest.raises(PhotoError) as error:
            list_photos(*arguments)
        assert str(error.value) == sentence


# Crops


def test_crops_have_the_promised_form(folder):
    with PhotoStream(Photos(folder), 32, batch=3) as stream:
        assert iter(stream) is stream
        crops = next(stream)
        assert crops.shape == (3, 32, 32, 3)
        assert crops.dtype == np.uint8
        assert stream.position == 3
        assert stream.photos.skipped == {}
    assert list(stream) == []  # closed


def test_the_seed_decides(folder):
    first = take(PhotoStream(Photos(folder, seed=7), 24, batch=2), 20)
    assert np.array_equal(take(PhotoStream(Photos(folder, seed=7), 24, batch=2), 20), first)
    assert not np.array_equal(take(PhotoStream(Photos(folder, seed=8), 24, batch=2), 20), first)
    assert len({crop.tobytes() for crop in first}) == 40  # no crop comes twice in three epochs


def test_resume_equals_uninterrupted(folder):
    whole = take(PhotoStream(Photos(folder, seed=1), 24, batch=5), 8)
    with PhotoStream(Photos(folder, seed=1), 24, batch=5) as stream:
        begun = [next(stream) for _ in range(3)]
    resumed = take(PhotoStream(Photos(folder, seed=1), 24, batch=5, position=stream.position), 5)
    assert np.array_equal(np.concatenate([*begun, resumed]), whole)
    assert np.array_equal(take(PhotoStream(Photos(folder, seed=1), 24, batch=1), 40), whole)


def test_one_worker_equals_three(folder):
    (folder / "a" / "class 0" / "0000.jpg").write_bytes(b"broken")
    one = take(PhotoStream(Photos(folder), 24, batch=4, workers=1), 10)
    assert np.array_equal(take(PhotoStream(Photos(folder), 24, batch=4, workers=3), 10), one)
    with PhotoStream(Photos(folder), 24, batch=4, position=20) as resumed:  # that knows of no broken photo yet
        assert np.array_equal(np.concatenate([next(resumed) for _ in range(5)]), one[20:])


def test_an_epoch_shows_every_photo_once(tmp_path):
    for shade in range(0, 250, 10):
        save(tmp_path / f"{shade}.png", np.full((20, 30, 3), shade))
    crops = take(PhotoStream(Photos(tmp_path), 8, batch=5), 15)
    assert (crops == crops[:, :1, :1, :1]).all()
    orders = crops[:, 0, 0, 0].reshape(3, 25).tolist()
    for order in orders:
        assert sorted(order) == list(range(0, 250, 10))
    assert orders[0] != orders[1] != orders[2]


def test_limit_samples_by_the_seed(folder):
    names = Photos(folder, limit=5, seed=3).names
    assert len(names) == 5
    assert names == Photos(folder, limit=5, seed=3).names == sorted(names)
    assert names != Photos(folder, limit=5, seed=4).names
    assert Photos(folder, limit=500).names == list_photos(folder)


def test_crops_vary_in_place_scale_and_side(tmp_path, monkeypatch):
    monkeypatch.setattr(PhotoStream, "scales", (1.0, 2.0))
    slope = np.zeros((100, 200, 3))
    slope[..., 0] = np.arange(200)  # the value tells where a pixel was
    slope[..., 1] = np.arange(100)[:, np.newaxis]
    save(tmp_path / "slope.png", slope)
    crops = take(PhotoStream(Photos(tmp_path), 50), 200).astype(int)
    width = crops[:, 25, -1, 0] - crops[:, 25, 0, 0]
    assert 0.3 < (width < 0).mean() < 0.7  # flipped
    assert 48 <= np.abs(width).min() < 56  # scale 2 shows 50 of 100 rows
    assert 90 < np.abs(width).max() <= 99  # scale 1 shows them all
    assert crops[..., 0].min() < 10
    assert crops[..., 0].max() > 189
    assert crops[..., 1].min() < 5
    assert crops[..., 1].max() > 94


def test_small_photos_are_scaled_up_and_large_ones_down(tmp_path):
    save(tmp_path / "dot.png", [[[200, 100, 50]]])
    save(tmp_path / "large.jpg", np.full((900, 1500, 3), (200, 100, 50)), quality=100)
    for crop in take(PhotoStream(Photos(tmp_path), 64), 4):
        assert np.abs(crop.astype(int) - (200, 100, 50)).max() <= 3


def test_photos_are_upright_and_of_any_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "SCALES", (1.0, 1.0))
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[:30] = 255  # the sky is above ...
    for turn, orientation in ((1, 6), (2, 3), (3, 8)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(tmp_path / f"{orientation}.jpg", np.rot90(picture, turn), exif=exif)
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "inks.jpg")
    Image.fromarray(picture).convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(picture[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for crop in take(PhotoStream(Photos(tmp_path), 30), 12):
        assert crop[:12].min() > 240  # ... in every crop
        assert crop[-12:].max() < 15


# Broken photos


def test_one_broken_photo_among_many_is_skipped_logged_once_and_counted(tmp_path, caplog):
    for number in range(40):
        save(tmp_path / f"{number:02}.jpg", data.chelsea()[:40, number : number + 40])
    whole = (tmp_path / "05.jpg").read_bytes()
    (tmp_path / "05.jpg").write_bytes(whole[: len(whole) // 2])
    with PhotoStream(Photos(tmp_path), 16, batch=4, workers=2) as stream:
        for _ in range(30):
            next(stream)
        assert list(stream.photos.skipped) == ["05.jpg"]
        assert "05.jpg is damaged or cut short" in stream.photos.skipped["05.jpg"]
    assert caplog.text.count("05.jpg") == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def broken(folder: Path, count: int, bad: int) -> Path:
    """Writes photos, some of which are none, among the others."""
    for number in range(count):
        save(folder / f"{number:02}.png", data.chelsea()[:10, number : number + 10])
    for number in [*range(0, count, 2), *range(1, count, 2)][:bad]:
        (folder / f"{number:02}.png").write_bytes(b"broken")
    return folder


@pytest.mark.parametrize(("count", "bad"), [(100, 50), (24, 12), (30, 30), (3, 3), (1, 1)])
def test_many_broken_photos_end_the_stream_with_a_sentence(tmp_path, count, bad):
    with PhotoStream(Photos(broken(tmp_path, count, bad)), 8) as stream, pytest.raises(PhotoError) as error:
        for _ in range(10 * count):
            next(stream)
    pattern = (
        rf"{tmp_path}: \d+ of the \d+ photos tried cannot be read, remove them or copy them again \(the first: .*\)"
    )
    assert re.fullmatch(pattern, str(error.value))


@pytest.mark.parametrize(("count", "bad"), [(10, 5), (4, 2), (3, 2), (2, 1), (19, 18)])
def test_of_few_photos_one_is_enough(tmp_path, caplog, count, bad):
    photos = Photos(broken(tmp_path, count, bad))
    for position in (0, 40):  # as two stages of a training
        with PhotoStream(photos, 8, batch=8, position=position) as stream:
            for _ in range(5):
                assert next(stream).shape == (8, 8, 8, 3)
    assert len(photos.skipped) == bad == len(caplog.records)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"batch": 0},
        {"workers": 0},
        {"position": -1},
    ],
)
def test_senseless_options_are_refused(folder, options):
    with pytest.raises(PhotoError, match="must be 1 or more"):
        PhotoStream(Photos(folder), **{"size": 8, **options})


@pytest.mark.parametrize("options", [{"limit": 0}, {"seed": -1}])
def test_senseless_choices_are_refused(folder, options):
    with pytest.raises(PhotoError, match="must be 1 or more"):
        Photos(folder, **options)


# Threads


def test_an_exception_in_a_worker_reaches_the_consumer(folder, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("in a worker")

    monkeypatch.setattr(photos, "read_image", fail)
    with PhotoStream(Photos(folder), 8, workers=2) as stream:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError, match="in a worker"):
                next(stream)
        assert stream.position == 0


def workers_alive() -> int:
    return sum(thread.name.startswith(PhotoStream.__name__) for thread in threading.enumerate())


def until(condition) -> bool:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_workers_end_with_their_stream(folder):
    before = workers_alive()
    with PhotoStream(Photos(folder), 8, batch=3, workers=3) as stream:
        next(stream)
        assert before < workers_alive() <= before + 3
    assert until(lambda: workers_alive() == before)
    forgotten = PhotoStream(Photos(folder), 8, workers=3)
    next(forgotten)
    del forgotten
    assert until(lambda: workers_alive() == before)


def test_as_many_workers_as_it_takes(folder, monkeypatch):
    """One where the crops are ready in time; one more with each batch that is waited for, up to the cores."""
    monkeypatch.setattr("e2e_art.data.stream.cores", lambda: 3)
    one = take(PhotoStream(Photos(folder), 24, batch=4, workers=1), 10)
    before = workers_alive()
    with PhotoStream(Photos(folder), 24, batch=4) as stream:
        first = next(stream)
        for _ in range(4):
            assert until(lambda: all(item.done() for item in stream._pending))
            first = np.concatenate([first, next(stream)])
        assert workers_alive() == before + 1
        read = photos.read_image
        monkeypatch.setattr(photos, "read_image", lambda *path, **at: time.sleep(0.02) or read(*path, **at))
        crops = np.concatenate([first, *(next(stream) for _ in range(9))])
        assert workers_alive() == before + 3
    assert np.array_equal(crops[:40], one)


def test_only_a_few_batches_are_prepared(folder, monkeypatch):
    read, names = photos.read_image, []
    monkeypatch.setattr(photos, "read_image", lambda path, at_least: names.append(path) or read(path, at_least))
    with PhotoStream(Photos(folder), 8, batch=2) as stream:
        next(stream)
        assert until(lambda: len(names) == 8)
        time.sleep(0.1)
        assert len(names) == 8


def test_a_program_ends_without_close_once_the_crops_ahead_are_cut(tmp_path):
    for number in range(8):
        save(tmp_path / f"{number}.png", np.zeros((1500, 2000, 3)))
    script = f"""
import time
from e2e_art.data.photos import Photos, PhotoStream
stream = PhotoStream(Photos({str(tmp_path)!r}), 64, batch=2, workers=2)
next(stream)
print(time.time())
"""
    root = Path(photos.__file__).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert time.time() - float(answer.stdout) < 5
    assert answer.stderr == ""
