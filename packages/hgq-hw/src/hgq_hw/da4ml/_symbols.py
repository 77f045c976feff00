"""How da4ml's symbols quantize and look up: the two verbs that arrays do not speak by themselves.

da4ml rounds down (TRN) or half up (RND). Every other mode is composed exactly from rounding down: on the grid of the
operand, whose step is the unit ``u`` here, each of them is ``floor(x + c + u * bit)`` with a constant ``c`` and one
bit of ``x`` (its sign or its last kept bit), so it costs one adder at most.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import log2
from typing import TYPE_CHECKING, Any

import numpy as np
from da4ml.trace import FixedVariable, FixedVariableArray

from hgq_core.errors import UnsupportedError
from hgq_core.exact import quantized
from hgq_core.formats import FixedPoint
from hgq_core.graph.evaluate import lookup_values, quantize_values
from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.graph.ops import Lookup, Quantize

__all__ = ["quantize_symbol"]

CONSTANT_BITS = 32
"""Most fraction bits of a constant in da4ml; it silently rounds longer ones."""


COARSEST = 31
"""A constant that is a multiple of a higher power of two than this has the step ``2**31`` in da4ml."""


def _each(x: Any, function: Callable[[int, Any], Any]) -> Any:
    """``function(position, symbol)`` for every element of a batch of one, as an array of the same shape."""
    flat = x.ravel()
    results = np.empty(x.size, dtype=object)
    for position in range(x.size):
        results[position] = function(position, flat[position])
    return FixedVariableArray(results.reshape(x.shape), x.solver_options, hwconf=x.hwconf)


def constant(value: Fraction, hwconf: Any) -> Any:
    """A symbol that is always ``value``; raises UnsupportedError if da4ml could not hold it exactly."""
    if (value * 2**CONSTANT_BITS).denominator != 1 or Fraction(float(value)) != value:
        message = (
            f"da4ml holds constants of at most {CONSTANT_BITS} fraction bits: received {float(value)!r}; use fewer bits"
        )
        raise UnsupportedError(message)
    return FixedVariable.from_const(float(value), hwconf=hwconf)


def quantize_symbol(v: Any, fmt: FixedPoint, round_mode: Round, overflow: Overflow) -> Any:
    """One symbol rounded and limited to ``fmt``, exactly as the interpreter does it.

    Args:
        v: a da4ml symbol with a known range and step.
        fmt: the format of the result; bits without the sign.
        round_mode: any rounding mode.
        overflow: any overflow mode.

    Returns:
        A symbol; a constant 0 where the format is dead.
    """
    if v.low == v.high:
        return constant(quantized(Fraction(v.low), fmt, round_mode, overflow), v.hwconf)
    if fmt.width == 0 or (overflow is Overflow.SAT_SYM and fmt.highest == 0):
        return constant(Fraction(0), v.hwconf)
    rounded = _round(v, fmt.f, round_mode)
    if rounded.low == rounded.high:
        return constant(quantized(Fraction(rounded.low), fmt, Round.TRN, overflow), v.hwconf)
    if overflow is Overflow.WRAP and fmt.k == 0 and rounded.low < 0 and fmt.i > int(rounded.kif[1]) + 1:
        # da4ml does not extend the sign when a negative number becomes a wider unsigned one: add the modulus first.
        rounded = rounded.msb_mux(rounded + Decimal(2) ** fmt.i, rounded)
    if fmt.f < -COARSEST:
        # Saturation compares with multiples of the step: in units of the step they are small. A factor is only wiring.
        unit = 2.0**-fmt.f
        units = (rounded * (1 / unit)).quantize(fmt.k, fmt.i + fmt.f, 0, overflow_mode=overflow.value, round_mode="TRN")
        return units * unit
    return rounded.quantize(fmt.k, fmt.i, fmt.f, overflow_mode=overflow.value, round_mode="TRN")


def _round(v: Any, f: int, mode: Round) -> Any:
    """v as a multiple of ``2**-f``, without any limit on its size."""
    dropped = -f - round(log2(v.step))
    if dropped <= 0:
        return v
    # In units of its own step every constant below is a small integer; multiplying by powers of two is only wiring.
    unit = float(v.step)
    x = v * (1.0 / unit)
    half = Decimal(2) ** (dropped - 1)
    shifted = x
    match mode:
        case Round.RND:
            shifted = x + half
        case Round.RND_MIN_INF:
            shifted = x + (half - 1)
        case Round.RND_INF:
            shifted = x + half - _sign_bit(x)
        case Round.RND_ZERO:
            shifted = x + (half - 1) + _sign_bit(x)
        case Round.RND_CONV:
            shifted = x + (half - 1) + _bit(x, dropped)
        case Round.TRN_ZERO:
            up = x + (2 * half - 1)
            shifted = x if x.low >= 0 else up if x.high < 0 else x.msb_mux(up, x)
    k, i, _ = shifted.kif
    # A negative number smaller than the new step still rounds down to one step.
    return shifted.quantize(k, max(i, dropped), -dropped, overflow_mode="WRAP", round_mode="TRN") * unit


def _sign_bit(x: Any) -> Any:
    """1 where x < 0."""
    return x.is_negative()


def _bit(x: Any, position: int) -> Any:
    """The bit of weight ``2**position`` of x in two's complement, x being a whole number."""
    if position >= int(x.kif[1]):
        return _sign_bit(x)
    kept = x.quantize(0, position + 1, -position, overflow_mode="WRAP", round_mode="TRN")
    return kept * 2.0**-position


@quantize_values.register(FixedVariableArray)
def _quantize(x: Any, op: Quantize) -> Any:
    formats = op.formats.broadcast_to(x.shape[1:])
    k, i, f = (part.ravel() for part in (formats.k, formats.i, formats.f))
    return _each(x, lambda n, v: quantize_symbol(v, FixedPoint(int(k[n]), int(i[n]), int(f[n])), op.round, op.overflow))


@lookup_values.register(FixedVariableArray)
def _lookup(x: Any, op: Lookup) -> Any:
    index = op.index.ravel()
    f = op.formats.f.ravel()
    tables = [_limited(table, op.fraction) for table in op.tables]

    def entry(n: int, v: Any) -> Any:
        table = tables[index[n]]
        lowest = round(Fraction(v.low) * Fraction(2) ** int(f[n]))
        codes = np.array([lowest % len(table)])
        if v.low != v.high:  # a number that never changes has no step
            count = round((v.high - v.low) / v.step) + 1
            stride = round(Fraction(v.step) * Fraction(2) ** int(f[n]))
            codes = (lowest + stride * np.arange(count)) % len(table)
        values = table[codes]
        if np.all(values == values[0]):
            return constant(Fraction(float(values[0])), v.hwconf)
        return v.lookup(values)

    return _each(x, entry)


def _limited(table: Any, fraction: int) -> Any:
    """The table as float64; da4ml stores the integers in 32 bits."""
    if fraction > CONSTANT_BITS or np.any(np.abs(table) >= 2**31):
        received = f"entries up to {np.abs(table).max()} with {fraction} fraction bits"
        message = f"da4ml's tables hold 32 bit integers: received {received}; quantize the table's output coarser"
        raise UnsupportedError(message)
    return np.ldexp(table.astype(np.float64), -fraction)
