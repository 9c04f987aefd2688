"""Files: where shipped ones lie; how they appear, whole, by rename, or not at all; how those of strangers are read."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from .errors import shortened

__all__ = ["Count", "FileName", "Measure", "Name", "Share", "Text", "append_line", "check", "check_fields"]
__all__ += ["load_arrays", "parse_json", "pretrained_folder", "read_file", "read_lines", "sha256_of"]
__all__ += ["write_atomically", "write_folder", "write_lines"]

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


# Files that anyone may have written: read within bounds, and checked before anything is built of them.

Checked = TypeVar("Checked")

Count = Annotated[int, Meta(ge=0, le=2**53)]  # what JSON's numbers hold exactly
Measure = Annotated[float, Meta(ge=0, le=1e30)]  # neither NaN nor infinite
Name = Annotated[str, Meta(max_length=1000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(max_length=2**20)]
FileName = Annotated[str, Meta(max_length=255, pattern=r"^(?!\.{1,2}\Z)[^/\x00-\x1f\x7f]+\Z")]  # in a folder, no path
MOST_ARRAYS = 20_000  # of a file


def read_file(path: Path, most: int) -> bytes:
    """Returns what a regular file holds; raises OSError, also for another kind and for more bytes than `most`."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(status.st_mode):  # a pipe could keep its reader waiting for good
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if status.st_size > most:
        raise OSError(errno.EFBIG, f"it is larger than {most / 1e6:.0f} MB", str(path))
    return path.read_bytes()


def parse_json(content: bytes) -> Any:
    """Returns what JSON says; raises ValueError for other text, and for names that occur twice."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique)
        json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be encoded, nor printed
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an entry stands there twice")
    return dict(pairs)


def check(value: Any, schema: type[Checked]) -> Checked:
    """Returns plain values as a type has them; raises ValueError where they do not fit it, with the place and why."""
    try:
        return msgspec.convert(value, schema)
    except (msgspec.ValidationError, RecursionError) as error:
        reason, _, place = str(error).replace("`", "").partition(" - at ")
        reason = re.sub("matching regex .*", "of another form", reason.replace("Object missing required", "no"))
        place = f"entry '{place.replace('$.', '')}': " if place else ""
        raise ValueError(shortened(f"{place}{reason[:1].lower()}{reason[1:]}")) from None


def check_fields(value: Any) -> None:
    """Raises ValueError where a field of a dataclass does not fit its type; nested dataclasses check themselves."""
    for name, schema in get_type_hints(type(value), include_extras=True).items():
        if not is_dataclass(each := getattr(value, name)):
            try:
                check(each, schema)
            except ValueError as error:
                raise ValueError(f"{name.replace('_', ' ')}: {error}") from None


def load_arrays(content: bytes, most: int) -> dict[str, Any]:
    """Returns the arrays of an .npz file by name, none of them pickled; raises ValueError or the like for other files.

    most: bytes that they may take, unpacked.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        entries = file.zip.infolist()
        if sum(entry.file_size for entry in entries) > most or len(entries) > MOST_ARRAYS:
            raise ValueError("it unpacks to more than it is")  # and could fill the memory
        return {name: file[name] for name in file.files}
