"""What commands tell programs of the pictures that they make: a line of JSON for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["report"]


def report(
    source: str | None,
    out: Path | str,
    model: str,
    shape: Sequence[int] | None = None,
    seconds: float | None = None,
    skipped: str | None = None,
    **more: Any,
) -> None:
    """Prints one line of JSON on standard output, at once: what was made of what, or why it was skipped.

    source: a photo or clip, as the entry "in"; None for what comes from noise or a camera.  shape: (H, W, ...) of what
    was made, whose size is [width, height].  seconds: what it took.  more: entries of some commands only.
    Names that are no Unicode are escaped as Python does.
    """
    size = None if shape is None else [shape[1], shape[0]]
    spent = None if seconds is None else round(seconds, 3)
    entry = {"in": source, "out": str(out), "model": model, "size": size, "seconds": spent, "skipped": skipped}
    print(json.dumps({**entry, **more}), flush=True)
