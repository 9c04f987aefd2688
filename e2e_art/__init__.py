"""End-to-end neural art: photos painted in one pass by a boosted chain of generators, in MXNet Gluon."""

from __future__ import annotations

__all__ = ["__version__", "load"]

from ._version import __version__


def load(*args, **kwargs):
    """Returns a trained model that paints: see `e2e_art.painting.photo.load`."""
    from .painting.photo import load

    return load(*args, **kwargs)
