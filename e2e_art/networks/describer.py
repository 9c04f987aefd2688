"""What tells the style of a painting: statistics of its features, as a few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engines.gluon import HybridBlock
from .wct import LEVELS, Student, widths_of

__all__ = ["Describer"]

SOFT = 1e-3  # below which the square roots of second moments become straight lines
LIMIT = 4.0  # standard deviations, beyond which a statistic counts as this


class Describer(HybridBlock):
    """A painting in, the description of its style out.

    A small student of VGG sees the painting.  Of each level's features, brought to their principal components, it takes
    the means, and the roots of the second moments, which Gram matrices hold; standardized, these are brought to their
    own principal components.  It learns by principal component analysis alone (training/describing.py), not with the
    chain.

    parts: principal components of each level.  length: of the description.  width: of the student.
    Input: (1, 3, H, W) in VGG space, sides multiples of 16.  Output: (1, length), about of unit variance.
    """

    def __init__(self, length: int = 128, parts: Sequence[int] = (16, 32, 32, 32), width: int = 16):
        super().__init__()
        self.length, self.parts = length, list(parts)
        self.student = Student(width)
        for level, count, channels in zip(LEVELS, parts, widths_of(width)):
            setattr(self, f"parts_{level}", self.parameter(f"parts_{level}", (count, channels, 1, 1), "zeros"))
        triangles = [np.flatnonzero(np.triu(np.ones((count, count)))) for count in parts]
        self._places = [self.constant(f"places_{level}", each) for level, each in zip(LEVELS, triangles)]
        for level, each in zip(LEVELS, self._places):
            setattr(self, f"places_{level}", each)
        self.count = sum(count + len(each) for count, each in zip(parts, triangles))
        self.center = self.parameter("center", (1, self.count), "zeros")
        self.gain = self.parameter("gain", (1, self.count), "ones")
        self.basis = self.parameter("basis", (self.count, length), "zeros")

    def named_parameters(self) -> dict:
        """Returns what it is made of; the student's own maps to VGG's features are of no use here."""
        return {name: each for name, each in super().named_parameters().items() if not name.startswith("student.map_")}

    def hybrid_forward(self, F, x, center, gain, basis, **others):
        statistics = []
        for level, count, features in zip(LEVELS, self.parts, self.student(x)):
            parts = F.Convolution(
                features, others[f"parts_{level}"], None, kernel=(1, 1), num_filter=count, no_bias=True
            )
            _, pixels = F.channels_and_pixels(parts)
            rows = F.reshape(parts, shape=(0, 0, -1))  # (1, P, M)
            moments = F.broadcast_div(F.row_products(rows, rows), pixels)  # (1, P, P)
            moments = F.take(F.reshape(moments, shape=(0, -1)), others[f"places_{level}"], axis=1)
            statistics += [F.mean(rows, axis=2), F.broadcast_div(moments, F.sqrt(F.abs(moments) + SOFT))]
        statistics = F.broadcast_mul(F.broadcast_sub(F.concat(*statistics, dim=1), center), gain)  # (1, count)
        return F.dot(F.clip(statistics, a_min=-LIMIT, a_max=LIMIT), basis)  # (1, length)
