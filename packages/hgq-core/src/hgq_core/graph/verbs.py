"""The two verbs that arrays do not speak by themselves: a new kind of array registers its own implementation.

Here those of NumPy's numbers and of exact integers; intervals and hardware symbols register theirs where they live.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from hgq_core.errors import DataError
from hgq_core.graph import ops as op
from hgq_core.graph.integers import IntegerArray
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY
from hgq_core.quantize import fixed_point

__all__ = ["lookup_values", "quantize_values"]


@singledispatch
def quantize_values(x: Any, operation: op.Quantize) -> Any:
    """Each element in its format; another kind of array registers an implementation: ``quantize_values.register``."""
    message = f"{type(operation).__name__}: cannot take a {type(x).__name__}: register it with quantize_values.register"
    raise TypeError(message)


@singledispatch
def lookup_values(x: Any, operation: op.Lookup) -> Any:
    """Each element through its table; register an implementation for another kind of array."""
    message = f"{type(operation).__name__}: cannot take a {type(x).__name__}: register it with lookup_values.register"
    raise TypeError(message)


@quantize_values.register
def _(x: np.ndarray, operation: op.Quantize) -> np.ndarray:
    k, i, f = (part.astype(np.float64) for part in (operation.formats.k, operation.formats.i, operation.formats.f))
    result: np.ndarray = fixed_point(NUMPY, x, k, i, f, round_mode=operation.round, overflow_mode=operation.overflow)
    return result


@lookup_values.register
def _(x: np.ndarray, operation: op.Lookup) -> np.ndarray:
    return IntegerArray.of(lookup_values(IntegerArray.of(x), operation)).values


@quantize_values.register
def _(x: IntegerArray, operation: op.Quantize) -> IntegerArray:
    formats = operation.formats.broadcast_to(x.shape[1:])
    fraction = max(int(formats.f.max(initial=0)), x.fraction)
    units = x.at(fraction).astype(object)
    step = np.left_shift(np.ones(formats.shape, object), (fraction - formats.f).astype(object))
    k, width = formats.k.astype(object), formats.width
    span = np.left_shift(np.ones(formats.shape, object), width.astype(object))  # number of values
    lowest, highest = -k * (span // 2), span - k * (span // 2) - 1
    if operation.overflow is Overflow.SAT_SYM:
        lowest = -k * highest
    if operation.overflow is not Overflow.WRAP:
        units = np.minimum(np.maximum(units, lowest * step), highest * step)
    integers = _rounded_quotient(units, step, operation.round)
    if operation.overflow is Overflow.WRAP:
        integers = (integers - lowest) % span + lowest
    integers = np.where(width > 0, integers, 0)
    # In units of its own formats: those of the operand, of products of products in a loop, grow with every step.
    own = int(formats.f.max(initial=0))
    units = np.left_shift(np.ones(formats.shape, object), (own - formats.f).astype(object))
    return _narrowed(IntegerArray((integers * units).astype(object), own))


def _rounded_quotient(a: np.ndarray, b: np.ndarray, mode: Round) -> np.ndarray:
    """``a / b`` rounded to integers, b > 0."""
    below = a // b
    twice = 2 * (a - below * b)
    tie = {
        Round.RND: np.full(a.shape, True),
        Round.RND_MIN_INF: np.full(a.shape, False),
        Round.RND_ZERO: a < 0,
        Round.RND_INF: a > 0,
        Round.RND_CONV: below % 2 == 1,
    }
    up: np.ndarray
    if mode is Round.TRN:
        up = np.zeros(a.shape, bool)
    elif mode is Round.TRN_ZERO:
        up = (a < 0) & (twice != 0)
    else:
        up = (twice > b) | ((twice == b) & tie[mode].astype(bool))
    quotient: np.ndarray = below + up.astype(object)
    return quotient


def _narrowed(x: IntegerArray) -> IntegerArray:
    """The same numbers on int64 if they fit."""
    if x.integers.size and max(abs(int(x.integers.max())), abs(int(x.integers.min()))) >= 2**62:
        return x
    return IntegerArray(x.integers.astype(np.int64), x.fraction)


@lookup_values.register
def _(x: IntegerArray, operation: op.Lookup) -> IntegerArray:
    formats = operation.formats
    fraction = max(int(formats.f.max(initial=0)), x.fraction)
    step = np.left_shift(np.ones(formats.shape, object), (fraction - formats.f).astype(object))
    units = x.at(fraction).astype(object)
    code = units // step
    span = np.left_shift(np.ones(formats.shape, object), formats.width.astype(object))
    lowest = -formats.k.astype(object) * (span // 2)
    if np.any((code * step != units) | (code < lowest) | (code >= lowest + span)):
        message = "a table received a number that its input format does not hold; quantize its input to that format"
        raise DataError(message)
    code = (code % span).astype(np.int64)
    result = np.zeros(x.shape, dtype=np.int64)
    for number, table in enumerate(operation.tables):
        mine = operation.index == number
        result[:, mine] = table[code[:, mine]]
    return IntegerArray(result, operation.fraction)
