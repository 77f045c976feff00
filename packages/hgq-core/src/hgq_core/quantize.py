"""The one quantizer body, forward and backward, written against `Ops`; every backend runs these lines.

``k, i, f`` are arrays of whole numbers (bits) that broadcast to ``x``; they are not the trained floats but what
``rint`` makes of them. Every step is exact in float32 for formats of at most 24 bits without the sign: multiplying by
powers of two, floor, ceil and rint do not round, and nearest rounding never adds one half to a number that cannot hold
it.
"""

from __future__ import annotations

from math import inf, log
from typing import TYPE_CHECKING, Any, NamedTuple

from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from hgq_core.ops import Ops

__all__ = [
    "Grid",
    "fixed_point",
    "fixed_point_gradients",
    "grid_gradients",
    "integer_bits_kbi",
    "integer_bits_kif",
    "minifloat",
    "minifloat_gradients",
    "on_grid",
    "round_scaled",
]

LN2 = log(2.0)


def round_scaled(ops: Ops, x: Any, scale: Any, mode: Round) -> Any:
    """``x * scale`` rounded to a whole number by ``mode``; ``scale`` is a power of two.

    >>> from hgq_core.ops import NUMPY
    >>> float(round_scaled(NUMPY, -3.5, 1.0, Round.RND))
    -3.0
    """
    return _round(ops, x, scale * 2.0 if mode in _DOUBLED else scale, mode)


_DOUBLED = (Round.RND, Round.RND_MIN_INF, Round.RND_ZERO, Round.RND_INF)


def _round(ops: Ops, x: Any, scale: Any, mode: Round) -> Any:
    """The same, with the scale already doubled for nearest rounding.

    Nearest, ties up, is ``ceil(floor(2 y) / 2)``: unlike ``floor(y + 1/2)`` it is exact for every float.
    """
    match mode:
        case Round.TRN:
            down = ops.floor(x * scale)
            # Some frameworks flush denormal numbers to 0, the floor of which is 0 where that of the number is -1.
            return ops.where(ops.is_negative(x), ops.minimum(down, down * 0.0 - 1.0), down)
        case Round.RND_CONV:
            return ops.rint(x * scale)
        case Round.TRN_ZERO:
            y = x * scale
            return ops.where(x < 0, ops.ceil(y), ops.floor(y))
        case Round.RND:
            return ops.ceil(ops.floor(x * scale) * 0.5)
        case Round.RND_MIN_INF:
            return ops.floor(ops.ceil(x * scale) * 0.5)
    up, down = (_round(ops, x, scale, m) for m in (Round.RND, Round.RND_MIN_INF))
    return ops.where((x < 0) == (mode is Round.RND_ZERO), up, down)


class Grid(NamedTuple):
    """Fixed-point formats as the powers of two that the quantizer multiplies by; arrays of the shape of the widths.

    Computing it once keeps powers of two out of the loop over the data.

    Attributes:
        round_mode, overflow_mode: see `Round` and `Overflow`.
        scale: ``2**f``, doubled where the rounding mode wants it.
        step: ``2**-f``.
        units: ``2**f``, infinite where dead: dividing by it masks dead elements without touching the data. A product
            with the step would be as exact; XLA does not repeat what ends with a division in every loop that reads it.
        lowest, highest: the range.
        top: ``2**i``.
        k: sign bits.
        huge: ``2**(100 - f)``: a float of this size is a multiple of the step, and of the span of WRAP, which is at
            most ``2**77`` steps; its product with ``2**f`` might overflow.
    """

    round_mode: Round
    overflow_mode: Overflow
    scale: Any
    step: Any
    units: Any
    lowest: Any
    highest: Any
    top: Any
    k: Any
    huge: Any

    @classmethod
    def of(cls, ops: Ops, k: Any, i: Any, f: Any, *, round_mode: Round, overflow_mode: Overflow) -> Grid:
        """The grid of whole-number widths; ``i`` is raised to ``-f``."""
        step, scale = ops.power_of_two(-f), ops.power_of_two(f)
        units = ops.where((k + i + f) > 0, scale, scale * 0.0 + inf)
        top = ops.power_of_two(ops.maximum(i, -f))
        highest = top - step
        lowest = -k * (highest if overflow_mode is Overflow.SAT_SYM else top)
        doubled = scale * 2.0 if round_mode in _DOUBLED else scale
        huge = ops.power_of_two(100.0 - f)
        return cls(round_mode, overflow_mode, doubled, step, units, lowest, highest, top, k, huge)


def on_grid(ops: Ops, x: Any, grid: Grid, *, wrap: bool = True) -> Any:
    """Each element of x on its grid; see `fixed_point`."""
    if grid.overflow_mode is not Overflow.WRAP:
        clipped = ops.minimum(ops.maximum(x, grid.lowest), grid.highest)
        return _round(ops, clipped, grid.scale, grid.round_mode) / grid.units
    if wrap:
        return _wrapped(ops, x, grid)
    # Without it x 2**f of a finite x could be infinite.
    is_huge = abs(x) >= grid.huge
    xq = _round(ops, ops.where(is_huge, x * 0.0, x), grid.scale, grid.round_mode) / grid.units
    return ops.where(is_huge & (grid.units < inf), x, xq)


def _wrapped(ops: Ops, x: Any, grid: Grid) -> Any:
    """Modulo the span ``2**(k + i)``, in units of the step; every intermediate is exact, whatever the size of x.

    A float that reaches ``2**m`` spans, m bits behind its first one, is a multiple of the span, as is that limit. How
    often the span is taken away is rounded in two exact steps: a sum with one half, or with the lowest number, would
    need one bit more than the format has.
    """
    signs = 1.0 + grid.k
    far = grid.top * signs * 2.0 ** ops.significand_bits(x)
    n = _round(ops, ops.minimum(ops.maximum(x, -far), far), grid.scale, grid.round_mode)
    top = grid.top / grid.step
    return (n - ops.ceil(ops.floor(n / top) / signs) * (top * signs)) / grid.units


def fixed_point(
    ops: Ops,
    x: Any,
    k: Any,
    i: Any,
    f: Any,
    *,
    round_mode: Round | str,
    overflow_mode: Overflow | str,
    wrap: bool = True,
) -> Any:
    """Each element of x in its format ``(k, i, f)``; 0 where ``k + i + f <= 0``.

    Args:
        ops: the array library.
        x: numbers.
        k: sign bits, 0 or 1.
        i: integer bits without the sign; raised to ``-f`` before use.
        f: fraction bits.
        round_mode: a `Round` or its name.
        overflow_mode: an `Overflow` or its name.
        wrap: False leaves WRAP out and only rounds, as in training and calibration, where ``i`` follows the data.

    Raises:
        ConfigError: no mode of this name.

    >>> from hgq_core.ops import NUMPY
    >>> float(fixed_point(NUMPY, 9.2, 1, 3, 0, round_mode="RND", overflow_mode="WRAP"))
    -7.0
    """
    # Compilers trace this function and cannot look into `parse`.
    rounding = round_mode if isinstance(round_mode, Round) else Round.parse(round_mode)
    overflow = overflow_mode if isinstance(overflow_mode, Overflow) else Overflow.parse(overflow_mode)
    return on_grid(ops, x, Grid.of(ops, k, i, f, round_mode=rounding, overflow_mode=overflow), wrap=wrap)


def grid_gradients(ops: Ops, g: Any, x: Any, xq: Any, grid: Grid) -> tuple[Any, Any, Any]:
    """Surrogate gradients ``(dx, di, df)`` of each element, before summing over those that share a width.

    The formulas are those of the table in the specification (numbers, section 5); ``di`` is None under WRAP, which has
    none. In the (k, b, i) parametrisation ``db = df`` and ``di|b = di - df``.
    """
    if grid.overflow_mode is Overflow.WRAP:
        return g, None, g * (x - xq) * LN2
    above, below = x > grid.highest, x < grid.lowest
    low_f = -grid.k * grid.step if grid.overflow_mode is Overflow.SAT_SYM else grid.step * 0.0
    df = g * LN2 * ops.where(above, grid.step, ops.where(below, low_f, x - xq))
    di = g * LN2 * ops.where(above, grid.top, ops.where(below, -grid.k * grid.top, grid.top * 0.0))
    return ops.where(above | below, g * 0.0, g), di, df


def fixed_point_gradients(
    ops: Ops, g: Any, x: Any, xq: Any, k: Any, i: Any, f: Any, *, overflow_mode: Overflow
) -> tuple[Any, Any, Any]:
    """`grid_gradients` for widths that are given as k, i, f."""
    return grid_gradients(ops, g, x, xq, Grid.of(ops, k, i, f, round_mode=Round.TRN, overflow_mode=overflow_mode))


def integer_bits_kif(ops: Ops, lowest: Any, highest: Any, f: Any, *, round_mode: Round) -> Any:
    """Fewest integer bits that hold the quantized extremes of a group when ``f`` is given; ``-f`` if all are 0.

    Exact: a minimum of ``-2**n`` needs n bits, a maximum of ``2**n`` needs n + 1. Rounding is monotone, so that the
    unrounded extremes are enough.
    """
    scale, step = ops.power_of_two(f), ops.power_of_two(-f)
    low = round_scaled(ops, lowest, scale, round_mode) * step
    high = round_scaled(ops, highest, scale, round_mode) * step
    exponent = ops.ceil_log2(high)
    exponent = ops.where(high >= ops.power_of_two(exponent), exponent + 1.0, exponent)
    above = ops.where(high > 0, exponent, -f)
    below = ops.where(low < 0, ops.ceil_log2(-low), -f)
    return ops.maximum(ops.maximum(above, below), -f)


def integer_bits_kbi(ops: Ops, lowest: Any, highest: Any, b: Any, *, round_mode: Round) -> Any:
    """Fewest integer bits ``i`` that hold the extremes quantized with ``f = b - i``; `EMPTY` if all are 0.

    The step depends on i: the first candidate is the exponent of the extreme, the next one is taken if rounding reaches
    past the highest value, or, below zero, if rounding to a coarser step still fits.
    """
    exponent = ops.ceil_log2(highest)
    exponent = ops.where(highest >= ops.power_of_two(exponent), exponent + 1.0, exponent)
    reached = round_scaled(ops, highest, ops.power_of_two(b - exponent), round_mode)
    above = ops.where(reached >= ops.power_of_two(b), exponent + 1.0, exponent)
    negative = ops.ceil_log2(-lowest)
    coarser = round_scaled(ops, lowest, ops.power_of_two(b - negative + 1.0), round_mode)
    below = ops.where(coarser >= -ops.power_of_two(b), negative - 1.0, negative)
    # An absent sign asks for nothing; ceil_log2 answers EMPTY where both are absent.
    absent = ops.ceil_log2(lowest * 0.0)
    either = ops.where(highest > 0, above, ops.where(lowest < 0, below, absent))
    return ops.where((highest > 0) & (lowest < 0), ops.maximum(above, below), either)


def minifloat(ops: Ops, x: Any, m: Any, e: Any, e0: Any) -> Any:
    """Each element of x as a minifloat: ``m`` mantissa and ``e`` exponent bits, offset ``e0``; nearest, ties to even.

    Saturates at ``2**(2**(e-1) + e0 - 1) * (2 - 2**-m)``; subnormal numbers; 0 where m < 0.
    """
    low, high = _exponents(ops, e, e0)
    highest = _minifloat_highest(ops, m, e, high)
    clipped = ops.minimum(ops.maximum(x, -highest), highest)
    # The exponent of the leading bit: the largest n with 2**n <= |x|.
    magnitude = ops.maximum(abs(clipped), ops.power_of_two(low))
    ceiling = ops.ceil_log2(magnitude)
    leading = ops.where(ops.power_of_two(ceiling) > magnitude, ceiling - 1.0, ceiling)
    step = ops.power_of_two(ops.maximum(leading, low) - m)
    rounded = ops.rint(clipped / step) * step
    return ops.where(m < 0, rounded * 0.0, rounded)


def _exponents(ops: Ops, e: Any, e0: Any) -> tuple[Any, Any]:
    half = ops.where(e > 0, ops.power_of_two(e - 1.0), e * 0.0)
    low = e0 + 1.0 - half
    return low, ops.maximum(e0 - 1.0 + half, low)


def _minifloat_highest(ops: Ops, m: Any, e: Any, high: Any) -> Any:
    leading = ops.where(e > 0, m * 0.0 + 2.0, m * 0.0 + 1.0)
    return ops.where(m < 0, m * 0.0, ops.power_of_two(high) * (leading - ops.power_of_two(-m)))


def minifloat_gradients(ops: Ops, g: Any, x: Any, xq: Any, m: Any, e: Any, e0: Any) -> tuple[Any, Any, Any, Any]:
    """Surrogate gradients ``(dx, dm, de, de0)`` of each element.

    Inside the range ``dx = 1`` and ``dm = ln2 (x - xq)``. Where saturated ``dx = 0``, and with ``h = highest`` and s
    the sign of x: ``dm = s ln2 2**(top - m)``, ``de0 = s ln2 h``, ``de = de0 * ln2 * 2**(e-1)``, the derivatives of h.
    """
    _, high = _exponents(ops, e, e0)
    highest = _minifloat_highest(ops, m, e, high)
    saturated = abs(x) > highest
    zero = g * 0.0
    sign = ops.where(x < 0, zero - 1.0, zero + 1.0)
    dm = g * LN2 * ops.where(saturated, sign * ops.power_of_two(high - m), x - xq)
    de0 = ops.where(saturated, g * sign * LN2 * highest, zero)
    de = de0 * LN2 * ops.where(e > 0, ops.power_of_two(e - 1.0), e * 0.0)
    return ops.where(saturated, zero, g), dm, de, de0
