"""Exact arrays: integers times one power of two, on int64 where a width check allows it, else on Python integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import DataError, FormatError
from hgq_core.ops import NumpyOps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["EXACT", "ExactOps", "IntegerArray", "bit_length"]

_SAFE = 2**62
_MOVES = {
    np.reshape, np.transpose, np.take, np.broadcast_to, np.repeat, np.pad, np.squeeze, np.expand_dims, np.moveaxis,
    np.amax, np.amin, np.max, np.min,
}  # fmt: skip


def bit_length(integers: np.ndarray) -> np.ndarray:
    """Bits of each non-negative integer, 0 for 0.

    >>> bit_length(np.array([0, 1, 4, 2**62 - 1]))
    array([ 0,  1,  3, 62])
    """
    if integers.dtype == object:
        flat = [int(n).bit_length() for n in integers.ravel()]
        return np.array(flat, dtype=np.int64).reshape(integers.shape)
    guess: np.ndarray = np.frexp(integers.astype(np.float64))[1].astype(np.int64)
    # float64 may round a large integer up to the next power of two.
    overshoot = (guess > 0) & ((integers >> np.maximum(guess - 1, 0)) == 0)
    bits: np.ndarray = guess - overshoot
    return bits


def _largest(integers: np.ndarray) -> int:
    return max(abs(int(integers.max())), abs(int(integers.min()))) if integers.size else 0


class IntegerArray:
    """``integers * 2**-fraction``, exact under every operation that the Graph has.

    >>> a = IntegerArray.of(np.array([0.75, -2.0]))
    >>> (a + a).values
    array([ 1.5, -4. ])
    """

    def __init__(self, integers: Any, fraction: int) -> None:
        integers = np.asarray(integers)  # Python's integers come out of operations on arrays without axes
        if integers.dtype != object and _largest(integers) >= _SAFE:
            integers = integers.astype(object)
        self.integers: np.ndarray = integers
        self.fraction = fraction

    @classmethod
    def of(cls, values: Any) -> IntegerArray:
        """The exact array that equals finite floats or integers; raises DataError for NaN or infinity."""
        if isinstance(values, IntegerArray):
            return values
        array = np.asarray(values)
        if array.dtype.kind in "iub":
            return cls(array.astype(np.int64), 0)
        array = array.astype(np.float64)
        if not np.all(np.isfinite(array)):
            message = "received NaN or infinity, expected finite numbers"
            raise DataError(message)
        mantissa, exponent = np.frexp(array)
        significand = np.ldexp(mantissa, 53).astype(np.int64)
        nonzero = significand != 0
        if not nonzero.any():
            return cls(np.zeros(array.shape, np.int64), 0)
        trailing = bit_length(significand & -significand) - 1
        fraction = int(np.max((53 - exponent - trailing)[nonzero]))
        shift = np.where(nonzero, exponent - 53 + fraction, 0)
        down = significand >> np.clip(-shift, 0, 63)
        up = np.clip(shift, 0, None)
        if int(np.max(bit_length(np.abs(down)) + up)) < 62:
            return cls(down << up, fraction)
        return cls(down.astype(object) << up.astype(object), fraction)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.integers.shape

    @property
    def ndim(self) -> int:
        return self.integers.ndim

    @property
    def values(self) -> np.ndarray:
        """As float64; raises FormatError if an element needs more than 53 bits."""
        trailing = np.maximum(bit_length(self.integers & -self.integers) - 1, 0)
        odd = self.integers >> trailing.astype(self.integers.dtype)
        if _largest(odd) > 2**53:
            message = "an element needs more than 53 bits and has no float64 value; narrow the output with a Quantize"
            raise FormatError(message)
        floats: np.ndarray = np.ldexp(odd.astype(np.float64), trailing - self.fraction)
        return floats

    def at(self, fraction: int) -> np.ndarray:
        """The integers in units of ``2**-fraction``, which must not be coarser than the array's own."""
        shift = fraction - self.fraction
        if shift < 0:
            message = f"cannot express multiples of 2**-{self.fraction} in units of 2**-{fraction}"
            raise FormatError(message)
        integers = self.integers
        if integers.dtype != object and (shift > 61 or _largest(integers) >= _SAFE >> shift):
            integers = integers.astype(object)
        # NumPy makes a bare number of an array of no axes.
        return integers << shift if integers.dtype != object else np.asarray(integers * (1 << shift), object)

    def __getitem__(self, key: Any) -> IntegerArray:
        return IntegerArray(self.integers[key], self.fraction)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if function in _MOVES:
            moved = function(args[0].integers, *args[1:], **kwargs)
            if function is np.pad and moved.dtype == object:
                moved = _as_python(moved)
            return IntegerArray(moved, self.fraction)
        handler = _FUNCTIONS.get(function)
        return NotImplemented if handler is None else handler(*args, **kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        operands = [IntegerArray.of(a) for a in args]
        if ufunc is np.multiply:
            a, b = _widened(operands, _largest(operands[0].integers) * _largest(operands[1].integers))
            return IntegerArray(a * b, operands[0].fraction + operands[1].fraction)
        if ufunc not in _ALIGNED:
            return NotImplemented
        fraction = max(o.fraction for o in operands)
        parts = [o.at(fraction) for o in operands]
        result = ufunc(*parts)
        return result.astype(bool) if ufunc in _COMPARISONS else IntegerArray(result, fraction)

    def __add__(self, other: Any) -> Any:
        return _ufunc(np.add, self, other)

    def __sub__(self, other: Any) -> Any:
        return _ufunc(np.subtract, self, other)

    def __mul__(self, other: Any) -> Any:
        return _ufunc(np.multiply, self, other)

    def __neg__(self) -> Any:
        return _ufunc(np.negative, self)


def _as_python(integers: np.ndarray) -> np.ndarray:
    """With every element unbounded: NumPy fills an array of Python's integers with integers of its own."""
    result = np.empty(integers.shape, object)
    result.ravel()[:] = [int(n) for n in integers.ravel()]
    return result


def _ufunc(ufunc: Callable[..., Any], *operands: Any) -> Any:
    """Called as a plain function: NumPy's stubs do not know that a ufunc dispatches on its operands."""
    return ufunc(*operands)


_COMPARISONS = {np.less, np.less_equal, np.equal, np.not_equal, np.greater_equal, np.greater}
_ALIGNED = {np.add, np.subtract, np.negative, np.maximum, np.minimum} | _COMPARISONS


def _widened(operands: Sequence[IntegerArray], bound: int) -> list[np.ndarray]:
    """The operands' integers, as Python integers if a result may reach ``bound`` beyond int64."""
    if bound < _SAFE and all(o.integers.dtype != object for o in operands):
        return [o.integers for o in operands]
    return [o.integers.astype(object) for o in operands]


def _einsum(equation: str, a: Any, b: Any) -> IntegerArray:
    operands = [IntegerArray.of(a), IntegerArray.of(b)]
    inputs, _, output = equation.partition("->")
    sizes: dict[str, int] = {}
    for term, operand in zip(inputs.split(","), operands, strict=True):
        sizes.update(zip(term, operand.shape, strict=True))
    terms = int(np.prod([n for letter, n in sizes.items() if letter not in output], dtype=np.int64))
    bound = _largest(operands[0].integers) * _largest(operands[1].integers) * max(terms, 1)
    first, second = _widened(operands, bound)
    return IntegerArray(np.einsum(equation, first, second), operands[0].fraction + operands[1].fraction)


def _sum(x: IntegerArray, axis: Any = None, *, keepdims: bool = False) -> IntegerArray:
    (integers,) = _widened([x], _largest(x.integers) * max(x.integers.size, 1))
    return IntegerArray(np.asarray(np.sum(integers, axis=axis, keepdims=keepdims)), x.fraction)


def _joined(function: Callable[..., Any]) -> Callable[..., IntegerArray]:
    def joined(arrays: Sequence[Any], axis: int = 0) -> IntegerArray:
        parts = [IntegerArray.of(a) for a in arrays]
        fraction = max(p.fraction for p in parts)
        return IntegerArray(function([p.at(fraction) for p in parts], axis=axis), fraction)

    return joined


def _where(condition: Any, a: Any, b: Any) -> IntegerArray:
    first, second = IntegerArray.of(a), IntegerArray.of(b)
    fraction = max(first.fraction, second.fraction)
    return IntegerArray(np.where(np.asarray(condition), first.at(fraction), second.at(fraction)), fraction)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.einsum: _einsum,
    np.sum: _sum,
    np.concatenate: _joined(np.concatenate),
    np.stack: _joined(np.stack),
    np.where: _where,
}


class ExactOps(NumpyOps):
    """The verbs of NumPy, with exact arrays also where no operand is one: plain arrays of numbers would round."""

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return super().where(condition, IntegerArray.of(a), IntegerArray.of(b))

    def constant(self, values: Any) -> Any:
        return IntegerArray.of(values)


EXACT = ExactOps()
"""The verbs of exact arrays; they have no state."""
