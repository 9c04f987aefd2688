"""Which values of a picture of more than 8 bits are black and white.

Files of whole numbers say how many bits a value has, but many use fewer of them (a camera's 12 in a file of 16); files
of floating point say nothing, and an enlarged picture goes beyond its black and white.  So the values are surveyed
first, strip by strip, and what is not obvious is said.
"""

from __future__ import annotations

import numpy as np

from ..arrays import rounded

__all__ = ["FEWER", "Survey", "to_eight_bits"]

_BITS = 8, 10, 12, 14, 16, 24, 32  # what cameras, scanners and programs use of the bits that a file has
# A picture whose brightest value is so many times below white is nearly black, and uses fewer bits; less far below, it
# does so where its brightest value is nearly the highest that such bits hold.
_DARK, FEWER, _FULL = 16, 4, 0.9
_OVERSHOOT = 1.25  # of an enlarged picture of floating point, times white
# From which share of the values on, and from which part of the highest one, negative values are no undershoot: the
# picture is centered around 0.
_NEGATIVE, _UNDERSHOOT = 0.05, 0.1
_SAMPLE = 2**20  # values of which quantiles are taken
_ENDLESS = np.float64(1e30)  # beyond what is measured: maps mark places without data so


class Survey:
    """What values a picture has: `add` each strip of it, then ask for its `levels`.

    count: how many values the picture has.  nodata: what the file says that stands where there is none.
    """

    def __init__(self, count: int, nodata: float | None = None):
        self.step, self.nodata = max(1, count // _SAMPLE), nodata
        self.low, self.high = np.inf, -np.inf
        self.values = self.finite = self.negative = 0
        self.samples: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        """Takes the values of one strip, of any shape and type."""
        if self.nodata is not None:
            values = values[values != self.nodata]
        if values.dtype.kind == "f":
            values = values[(np.abs(values) < _ENDLESS) | ~np.isfinite(values)]
        self.values += values.size
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        self.finite += values.size
        if values.size:
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            self.negative += int((values < 0).sum()) if self.low < 0 else 0
            self.samples.append(values.ravel()[:: self.step].astype(np.float64))

    def levels(self, dtype: np.dtype, bits: int) -> tuple[float, float, str]:
        """Returns the values of black and white, and what is to be said about them (nothing where they are obvious).

        dtype: of the values.  bits: how many of its bits count.
        """
        sample = np.concatenate(self.samples) if self.samples else np.empty(0)
        below = sample[sample < 0]
        if below.size and below.min() == below.max():  # one value for all places without data, such as -9999
            self.negative, sample = 0, sample[sample >= 0]
        if dtype.kind == "f":
            return self._of_floats(sample)
        if self.negative > _NEGATIVE * self.values and -self.low > _UNDERSHOOT * self.high:
            return self._around_zero(2.0 ** (bits - 1))
        return self._of_integers(bits, dtype.kind == "i")

    def _of_integers(self, bits: int, signed: bool) -> tuple[float, float, str]:
        white = 2 ** (bits - signed) - 1
        if bits <= 8 or not 0 < self.high * FEWER <= 2**bits - 1:
            return 0, white, ""
        said = f"its brightest value is {self.high:.0f} of {white}, so "
        length = int(self.high).bit_length()
        known = next((some for some in _BITS if length <= some), bits)
        used = known if known <= max(8, length + 2) else length
        if self.high * _DARK > 2**bits and self.high < _FULL * 2**used:
            return 0, white, f"{said}it is dark; where only {used} bits are meant, save it in 8 bits"
        said += f"{2**used - 1} ({used} bits) was taken as white; where it is meant to be so dark, save it in 8 bits"
        return 0, 2**used - 1, said

    def _around_zero(self, limit: float) -> tuple[float, float, str]:
        black, white = (-limit, limit - 1) if self.high - self.low > limit / 2 else (self.low, self.high)
        return black, white, f"many of its values are negative, so {black:g} was taken as black and {white:g} as white"

    def _of_floats(self, sample: np.ndarray) -> tuple[float, float, str]:
        if not sample.size:
            return 0, 1, ""
        bottom, top = np.quantile(sample, (0.001, 0.999))
        if self.negative > _NEGATIVE * self.finite and -bottom > _UNDERSHOOT * top:
            scale = next((scale for scale in (1.0, 128.0, 32768.0) if max(-bottom, top) <= scale * _OVERSHOOT), 0.0)
            if scale and top - bottom > scale / 2:
                bottom, top = -scale, scale
            said = f"many of its values are negative, so {bottom:g} was taken as black and {top:g} as white"
            return float(bottom), float(top) if top > bottom else float(bottom) + 1, said
        if top <= _OVERSHOOT:
            return 0, 1, "" if self.high * _DARK > 1 or self.high <= 0 else _dark(self.high)
        lit = sample[sample > 0]
        if np.median(lit) < 1 and not np.array_equal(lit, np.rint(lit)):
            share = float((sample > 1).mean())
            return (
                0,
                1,
                f"{share:.1%} of its values are above 1, up to {self.high:g}, and became white: tone-map it first",
            )
        known = (float(2**bits - 1) for bits in _BITS)
        white = next((level for level in known if top <= level * _OVERSHOOT), np.inf)
        white = float(top) if white > _DARK * top else white
        obvious = white in (255, 65535)
        return 0, white, "" if obvious else f"its values reach {self.high:g}, so {white:g} was taken as white"


def _dark(high: float) -> str:
    return f"its brightest value is {high:g} and white is 1, so it is nearly black: brighten it first"


def to_eight_bits(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Scales values of any type to uint8 of the same shape; infinity becomes white, what is no number black."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (values.astype(np.float32) - np.float32(black)) * np.float32(255 / (white - black))
    return rounded(np.nan_to_num(scaled, nan=0, posinf=255, neginf=0))
