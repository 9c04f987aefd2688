"""End-to-end neural art: photos painted in one pass by a boosted chain of generators, in MXNet Gluon."""

from __future__ import annotations

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(*args, **kwargs):
    """Returns a trained model that paints: see `e2e_art.stylize.load`."""
    from .stylize import load

    return load(*args, **kwargs)
