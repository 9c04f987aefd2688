"""The pictures of a folder, and what else lies there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..errors import ImageError, plural
from .formats import IMAGE_SUFFIXES

__all__ = ["find_images", "list_images", "passed_over"]

_NAMED = 8  # suffixes of files that were passed over; others are counted


def list_images(folder: Path | str) -> list[Path]:
    """Lists the pictures of a folder and of the folders in it, sorted, as `find_images` does."""
    return find_images(folder)[0]


def find_images(folder: Path | str) -> tuple[list[Path], Counter[str]]:
    """Returns the pictures of a folder and of the folders in it, sorted, and how many other files, by their suffixes.

    Hidden files and folders are skipped; links are followed, and each folder is entered once, so that loops end.
    Raises ImageError where there is no such folder; an empty one gives an empty list.
    """
    if not os.path.isdir(folder):
        raise ImageError(f"{folder} is no folder: check the path")
    found, entered = [], set()
    others: Counter[str] = Counter()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            suffix = path.suffix.lower()
            if suffix not in IMAGE_SUFFIXES:
                others[suffix] += 1
            elif path.is_file():
                found.append(path)
    return sorted(found), others


def passed_over(others: Mapping[str, int]) -> str:
    """Says which files are no pictures, as "3 other files were passed over: .mp4, .psd"; nothing where there are none.

    others: how many files have a suffix, by suffix.
    """
    count = sum(others.values())
    if not count:
        return ""
    suffixes = sorted(suffix or "no suffix" for suffix, files in others.items() if files)
    named = ", ".join(suffixes[:_NAMED]) + (" and others" if len(suffixes) > _NAMED else "")
    return f"{plural(count, 'other file was', 'other files were')} passed over: {named}"
