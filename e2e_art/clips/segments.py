"""A long clip in segments, in a hidden folder beside its file, so that what is painted outlives an interruption."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_atomically
from .formats import VideoError
from .writer import Encoder, Plan

__all__ = ["Segments", "is_part"]

FRAMES = 50  # of a segment
REQUEST, PART = "request.json", "part.json"


class Segments:
    """The finished segments of a clip that is being painted, and one that is being written.

    target: the file that they will be.  request: what was asked for; only the same one can be resumed.
    state: what was done at the end of the last finished segment, as given to `finish`; None at the beginning.
    """

    def __init__(self, target: Path, plan: Plan, request: Mapping[str, Any], resume: bool):
        self.folder = _folder(target)
        self._plan = plan
        self._encoder: Encoder | None = None
        self.state: dict[str, Any] | None = None
        self.pictures: tuple[np.ndarray, ...] = ()
        wanted = json.loads(json.dumps(dict(request)))
        if not resume:
            self.remove()
        elif self.folder.exists() and _read(self.folder / REQUEST) not in (None, wanted):
            raise VideoError(f"{target} was begun from another clip, or with other options: leave --resume out")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / REQUEST, json.dumps(wanted).encode())
        self.paths: list[Path] = []
        while (state := _read(self._path(".json"))) is not None and self._path(".nut").exists():
            self.state = state
            self.paths.append(self._path(".nut"))
        if self.paths and (kept := self.paths[-1].with_suffix(".npz")).exists():
            with np.load(kept) as arrays:
                self.pictures = arrays["frame"], arrays["painting"]

    def write(self, picture: np.ndarray, tick: int) -> None:
        """Writes a painted frame, (H, W, 3), into the segment that is being written."""
        if self._encoder is None:
            self._encoder = Encoder(self._path(".part"), self._plan)
        self._encoder.write(picture, tick)

    def finish(self, state: Mapping[str, Any], pictures: tuple[np.ndarray, ...]) -> None:
        """Ends a segment.  pictures: the last frame and its painting, where the next one needs them."""
        if self._encoder is None:
            return
        self._encoder.close()
        self._encoder = None
        if pictures:
            file = io.BytesIO()
            np.savez(file, frame=pictures[0], painting=pictures[1])
            write_atomically(self._path(".npz"), file.getvalue())
        os.replace(self._path(".part"), self._path(".nut"))
        write_atomically(self._path(".json"), json.dumps(dict(state)).encode())
        if self.paths:
            self.paths[-1].with_suffix(".npz").unlink(missing_ok=True)
        self.paths.append(self._path(".nut"))

    def note_part(self, target: Path) -> None:
        """Notes that a file is what was painted so far, so that `is_part` knows it."""
        write_atomically(self.folder / PART, json.dumps(_marks(target)).encode())

    def remove(self) -> None:
        """Takes all of it away."""
        if self._encoder is not None:
            self._encoder.abandon()
            self._encoder = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{len(self.paths):06}{suffix}"


def is_part(target: Path) -> bool:
    """Says whether a file is what an interrupted painting left, which `Segments` can resume."""
    return target.is_file() and _read(_folder(target) / PART) == _marks(target)


def _folder(target: Path) -> Path:
    return target.with_name(f".e2e-art-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}")


def _marks(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _read(path: Path) -> Any:
    """Returns what a JSON file holds; None where there is none, or a broken one."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
