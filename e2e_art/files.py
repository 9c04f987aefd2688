"""Files: where shipped ones lie, and how they appear, whole, by rename, or not at all."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["append_line", "pretrained_folder", "read_lines", "sha256_of", "write_atomically"]
__all__ += ["write_folder", "write_lines"]

_HERE, _RENAME_EXCHANGE = -100, 2  # AT_FDCWD and a flag of Linux's renameat2


def pretrained_folder() -> Path:
    """Returns the folder of what is shipped: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "pretrained"
    return installed if installed.is_dir() else package.parent / "pretrained"


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that at any moment there is either the old one or the whole new one.

    Makes the folders above it.  Raises OSError (full disk, no permission); then nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".e2e-art-{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder of files, in place of one that may be there: whoever looks sees the old or the whole new one.

    files: contents by path below the folder.  Makes the folders above it.  Raises OSError; then nothing has changed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
        temporary.chmod(0o755)
        if folder.exists():
            _exchange(temporary, folder)  # what is replaced goes last
        else:
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Gives two folders each other's names: in one step on Linux, elsewhere in three."""
    if sys.platform == "linux":
        rename = getattr(ctypes.CDLL(None), "renameat2", None)  # which few file systems do not know, such as NFS
        names = (_HERE, os.fsencode(one), _HERE, os.fsencode(other))
        if rename and rename(*names, _RENAME_EXCHANGE) == 0:
            return
    aside = one.with_name(f"{one.name}.old")
    os.replace(other, aside)
    try:
        os.replace(one, other)
    except OSError:
        os.replace(aside, other)
        raise
    os.replace(aside, one)


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a file, of any size, in hexadecimal digits; raises OSError where it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def append_line(path: Path, entry: dict) -> None:
    """Adds one line of JSON to a log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def write_lines(path: Path, entries: Iterable[dict]) -> None:
    """Writes a log anew, whole or not at all, one line of JSON an entry."""
    write_atomically(path, "".join(json.dumps(entry) + "\n" for entry in entries).encode())


def read_lines(path: Path) -> list[dict]:
    """Returns the entries of a log; a last line that a killed training left unfinished is passed over."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(ValueError):
            entries.append(json.loads(line))
    return entries
