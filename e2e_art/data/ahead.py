"""What a training is shown is made ahead by threads: as many as it takes, since steps take as long as they take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

from ..machine import cores

__all__ = ["Ahead"]

Item = TypeVar("Item")
_TURNS_AHEAD = 3  # how many times as much as is taken at once lies ready


class Ahead(Generic[Item]):
    """Numbered items, made ahead by threads and taken in order.

    position: the number of the next one.
    workers: how many threads; None means one, and another whenever items were not ready, up to the cores.
    """

    def __init__(self, position: int, workers: int | None, name: str):
        self.position, self._name = position, name
        self._most = workers or cores()
        self._threads = [ThreadPoolExecutor(1, name) for _ in range(workers or 1)]
        self._pending: deque[Future[Item]] = deque()  # the items from `position` on

    def take(self, make: Callable[[int], Item], count: int) -> list[Item]:
        """Returns the next items, which `make` makes of their numbers; where it fails, raises that and stays there."""
        begun = bool(self._pending)
        while len(self._pending) < max(count * (1 + _TURNS_AHEAD), count + 2 * len(self._threads)):
            number = self.position + len(self._pending)
            self._pending.append(self._threads[number % len(self._threads)].submit(make, number))
        ready = all(item.done() for item in islice(self._pending, count))
        if begun and not ready and len(self._threads) < self._most:
            self._threads.append(ThreadPoolExecutor(1, self._name))
        items = [item.result() for item in islice(self._pending, count)]
        for _ in items:
            self._pending.popleft()
        self.position += count
        return items

    def close(self) -> None:
        """Ends the threads, as soon as they have finished what they are at."""
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)
        self._pending.clear()
