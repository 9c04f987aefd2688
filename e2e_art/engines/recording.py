"""What lets a block be recorded instead of computed: see onnx.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Recorded", "recorder_of"]


class Recorded:
    """A value that is not computed but recorded; recorder: the operators that it goes through, F."""

    recorder: Any


def recorder_of(inputs: Sequence) -> Any:
    """Returns the recorder of the inputs of a block, None where they are arrays."""
    return next((each.recorder for each in inputs if isinstance(each, Recorded)), None)
