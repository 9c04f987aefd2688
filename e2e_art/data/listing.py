"""The photos of a folder, in any tree of folders, or those that a list file names."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections import Counter
from pathlib import Path

from ..errors import UserError
from ..files import write_atomically
from ..images.io import IMAGE_SUFFIXES, passed_over

__all__ = ["PhotoError", "list_photos"]

log = logging.getLogger(__name__)

_CACHE_NAME = ".e2e-art-photos.json"
_CACHE_VERSION = 2
# A folder that changed a moment ago may change again without a new modification time.
_SETTLED_NANOSECONDS = 2 * 10**9

# A line of a list file: a path up to the last picture suffix, then perhaps labels.
_LIST_LINE = re.compile(rf"/*(.*(?:{'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES)))}))(?:\s.*)?", re.IGNORECASE)


class PhotoError(UserError, ValueError):
    """The training photos cannot be found or read; the message names the path and the fix."""


def list_photos(folder: Path | str, list_file: Path | str | None = None) -> list[str]:
    """Lists the photos of a folder and of the folders in it, as sorted paths relative to the folder.

    list_file: takes the photos it names instead, one a line, as the lists of MIT Places do: "a/abbey/0001.jpg 0" or
    "/a/abbey/0001.jpg"; what follows the path is ignored.
    What the subfolders hold is kept in a file in the folder, so that only folders with a new modification time are
    searched again; where it cannot be written, nothing is kept.
    Raises PhotoError where there is nothing to list.
    """
    if not os.path.isdir(folder):
        fault = "is a file" if os.path.exists(folder) else "does not exist"
        raise PhotoError(f"{folder} {fault}: give the folder that holds the photos")
    if list_file is not None:
        return _read_list(folder, list_file)
    cache_file = Path(folder, _CACHE_NAME)
    known: dict[str, dict] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no file, or a damaged one
        content = json.loads(cache_file.read_bytes())
        known = content["folders"] if content["version"] == _CACHE_VERSION else {}
    records = _search(folder, known)
    photos = sorted(relative + name for relative, record in records.items() for name in record["photos"])
    others: Counter[str] = Counter()
    for record in records.values():
        others.update(record["others"])
    said = passed_over(others)
    if not photos:
        found = f" ({said})" if said else ""
        raise PhotoError(f"{folder} holds no photos{found}: put .jpg or .png files into it, or into folders in it")
    if said:
        log.info("%s: %s", folder, said)
    del records[""]  # the folder itself changes with its cache, and is searched every time
    if records != known:
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
            record = {"modified": 0, "folders": [], "photos": [], "others": {}}
        records[relative] = record
        waiting += [f"{relative}{name}/" for name in reversed(record["folders"])]
    return records


def _list_folder(path: str, modified: int) -> dict:
    """Lists one folder; a modification time of 0, which no folder has, means that it must be searched again."""
    settled = modified < time.time_ns() - _SETTLED_NANOSECONDS
    folders, photos = [], []
    others: Counter[str] = Counter()
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
                continue
            suffix = os.path.splitext(entry.name)[1].lower()
            if suffix in IMAGE_SUFFIXES:
                photos.append(entry.name)
            else:
                others[suffix] += 1
    changed = modified if settled else 0
    return {"modified": changed, "folders": sorted(folders), "photos": sorted(photos), "others": dict(others)}


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
