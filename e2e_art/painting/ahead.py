"""Work that threads of their own do beside painting: reading before a frame's turn, writing behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["ahead", "behind"]

Item = TypeVar("Item")
MOST = 4  # items that wait, read or to be written


def ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yields what an iterator yields, made by a thread some items before their turn."""
    end: Any = object()
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, items, end) for _ in range(MOST))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, items, end))
            yield item


@contextmanager
def behind() -> Iterator[Callable[..., None]]:
    """Yields a function that calls what it is given in a thread, in order; what goes wrong there is raised here."""
    waiting: deque[Future] = deque()

    def later(call: Callable[..., Any], *arguments: Any) -> None:
        waiting.append(thread.submit(call, *arguments))
        if len(waiting) > MOST:
            waiting.popleft().result()

    with ThreadPoolExecutor(1) as thread:
        yield later
        for call in waiting:
            call.result()
