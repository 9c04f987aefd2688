"""Times of a stream, also where recordings were strung together."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["Timeline"]

SLACK = Fraction(1, 4)  # seconds; who goes back further begins anew, as where recordings were strung together


class Timeline:
    """The times of a stream, in seconds, from where the clip starts.

    begins_anew: whether its clock may jump back, as a broadcast's does, and the times then go on.
    """

    def __init__(self, start: Fraction, begins_anew: bool):
        self._shift, self._begins_anew = -start, begins_anew
        self.due: Fraction | None = None  # when what was last asked for ends

    def at(self, time: Fraction | None, length: Fraction) -> Fraction:
        """Returns when something is shown or heard that the file gives a time; without one it follows the last."""
        if time is None:
            shown = self.due or Fraction(0)
        else:
            if self._begins_anew and self.due is not None and time + self._shift < self.due - SLACK:
                self._shift = self.due - time
            shown = time + self._shift
        self.due = shown + length
        return shown
