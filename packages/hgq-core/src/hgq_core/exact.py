"""The oracle: quantization by its definition, in exact fractions. Imports nothing from `hgq_core.quantize`."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from hgq_core.formats import FixedPoint, MiniFloat

__all__ = ["minifloat_value", "quantized", "rounded"]


def rounded(x: Fraction, mode: Round) -> int:
    """x rounded to a whole number by ``mode``.

    >>> [rounded(Fraction(-7, 2), mode) for mode in (Round.RND, Round.RND_INF, Round.RND_CONV, Round.TRN_ZERO)]
    [-3, -4, -4, -3]
    """
    below = floor(x)
    distance = x - below
    if mode is Round.TRN:
        return below
    if mode is Round.TRN_ZERO:
        return below if x >= 0 else ceil(x)
    if distance != Fraction(1, 2):
        return below + (distance > Fraction(1, 2))
    upward = {
        Round.RND: True,
        Round.RND_MIN_INF: False,
        Round.RND_ZERO: x < 0,
        Round.RND_INF: x > 0,
        Round.RND_CONV: below % 2 == 1,
    }
    return below + upward[mode]


def quantized(x: Fraction | float, fmt: FixedPoint, round_mode: Round, overflow_mode: Overflow) -> Fraction:
    """x in the format ``fmt``: saturation clips before it rounds, WRAP rounds before it wraps.

    >>> from hgq_core.formats import FixedPoint
    >>> quantized(9, FixedPoint(1, 3, 0), Round.RND, Overflow.WRAP)
    Fraction(-7, 1)
    """
    x = Fraction(x)
    if fmt.width == 0:
        return Fraction(0)
    highest = fmt.highest
    lowest = -fmt.k * highest if overflow_mode is Overflow.SAT_SYM else fmt.lowest
    if overflow_mode is not Overflow.WRAP:
        x = min(max(x, lowest), highest)
    units = rounded(x / fmt.step, round_mode)
    if overflow_mode is Overflow.WRAP:
        units = (units - floor(fmt.lowest / fmt.step)) % 2**fmt.width + floor(fmt.lowest / fmt.step)
    return units * fmt.step


def minifloat_value(x: Fraction | float, fmt: MiniFloat) -> Fraction:
    """x as the nearest minifloat, ties to the even mantissa, saturated."""
    x = Fraction(x)
    if fmt.m < 0:
        return Fraction(0)
    magnitude = min(abs(x), fmt.highest)
    exponent = fmt.exponents[0]
    while Fraction(2) ** (exponent + 1) <= magnitude:
        exponent += 1
    step = Fraction(2) ** (exponent - fmt.m)
    value = rounded(magnitude / step, Round.RND_CONV) * step
    return value if x >= 0 else -value
