"""The adversarial loss in its hinge form: what a discriminator learns, and what a generator learns from it.

Scores are a discriminator's, (N, 1, H, W), one for each patch; above 0 it takes a patch for real.  Errors are those of
each picture, (N,).
J. H. Lim, J. C. Ye: Geometric GAN, arXiv 1705.02894.
"""

from __future__ import annotations

__all__ = ["fake_error", "generator_error", "real_error"]


def real_error(F, scores):
    """Returns how far scores of real pictures are from 1 and above: their mean error."""
    return F.mean(F.maximum(1 - scores, 0), axis=0, exclude=True)


def fake_error(F, scores):
    """Returns how far scores of painted pictures are from -1 and below: their mean error."""
    return F.mean(F.maximum(1 + scores, 0), axis=0, exclude=True)


def generator_error(F, scores):
    """Returns how little a generator's pictures pass for real: their mean score, negated."""
    return -F.mean(scores, axis=0, exclude=True)
