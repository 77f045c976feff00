"""Expected values of quantizers over arrays: the oracle, element by element, and widths by trying one after another."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from hgq_core.exact import minifloat_value, quantized, rounded
from hgq_core.formats import FixedPoint, MiniFloat
from hgq_core.gradients import expected_gradients
from hgq_core.modes import Overflow, Round

__all__ = [
    "counted_bits",
    "fixed",
    "fixed_gradients",
    "integer_bits",
    "integer_bits_kbi",
    "minifloats",
    "only_rounded",
    "read",
]

Array = np.ndarray
_LEAST, _MOST = -45, 45


def read(width: Any) -> Array:
    """What a stored width is read as: the nearest whole number, ties to even."""
    return np.asarray(np.vectorize(round, otypes=[np.int64])(np.asarray(width, dtype=np.float64)))


def fixed(x: Array, k: Any, i: Any, f: Any, round_mode: Round, overflow_mode: Overflow) -> Array:
    """Each element of x in its format, as fractions."""

    def one(value: float, k_: int, i_: int, f_: int) -> Fraction:
        return quantized(Fraction(float(value)), FixedPoint(int(k_), int(i_), int(f_)), round_mode, overflow_mode)

    return np.asarray(np.vectorize(one, otypes=[object])(x, k, i, f))


def only_rounded(x: Array, f: Any, round_mode: Round) -> Array:
    """Each element of x rounded to a multiple of ``2**-f``, as fractions: WRAP that does not wrap."""

    def one(value: float, f_: int) -> Fraction:
        step = Fraction(2) ** -int(f_)
        return rounded(Fraction(float(value)) / step, round_mode) * step

    return np.asarray(np.vectorize(one, otypes=[object])(x, f))


def _holds(i: int, f: int, lowest: Fraction, highest: Fraction) -> bool:
    return -(Fraction(2) ** i) <= lowest and highest <= Fraction(2) ** i - Fraction(2) ** -f


def integer_bits(lowest: float, highest: float, f: int, round_mode: Round) -> int:
    """The fewest integer bits that hold both extremes once they are rounded to multiples of ``2**-f``."""
    step = Fraction(2) ** -f
    low, high = (rounded(Fraction(float(x)) / step, round_mode) * step for x in (lowest, highest))
    return next(i for i in range(-f, _MOST) if _holds(i, f, low, high))


def integer_bits_kbi(lowest: float, highest: float, b: int, round_mode: Round) -> int:
    """The fewest integer bits that hold both extremes once they are rounded to multiples of ``2**(i - b)``."""
    low, high = Fraction(float(lowest)), Fraction(float(highest))
    for i in range(_LEAST, _MOST):
        step = Fraction(2) ** (i - b)
        if _holds(i, b - i, rounded(low / step, round_mode) * step, rounded(high / step, round_mode) * step):
            return i
    message = f"the case is at fault: no width holds {lowest} and {highest} with b={b}"
    raise ValueError(message)


def counted_bits(k: Any, i: Any, f: Any, overflow_mode: Overflow) -> Array:
    """The widths that EBOPs counts: ``max(i + f, 0)``, for SAT with the sign; 0 for a dead element."""

    def one(k_: int, i_: int, f_: int) -> int:
        if k_ + i_ + f_ <= 0:
            return 0
        return max(i_ + f_, 0) + (k_ if overflow_mode is Overflow.SAT else 0)

    return np.asarray(np.vectorize(one, otypes=[np.int64])(np.asarray(k), np.asarray(i), np.asarray(f)))


def fixed_gradients(
    x: Array, xq: Array, g: Array, k: Any, i: Any, f: Any, overflow_mode: Overflow
) -> tuple[Array, Array, Array]:
    """``(dx, di, df)`` of every element in closed form."""

    def one(*values: float) -> tuple[float, float, float]:
        x_, xq_, g_, k_, i_, f_ = (float(v) for v in values)
        return expected_gradients(x_, xq_, g_, int(k_), int(i_), int(f_), overflow_mode)

    dx, di, df = np.vectorize(one, otypes=[float] * 3)(x, xq.astype(np.float64), g, k, i, f)
    return dx, di, df


def minifloats(x: Array, m: Any, e: Any, e0: Any) -> Array:
    """Each element of x as a minifloat, as fractions."""

    def one(value: float, m_: int, e_: int, e0_: int) -> Fraction:
        return minifloat_value(Fraction(float(value)), MiniFloat(int(m_), int(e_), int(e0_)))

    return np.asarray(np.vectorize(one, otypes=[object])(x, m, e, e0))
