"""A progress bar that answers Ctrl-C between two steps: the step is finished, and what was done is kept."""

from __future__ import annotations

import signal
import sys

from tqdm import tqdm

__all__ = ["Progress"]


class Progress(tqdm):
    """While entered, remembers Ctrl-C instead of breaking off; `step` raises it.  Pressed again, it raises at once.

    It works in the main thread alone, as Python's signals do; on leaving, the handler before it comes back.
    """

    def __enter__(self) -> Progress:
        self._pressed = False
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error) -> None:
        signal.signal(signal.SIGINT, self._before)
        self.close()

    def _press(self, *signal_and_frame) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True
        self.write("Stopping after this step ...", file=sys.stderr)

    def step(self, text: str = "") -> None:
        """Shows that a step is whole, with a text; raises KeyboardInterrupt where it was pressed."""
        self.set_postfix_str(text, refresh=False)
        self.update()
        if self._pressed:
            raise KeyboardInterrupt
