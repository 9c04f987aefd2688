"""Ctrl-C, answered between two steps: the step is finished, and what was done is kept."""

from __future__ import annotations

import signal
import sys

from tqdm import tqdm

__all__ = ["Interrupt"]


class Interrupt:
    """While entered, remembers Ctrl-C instead of breaking off; `check` raises it.  Pressed again, it raises at once.

    It works in the main thread alone, as Python's signals do; on leaving, the handler before it comes back.
    """

    def __init__(self):
        self._pressed, self._before = False, None

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _press(self, *signal_and_frame) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True
        tqdm.write("Stopping after this step ...", file=sys.stderr)

    def check(self) -> None:
        """Raises KeyboardInterrupt where it was pressed: call it when a step is whole."""
        if self._pressed:
            raise KeyboardInterrupt
