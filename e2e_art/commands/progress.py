"""A progress bar that answers Ctrl-C and SIGTERM between two steps: the step is finished, what was done is kept."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tqdm import tqdm

__all__ = ["Progress", "terminable", "tile_bar"]


@contextmanager
def terminable() -> Iterator[list[int]]:
    """Answers SIGTERM as Python answers Ctrl-C, by KeyboardInterrupt; yields a list that then holds the signal.

    It works in the main thread alone, as Python's signals do.
    """
    came: list[int] = []

    def terminate(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def tile_bar() -> Iterator[Callable[[int, int], None]]:
    """Yields what is told how many tiles of a large picture are done, and of how many, and shows a bar of them."""
    with ExitStack() as bars:
        shown: list[tqdm] = []  # none before the first tile, or it would stand in the way of what is logged

        def on_tile(done: int, count: int) -> None:
            if not shown:
                shown.append(bars.enter_context(tqdm(total=count, unit="tile", leave=False, delay=1)))
            shown[0].total = count  # of the next upscaler, where several work in turn
            shown[0].update(done - shown[0].n)

        yield on_tile


class Progress(tqdm):
    """While entered, remembers Ctrl-C and SIGTERM instead of breaking off; `step` raises KeyboardInterrupt for them.

    Pressed again, it raises at once.  It works in the main thread alone; on leaving, the handlers before it come back.
    """

    def __enter__(self) -> Progress:
        self._pressed = 0  # the signal
        self._before = {number: signal.signal(number, self._press) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.close()

    def _press(self, number: int, frame: object) -> None:
        if self._pressed:
            self._stop(number)
        self._pressed = number
        self.write("Stopping after this step ...", file=sys.stderr)

    def step(self, text: str = "") -> None:
        """Shows that a step is whole, with a text; raises KeyboardInterrupt where it was pressed."""
        self.set_postfix_str(text, refresh=False)
        self.update()
        if self._pressed:
            self._stop(self._pressed)

    def _stop(self, number: int) -> None:
        before = self._before[signal.Signals(number)]
        if callable(before):  # Python's own, or that of `terminable`
            before(number, None)
        raise KeyboardInterrupt
