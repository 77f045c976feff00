"""Interval arithmetic over exact integers: what the prover runs a Graph on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.formats import Formats
from hgq_core.graph import ops as op
from hgq_core.graph.integers import IntegerArray, bit_length
from hgq_core.graph.verbs import lookup_values, quantize_values
from hgq_core.modes import Overflow

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ZERO", "Interval", "formats_of"]

ZERO = -(10**6)
"""Fraction bits of a number that is always 0: it needs none."""

_MOVES = {np.reshape, np.transpose, np.take, np.broadcast_to, np.repeat}
_SHAPES = _MOVES | {np.concatenate, np.stack, np.pad}


class Interval:
    """Elementwise bounds ``low <= x <= high`` where x is a multiple of ``2**-f``.

    Attributes:
        low, high: bounds, each an IntegerArray; typed as Any here and below, because NumPy's stubs do not know that its
            functions dispatch on their operands.
        f: fraction bits of each element, `ZERO` where it is always 0.
        peak: bound of the magnitude of every partial sum of the operation that gave this interval, in any order.
        shape: shape, batch axis of size 1 included.
    """

    def __init__(self, low: Any, high: Any, f: np.ndarray, peak: Any = None) -> None:
        self.low: Any = low
        self.high: Any = high
        zero = (low.integers == 0) & (high.integers == 0)
        self.f = np.where(np.asarray(zero, bool), ZERO, np.broadcast_to(f, low.shape))
        self.peak: Any = np.maximum(-low, high) if peak is None else peak

    @classmethod
    def of(cls, values: Any) -> Interval:
        """The interval that holds one number per element."""
        if isinstance(values, Interval):
            return values
        exact = IntegerArray.of(values)
        return cls(exact, exact, Formats.covering(exact.values).f)

    @classmethod
    def full(cls, formats: Formats, shape: tuple[int, ...], *, symmetric: bool = False) -> Interval:
        """Everything that the formats hold."""
        wide = formats.broadcast_to(shape)
        fraction = int(wide.f.max(initial=0))
        step = np.left_shift(np.ones(shape, object), (fraction - wide.f).astype(object))
        span = np.left_shift(np.ones(shape, object), wide.width.astype(object))
        highest = np.where(wide.alive, span - wide.k * (span // 2) - 1, 0) * step
        lowest = -highest * wide.k if symmetric else np.where(wide.alive, -wide.k * (span // 2), 0) * step
        return cls(IntegerArray(lowest[None], fraction), IntegerArray(highest[None], fraction), wide.f[None])

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.low.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def fresh(self) -> Interval:
        """The same numbers as an operand of the next operation, which starts its own partial sums."""
        return self if self.low is self.high else Interval(self.low, self.high, self.f)

    @property
    def magnitude(self) -> Any:
        """Largest absolute value of each element."""
        return np.maximum(-self.low, self.high)

    def __getitem__(self, key: Any) -> Interval:
        return Interval(self.low[key], self.high[key], self.f[key], self.peak[key])

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if function in _SHAPES:
            return _shaped(function, args, kwargs)
        handler = _FUNCTIONS.get(function)
        return NotImplemented if handler is None else handler(*args, **kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        handler = _UFUNCS.get(ufunc)
        if method != "__call__" or kwargs or handler is None:
            return NotImplemented
        return handler(*(Interval.of(a) for a in args))

    def __add__(self, other: Any) -> Any:
        return _add(self, Interval.of(other))

    def __sub__(self, other: Any) -> Any:
        return _add(self, _negative(Interval.of(other)))

    def __mul__(self, other: Any) -> Any:
        return _multiply(self, Interval.of(other))

    def __neg__(self) -> Any:
        return _negative(self)


def _shaped(function: Callable[..., Any], args: Any, kwargs: Any) -> Interval:
    """Moves act alike on bounds, fraction bits and peaks."""
    joins = function in (np.concatenate, np.stack)
    parts = [Interval.of(a) for a in args[0]] if joins else args[0]
    moved = []
    for name in ("low", "high", "f", "peak"):
        operand = [getattr(p, name) for p in parts] if joins else getattr(parts, name)
        moved.append(function(operand, *args[1:], **kwargs))
    return Interval(*moved)


def _add(a: Interval, b: Interval) -> Interval:
    return Interval(a.low + b.low, a.high + b.high, np.maximum(a.f, b.f), a.peak + b.peak)


def _negative(a: Interval) -> Interval:
    return Interval(-a.high, -a.low, a.f)


def _multiply(a: Interval, b: Interval) -> Interval:
    products = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Interval(_fold(np.minimum, products), _fold(np.maximum, products), _product_fraction(a.f, b.f))


def _fold(function: Any, items: list[Any]) -> Any:
    result = items[0]
    for item in items[1:]:
        result = function(result, item)
    return result


def _product_fraction(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where((a == ZERO) | (b == ZERO), ZERO, a + b)


def _maximum(a: Interval, b: Interval) -> Interval:
    return Interval(np.maximum(a.low, b.low), np.maximum(a.high, b.high), np.maximum(a.f, b.f))


def _minimum(a: Interval, b: Interval) -> Interval:
    return Interval(np.minimum(a.low, b.low), np.minimum(a.high, b.high), np.maximum(a.f, b.f))


class _Truth:
    """A comparison of intervals: either answer is possible."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return _where(*args) if function is np.where else NotImplemented


def _compare(a: Interval, b: Interval) -> _Truth:
    return _Truth(np.broadcast_shapes(a.shape, b.shape))


def _where(condition: _Truth, a: Any, b: Any) -> Interval:
    branches = [Interval.of(a), Interval.of(b)]
    shape = np.broadcast_shapes(condition.shape, *(branch.shape for branch in branches))
    first, second = (_broadcast(branch, shape) for branch in branches)
    low, high = np.minimum(first.low, second.low), np.maximum(first.high, second.high)
    return Interval(low, high, np.maximum(first.f, second.f))


def _broadcast(x: Any, shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(x, shape)


def _sum(x: Interval, axis: Any = None, *, keepdims: bool = False) -> Interval:
    low, high, peak = (np.sum(part, axis=axis, keepdims=keepdims) for part in (x.low, x.high, x.magnitude))
    return Interval(low, high, np.max(x.f, axis=axis, keepdims=keepdims), peak)


def _extreme(function: Any) -> Callable[..., Interval]:
    def extreme(x: Interval, axis: Any = None, *, keepdims: bool = False) -> Interval:
        low, high = (function(part, axis=axis, keepdims=keepdims) for part in (x.low, x.high))
        return Interval(low, high, np.max(x.f, axis=axis, keepdims=keepdims))

    return extreme


def _einsum(equation: str, a: Any, b: Any) -> Interval:
    first, second = Interval.of(a), Interval.of(b)
    f = _einsum_fraction(equation, first.f, second.f)
    peak = np.einsum(equation, first.magnitude, second.magnitude)
    if not isinstance(b, Interval):
        positive, negative = np.maximum(second.low, 0), np.minimum(second.low, 0)
        low = np.einsum(equation, first.low, positive) + np.einsum(equation, first.high, negative)
        high = np.einsum(equation, first.high, positive) + np.einsum(equation, first.low, negative)
        return Interval(low, high, f, peak)
    left, right, letters = _expanded(equation, first, second)
    product: Interval = _multiply(left, right)
    summed = tuple(n for n, letter in enumerate(letters) if letter not in equation.partition("->")[2])
    kept = [letter for letter in letters if letter in equation.partition("->")[2]]
    order = [kept.index(letter) for letter in equation.partition("->")[2]]
    low, high = (np.transpose(np.sum(part, axis=summed), order) for part in (product.low, product.high))
    return Interval(low, high, f, peak)


def _aligned(term: str, letters: str, array: Any) -> Any:
    """The array with one axis per letter, of size 1 where the term lacks it."""
    order = sorted(range(len(term)), key=lambda axis: letters.index(term[axis]))
    shape = [array.shape[term.index(letter)] if letter in term else 1 for letter in letters]
    return np.reshape(np.transpose(array, order), shape)


def _expanded(equation: str, a: Interval, b: Interval) -> tuple[Interval, Interval, str]:
    inputs, _, _ = equation.partition("->")
    letters = "".join(dict.fromkeys(inputs.replace(",", "")))
    first, second = inputs.split(",")
    return _aligned(first, letters, a), _aligned(second, letters, b), letters


def _einsum_fraction(equation: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest fraction bits among the summed products of each output element: a contraction over (max, +)."""
    inputs, _, output = equation.partition("->")
    first, second = inputs.split(",")
    inner = "".join(letter for letter in dict.fromkeys(first + second) if letter not in output)
    letters = inner + output
    left, right = _aligned(first, letters, a), _aligned(second, letters, b)
    shape = np.broadcast_shapes(left.shape, right.shape)
    result = np.full(shape[len(inner) :], ZERO, dtype=np.int64)
    # One summed index at a time: memory stays that of the output.
    for index in np.ndindex(shape[: len(inner)]):
        la, rb = (
            part[tuple(0 if n == 1 else i for i, n in zip(index, part.shape, strict=False))] for part in (left, right)
        )
        result = np.maximum(result, _product_fraction(la, rb))
    return result


_COMPARE = dict.fromkeys((np.less, np.less_equal, np.equal, np.greater_equal, np.greater, np.not_equal), _compare)
_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: _add,
    np.subtract: lambda a, b: _add(a, _negative(b)),
    np.negative: _negative,
    np.multiply: _multiply,
    np.maximum: _maximum,
    np.minimum: _minimum,
    **_COMPARE,
}
_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.einsum: _einsum,
    np.sum: _sum,
    np.amax: _extreme(np.amax),
    np.max: _extreme(np.amax),
    np.amin: _extreme(np.amin),
    np.min: _extreme(np.amin),
}


@quantize_values.register
def _(x: Interval, operation: op.Quantize) -> Interval:
    """Rounding is monotone, so the bounds round; a bound outside a WRAP format gives the whole range."""
    saturated = op.Quantize(operation.formats, operation.round, Overflow.SAT)
    clip = operation if operation.overflow is Overflow.SAT_SYM else saturated
    low, high = _rounded(x, clip)
    symmetric = operation.overflow is Overflow.SAT_SYM
    whole = Interval.full(operation.formats, x.shape[1:], symmetric=symmetric)
    inside = wraps_never(x, operation)
    f = np.broadcast_to(operation.formats.broadcast_to(x.shape[1:]).f, x.shape)
    fraction = np.where(inside & (x.f <= f), x.f, f)
    if operation.overflow is Overflow.WRAP:
        low, high = np.where(inside, low, whole.low), np.where(inside, high, whole.high)
    return Interval(low, high, fraction)


def wraps_never(x: Interval, operation: op.Quantize) -> np.ndarray:
    """Where both rounded bounds lie in the format, so that no overflow can happen."""
    shape = x.shape[1:]
    formats = operation.formats.broadcast_to(shape)
    whole = Interval.full(formats, shape, symmetric=operation.overflow is Overflow.SAT_SYM)
    # One more integer bit than the numbers need: rounds without limiting.
    need = formats_of(x)
    spare = np.maximum(need.i, formats.i) + 2
    loose = op.Quantize(
        Formats(np.ones_like(spare), np.maximum(spare, -formats.f), formats.f), operation.round, Overflow.SAT
    )
    low, high = _rounded(x, loose)
    inside: np.ndarray = np.asarray(np.less_equal(whole.low, low) & np.less_equal(high, whole.high)) | ~formats.alive
    return inside


def _rounded(x: Interval, operation: op.Quantize) -> tuple[Any, Any]:
    return quantize_values(x.low, operation), quantize_values(x.high, operation)


def formats_of(x: Interval) -> Formats:
    """The narrowest formats that hold the interval, without the batch axis; (0, 0, 0) where it is always 0."""
    fraction = max(x.low.fraction, x.high.fraction, int(x.f.max(initial=0)))
    low, high = x.low.at(fraction).astype(object), x.high.at(fraction).astype(object)
    zero = x.f == ZERO
    f = np.where(zero, 0, x.f)
    step = np.left_shift(np.ones(x.shape, object), (fraction - f).astype(object))
    above = np.where(high > 0, bit_length(np.where(high > 0, high + step - 1, 0).astype(object)) - fraction, -f)
    below = np.where(low < 0, bit_length(np.where(low < 0, -low - 1, 0).astype(object)) - fraction, -f)
    i = np.where(zero, 0, np.maximum(np.maximum(above, below), -f))
    return Formats(*(np.asarray(part)[0].astype(np.int64) for part in ((low < 0) & ~zero, i, f)))


@lookup_values.register
def _(_x: Interval, operation: op.Lookup) -> Interval:
    """Everything that the tables hold."""
    lows = np.array([int(t.min()) for t in operation.tables], dtype=np.int64)[operation.index][None]
    highs = np.array([int(t.max()) for t in operation.tables], dtype=np.int64)[operation.index][None]
    f = np.full(lows.shape, operation.fraction)
    return Interval(IntegerArray(lows, operation.fraction), IntegerArray(highs, operation.fraction), f)
