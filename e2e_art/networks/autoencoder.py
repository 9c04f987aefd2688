"""A student of VGG and its decoders as a chain, so that they are trained, kept and exported as other models are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ..engines.gluon import operators_of
from ..errors import OptionError
from .chain import Chain
from .inputs import reflected
from .wct import LEVELS, Decoder, Student

__all__ = ["Autoencoder"]


class Autoencoder(Chain):
    """A student in stage 0, and a decoder for each level in the stage of that number.

    They do not stand in a line: every decoder makes a picture of the student's features of its level.  The picture of
    stage 0 is the given one, since features are none.  Pictures are padded below and on the right alone, to sides that
    halve to the end.
    """

    kind = "autoencoder"
    generator_kinds = ("student", "decoder")

    def __init__(self, stages: Sequence[dict], share_weights: bool = False):
        super().__init__(stages, share_weights)
        form = [(each.kind, getattr(each, "level", 0)) for each in self.generators]
        widths = {cast(Student, each).width for each in self.generators}
        if form != [("student", 0), *(("decoder", level) for level in LEVELS)] or len(widths) > 1:
            raise OptionError("An autoencoder is a student and a decoder for each level: leave --stages out")
        self.multiple = 16  # two pixels of the last level, which reflect padding takes

    @property
    def student(self) -> Student:
        """The network of stage 0."""
        return cast(Student, self.generators[0])

    def pad(self, photo):
        """Returns pictures (N, 3, H, W) with reflect padding below and on the right, sides multiples of 16."""
        F = operators_of(photo)
        for axis in (2, 3):
            length = photo.shape[axis]
            if missing := -length % self.multiple:
                after = reflected(F, F.indices(photo, length, length + missing), length)
                photo = F.concat(photo, F.take(photo, after, axis=axis), dim=axis)
        return photo

    def crop(self, picture, photo):
        """Cuts the padding off a picture, back to the photo's size."""
        height, width = photo.shape[2:]
        return operators_of(picture).slice(picture, begin=(None, None, 0, 0), end=(None, None, height, width))

    def decoder(self, level: int) -> Decoder:
        """Returns the decoder of a level, 1..4."""
        return cast(Decoder, self.generators[level])

    def decoded(self, level: int, pictures):
        """Returns pictures (N, 3, H, W) as the decoder of a level makes them of their features."""
        features = self.student(self.pad(pictures))
        return self.crop(self.decoder(level)(features[level - 1]), pictures)

    def forward(self, photo, strength: float = 1.0, stages: int | None = None) -> list:
        """Returns the pictures of the first stages, of all by default."""
        levels = range(1, len(self.generators[:stages]))
        return [photo, *(self.decoded(level, photo) for level in levels)]
