"""Files that anyone may have written: read within bounds, and checked before anything is built of them."""

from __future__ import annotations

import errno
import io
import json
import re
import stat
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from .errors import shortened

__all__ = ["Count", "FileName", "Measure", "Name", "Share", "Text", "check", "check_fields", "load_arrays"]
__all__ += ["parse_json", "read_file"]

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
