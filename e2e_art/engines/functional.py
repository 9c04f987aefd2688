"""Values in place of parameters: what a block would make of its inputs with other numbers, which gradients flow to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["given", "giving"]


class _Given(threading.local):
    def __init__(self) -> None:
        self.values: Mapping[Any, Any] = {}


_given = _Given()


def given(parameter: Any) -> Any:
    """Returns the value that stands in place of a parameter, None where it has its own numbers."""
    return _given.values.get(parameter)


@contextmanager
def giving(values: Mapping[Any, Any]) -> Iterator[None]:
    """Lets values stand in place of parameters, in this thread."""
    before, _given.values = _given.values, {**_given.values, **values}
    try:
        yield
    finally:
        _given.values = before
