"""What a training is shown, made ahead by threads: as many as it takes, since steps take as long as they take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

from ..machine import cores

__all__ = ["Stream"]

Item = TypeVar("Item")
_TURNS_AHEAD = 3  # how many batches lie ready


class Stream(ABC, Generic[Item]):
    """Numbered samples without end, batch after batch; a context manager.

    batch: how many samples at a time.  position: the number of the next one, which counts on.
    workers: how many threads; None means one, and another whenever a batch was not ready, up to the cores.
    """

    def __init__(self, batch: int, position: int, workers: int | None):
        self.batch, self.position = batch, position
        self._most = workers or cores()
        self._threads = [self._new_thread() for _ in range(workers or 1)]
        self._pending: deque[Future[Item]] = deque()  # the samples from `position` on

    @abstractmethod
    def _make(self, number: int) -> Item:
        """Returns sample `number`."""

    def _new_thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, type(self).__name__)

    def _take(self) -> list[Item]:
        """Returns the next batch; where a sample cannot be made, raises that and stays there."""
        if not self._threads:
            raise StopIteration
        begun = bool(self._pending)
        while len(self._pending) < max(self.batch * (1 + _TURNS_AHEAD), self.batch + 2 * len(self._threads)):
            number = self.position + len(self._pending)
            self._pending.append(self._threads[number % len(self._threads)].submit(self._make, number))
        ready = all(sample.done() for sample in islice(self._pending, self.batch))
        if begun and not ready and len(self._threads) < self._most:
            self._threads.append(self._new_thread())
        samples = [sample.result() for sample in islice(self._pending, self.batch)]
        for _ in samples:
            self._pending.popleft()
        self.position += self.batch
        return samples

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        """Ends the stream, as soon as its threads have finished what they are at."""
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)
        self._threads = []
        self._pending.clear()
