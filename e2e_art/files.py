"""Where shipped files lie, and how files appear: whole, by rename, or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

__all__ = ["pretrained_folder", "write_atomically"]


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
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
