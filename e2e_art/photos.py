"""An endless, seeded, resumable stream of training crops.

Which photo crop number i shows, and which part of it, depends on the seed, on i and on the list of photos alone.
So one number, how many crops were delivered, resumes the stream exactly, whatever the number of workers.
"""

from __future__ import annotations

import json
import logging
import math
import os
import queue
import re
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np

from .errors import UserError
from .files import write_atomically
from .images import IMAGE_SUFFIXES, ImageError, read_image, resize

__all__ = ["PhotoError", "PhotoStream", "list_photos"]

log = logging.getLogger(__name__)

_CACHE_NAME = ".e2e-art-photos.json"
_CACHE_VERSION = 1
# A folder that changed a moment ago may change again without a new modification time.
_SETTLED_NANOSECONDS = 2 * 10**9

# A line of a list file: a path up to the last picture suffix, then perhaps labels.
_LIST_LINE = re.compile(rf"/*(.*(?:{'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES)))}))(?:\s.*)?", re.IGNORECASE)

# Each use of chance draws from its own generator, made from (seed, use, number).
_SAMPLE, _ORDER, _CROP = range(3)

_BATCHES_AHEAD = 3
_TOLERATED = 0.05
_FEW = 20


class PhotoError(UserError, ValueError):
    """The training photos cannot be found or read; the message names the path and the fix."""


def list_photos(folder: Path | str, list_file: Path | str | None = None, cache: bool = True) -> list[str]:
    """Lists the photos of a folder and of the folders in it, as sorted paths relative to the folder.

    list_file: takes the photos it names instead, one a line, as the lists of MIT Places do: "a/abbey/0001.jpg 0" or
    "/a/abbey/0001.jpg"; what follows the path is ignored.
    cache: keep what the subfolders hold in a file in the folder, so that only folders with a new modification time
    are searched again; where it cannot be written, nothing is kept.
    Raises PhotoError where there is nothing to list.
    """
    if not os.path.isdir(folder):
        fault = "is a file" if os.path.exists(folder) else "does not exist"
        raise PhotoError(f"{folder} {fault}: give the folder that holds the photos")
    if list_file is not None:
        return _read_list(folder, list_file)
    cache_file = Path(folder, _CACHE_NAME)
    known = _read_cache(cache_file) if cache else {}
    records = _search(folder, known)
    photos = sorted(relative + name for relative, record in records.items() for name in record["photos"])
    if not photos:
        raise PhotoError(f"{folder} holds no photos: put .jpg or .png files into it, or into folders in it")
    del records[""]  # the folder itself changes with its cache, and is searched every time
    if cache and records != known:
        try:
            write_atomically(cache_file, json.dumps({"version": _CACHE_VERSION, "folders": records}).encode())
        except OSError as error:
            log.debug("%s was not written: %s", cache_file, error)
    return photos


def _search(folder: Path | str, known: dict[str, dict]) -> dict[str, dict]:
    """Returns what each folder holds by its relative path ("" or "a/abbey/"), taken from `known` where unchanged.

    Links are followed, and each folder is entered once, so that loops end.
    """
    records, entered, waiting = {}, set(), [""]
    while waiting:
        relative = waiting.pop()
        path = os.path.join(folder, relative)
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            record = known.get(relative)
            if record is None or record["modified"] != status.st_mtime_ns:
                record = _list_folder(path, status.st_mtime_ns)
        except OSError as error:
            log.warning("%s was left out: %s", path, error.strerror)
            record = {"modified": 0, "folders": [], "photos": []}
        records[relative] = record
        waiting += [f"{relative}{name}/" for name in reversed(record["folders"])]
    return records


def _list_folder(path: str, modified: int) -> dict:
    """Lists one folder; a modification time of 0, which no folder has, means that it must be searched again."""
    settled = modified < time.time_ns() - _SETTLED_NANOSECONDS
    folders, photos = [], []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:
                photos.append(entry.name)
    return {"modified": modified if settled else 0, "folders": sorted(folders), "photos": sorted(photos)}


def _read_cache(path: Path) -> dict[str, dict]:
    try:
        content = json.loads(path.read_bytes())
        return content["folders"] if content["version"] == _CACHE_VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _read_list(folder: Path | str, list_file: Path | str) -> list[str]:
    prefix = os.path.join(os.path.abspath(folder), "")
    try:
        with open(list_file, encoding="utf-8", errors="surrogateescape") as file:
            matches = [_LIST_LINE.fullmatch(line.strip().removeprefix(prefix)) for line in file]
    except OSError as error:
        raise PhotoError(f"{list_file} cannot be read ({error.strerror}): give a text file of photo paths") from error
    photos = sorted({match.group(1) for match in matches if match})
    if not any(os.path.isfile(os.path.join(folder, photo)) for photo in photos):
        raise PhotoError(f"{list_file} names no photo that is in {folder}: give paths relative to that folder")
    return photos


class PhotoStream:
    """Random crops of random photos, batch after batch, without end: an iterator, and a context manager.

    folder, list_file: as in list_photos.
    size: the side of the crops, in pixels.  batch: how many crops at a time.
    seed: an integer of 0 or more.  limit: draw only so many of the photos, chosen by the seed.
    position: how many crops were delivered before; the stream goes on from there, and counts on in `position`.
    workers: how many threads decode photos; they stay a few batches ahead.
    scale: the short edge of a photo is scaled to `size` times a number from this range; 1 is the largest crop.

    Yields uint8 RGB, (batch, size, size, 3).  Every photo is shown once, in an order drawn anew, before any is shown
    again.  A photo that cannot be read is replaced by another one, drawn by chance, logged once, and kept with the
    reason in `skipped`.  Raises PhotoError where there are fewer readable photos than `batch`, and where the
    unreadable ones are clearly more than 5 %: once 20 photos (or all of them) have been tried, that is more than 5 %
    of those tried, plus three standard deviations of what chance would make of a true 5 %.
    """

    def __init__(
        self,
        folder: Path | str,
        size: int,
        batch: int = 1,
        *,
        seed: int = 0,
        limit: int | None = None,
        list_file: Path | str | None = None,
        position: int = 0,
        workers: int = 1,
        scale: tuple[float, float] = (1.0, 1.25),
    ):
        if min(size, batch, workers, 1 if limit is None else limit) < 1 or min(seed, position) < 0:
            raise PhotoError("size, batch, workers and limit must be 1 or more, seed and position 0 or more")
        if not 1 <= scale[0] <= scale[1]:
            raise PhotoError(f"scale {scale} is no range from 1 upward: give two numbers, such as (1.0, 1.25)")
        self.folder = Path(folder)
        self.photos = list_photos(folder, list_file)
        if limit is not None and limit < len(self.photos):
            chosen = np.random.default_rng((seed, _SAMPLE, 0)).choice(len(self.photos), limit, replace=False)
            self.photos = [self.photos[index] for index in np.sort(chosen)]
        if len(self.photos) < batch:
            raise PhotoError(f"{folder} gives {len(self.photos)} photos for batches of {batch}: add photos")
        self.size, self.batch, self.seed, self.scale = size, batch, seed, scale
        self.skipped: dict[str, str] = {}
        self._tried = np.zeros(len(self.photos), bool)
        self._tried_count = 0
        self._lock = threading.Lock()  # guards the three above
        self.position = position
        self._epoch, self._order = -1, np.empty(0, np.int64)
        self._pending: deque[Future] = deque()  # the crops from `position` on
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        threads = [
            threading.Thread(target=_work, args=(self._tasks,), name="photos", daemon=True) for _ in range(workers)
        ]
        self._dismiss_workers = weakref.finalize(self, _dismiss, self._tasks, threads)  # at the program's end at last
        for thread in threads:
            thread.start()

    def __iter__(self) -> PhotoStream:
        return self

    def __next__(self) -> np.ndarray:
        if not self._dismiss_workers.alive:
            raise StopIteration
        while len(self._pending) < self.batch * (1 + _BATCHES_AHEAD):
            number = self.position + len(self._pending)
            future: Future = Future()
            self._tasks.put((future, self._crop, number, self._photo(number)))
            self._pending.append(future)
        crops = np.stack([future.result() for future in islice(self._pending, self.batch)])  # (batch, size, size, 3)
        for _ in range(self.batch):
            self._pending.popleft()
        self.position += self.batch
        return crops

    def __enter__(self) -> PhotoStream:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream, as soon as its workers have finished the photo in their hands."""
        for future in self._pending:
            future.cancel()
        self._pending.clear()
        self._dismiss_workers()

    def _photo(self, number: int) -> int:
        """Says which photo crop `number` shows, if it can be read."""
        epoch, place = divmod(number, len(self.photos))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng((self.seed, _ORDER, epoch)).permutation(len(self.photos))
        return int(self._order[place])

    def _crop(self, number: int, photo: int) -> np.ndarray:
        """Cuts crop `number` from a photo, or from another one if that cannot be read: (size, size, 3)."""
        random = np.random.default_rng((self.seed, _CROP, number))
        scale = random.uniform(*self.scale)
        across, down, flip = random.random(3)
        while (image := self._read(photo, math.ceil(scale * self.size))) is None:
            self._check_readable()
            photo = int(random.integers(len(self.photos)))
        height, width = image.shape[:2]
        side = max(1, round(min(height, width) / scale))  # in the photo's own pixels; resized once cut out
        top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
        crop = resize(image[top : top + side, left : left + side], self.size, self.size)
        return crop[:, ::-1] if flip < 0.5 else crop

    def _read(self, photo: int, edge: int) -> np.ndarray | None:
        """Reads a photo, its short edge no shorter than `edge` where it has so many pixels; None if it cannot."""
        name = self.photos[photo]
        if name in self.skipped:
            return None
        image = reason = None
        try:
            image = read_image(self.folder / name, at_least=edge)
        except ImageError as error:
            reason = str(error)
        with self._lock:
            if not self._tried[photo]:
                self._tried[photo] = True
                self._tried_count += 1
                if reason:
                    self.skipped[name] = reason
                    log.warning("Skipped a photo: %s", reason)
        return image

    def _check_readable(self) -> None:
        with self._lock:
            tried, skipped, total = self._tried_count, len(self.skipped), len(self.photos)
            first = next(iter(self.skipped.values()))
        doubt = 3 * math.sqrt(tried * _TOLERATED * (1 - _TOLERATED))
        too_many = tried >= min(_FEW, total) and skipped > tried * _TOLERATED + doubt
        if too_many or total - skipped < self.batch:
            raise PhotoError(
                f"{self.folder}: {skipped} of the {tried} photos tried cannot be read, remove them or copy them again "
                f"(the first: {first})"
            )


def _work(tasks: queue.SimpleQueue) -> None:
    """Does tasks until it meets None; keeps nothing of a task that is done, so that its stream can go."""
    while (task := tasks.get()) is not None:
        future, function, *arguments = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function(*arguments))
            except BaseException as error:  # the consumer raises it
                future.set_exception(error)
        del task, future, function, arguments


def _dismiss(tasks: queue.SimpleQueue, threads: list[threading.Thread]) -> None:
    """Drops the tasks that wait, and waits for those in work: a thread that outlives the program may crash it."""
    with suppress(queue.Empty):
        while True:
            tasks.get_nowait()
    for _ in threads:
        tasks.put(None)
    for thread in threads:
        if thread is not threading.current_thread():  # a worker may be the last to let go of a stream
            thread.join()
