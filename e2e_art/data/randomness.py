"""What the random numbers of a training are for: a part of their seed, so that no two uses draw the same."""

from __future__ import annotations

__all__ = ["CROP", "DEGRADATION", "LOOK", "ORDER", "REAL", "SAMPLE", "STYLE"]

SAMPLE, ORDER, CROP, DEGRADATION, REAL, LOOK, STYLE = range(7)  # checkpoints go on with these numbers
