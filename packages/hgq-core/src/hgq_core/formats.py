"""Fixed-point and minifloat formats as value types; integer and fraction bits exclude the sign and may be negative."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import DataError, FormatError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["FixedPoint", "Formats", "MiniFloat", "integer_bits_for"]


_MOST = 2**20
"""More bits than any number has; a larger count is a mistake."""

_MOST_EXPONENT_BITS = 20
"""Exponents of more bits span more than `_MOST` binary places."""


def _check_counts(**bits: object) -> None:
    """Raise FormatError for what is no whole number, or more bits than any number has."""
    for name, count in bits.items():
        if not isinstance(count, int | np.integer) or abs(int(count)) > _MOST:
            message = f"{name} counts bits: received {count!r}, expected a whole number of at most {_MOST}"
            raise FormatError(message)


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """One fixed-point format: multiples of ``2**-f`` in ``[-k * 2**i, 2**i - 2**-f]``.

    Attributes:
        k: 1 keeps negative values (sign bit), 0 does not.
        i: integer bits without the sign, may be negative.
        f: fraction bits, may be negative; the step is ``2**-f``.

    >>> FixedPoint(1, 2, 3).highest, FixedPoint(1, 2, 3).lowest, FixedPoint(1, 2, 3).width
    (Fraction(31, 8), Fraction(-4, 1), 6)
    """

    k: int
    i: int
    f: int

    def __post_init__(self) -> None:
        if self.k not in (0, 1):
            message = f"k is the sign bit: received {self.k!r}, expected 0 or 1"
            raise FormatError(message)
        _check_counts(k=self.k, i=self.i, f=self.f)

    @property
    def width(self) -> int:
        """Total width in bits, sign included; 0 for a dead format, whose only value is 0."""
        return max(self.k + self.i + self.f, 0)

    @property
    def step(self) -> Fraction:
        """Distance of two neighbouring values, ``2**-f``."""
        return Fraction(2) ** -self.f

    @property
    def highest(self) -> Fraction:
        """Largest value, ``2**i - 2**-f``; 0 if dead."""
        return Fraction(2) ** self.i - self.step if self.width else Fraction(0)

    @property
    def lowest(self) -> Fraction:
        """Smallest value, ``-k * 2**i``; 0 if dead. In SAT_SYM it is ``-k * highest``."""
        return -self.k * Fraction(2) ** self.i if self.width else Fraction(0)


@dataclass(frozen=True, slots=True, eq=False)
class Formats:
    """Fixed-point formats of the elements of one tensor: three integer arrays of one shape (bits).

    The shape broadcasts to the tensor's shape without the batch axis.

    Attributes:
        k: 1 where negative numbers are kept, else 0.
        i: integer bits, without the sign.
        f: fraction bits.

    >>> formats = Formats.of(1, [2, 3], 4)
    >>> formats.width
    array([7, 8])
    """

    k: NDArray[np.int64]
    i: NDArray[np.int64]
    f: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in "kif":
            part: object = getattr(self, name)
            if not isinstance(part, np.ndarray | np.integer) or part.dtype.kind not in "iu":
                message = f"{name} counts bits: received {part!r}, expected an array of integers; see Formats.of"
                raise FormatError(message)
            object.__setattr__(self, name, np.asarray(part, dtype=np.int64))
        if not self.k.shape == self.i.shape == self.f.shape:
            shapes = [self.k.shape, self.i.shape, self.f.shape]
            message = f"k, i, f of shapes {shapes}: expected one shape; see Formats.of"
            raise FormatError(message)

    @classmethod
    def of(cls, k: ArrayLike, i: ArrayLike, f: ArrayLike) -> Formats:
        """Formats from anything array-like, broadcast together.

        Raises:
            FormatError: bits that are no whole numbers, or k outside {0, 1}.
        """
        try:
            arrays = [np.asarray(part) for part in (k, i, f)]
        except ValueError as error:
            message = f"k, i, f count bits: received {k!r}, {i!r}, {f!r}, expected whole numbers in arrays"
            raise FormatError(message) from error
        for name, part in zip("kif", arrays, strict=True):
            if part.dtype.kind == "b":
                continue
            whole = part.dtype.kind in "iuf" and np.all(np.isfinite(part)) and np.all(part == np.rint(part))
            if not whole or np.any(np.abs(part) > _MOST):
                message = f"{name} counts bits: received {part!r}, expected whole numbers of at most {_MOST}"
                raise FormatError(message)
        try:
            k_, i_, f_ = (np.array(part, dtype=np.int64) for part in np.broadcast_arrays(*arrays))
        except ValueError as error:
            message = f"k, i, f of shapes {[part.shape for part in arrays]} do not broadcast together"
            raise FormatError(message) from error
        if np.any((k_ != 0) & (k_ != 1)):
            message = f"k is the sign bit: received {np.unique(k_)}, expected 0 or 1"
            raise FormatError(message)
        return cls(k_, i_, f_)

    @classmethod
    def covering(cls, values: ArrayLike) -> Formats:
        """The narrowest format of each element that holds it exactly; k is set for negative elements only.

        >>> [int(bits[0]) for bits in (lambda c: (c.k, c.i, c.f))(Formats.covering([-0.75]))]
        [1, 0, 2]
        """
        array = np.asarray(values, dtype=np.float64)
        if not np.all(np.isfinite(array)):
            message = "values to cover contain NaN or infinity; expected finite numbers, check the weights"
            raise DataError(message)
        mantissa, exponent = np.frexp(array)
        integers = (mantissa * 2.0**53).astype(np.int64)
        trailing = np.where(integers == 0, 0, np.frexp((integers & -integers).astype(np.float64))[1] - 1)
        f = np.where(integers == 0, 0, 53 - exponent - trailing)
        k = (array < 0).astype(np.int64)
        i = np.where(integers == 0, 0, exponent - ((mantissa == -0.5) & (k == 1)))
        return cls(*(np.asarray(part, np.int64) for part in (k, i, f)))  # of a single number too

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the three arrays."""
        return self.k.shape

    @property
    def width(self) -> NDArray[np.int64]:
        """Total width in bits, sign included; 0 where dead."""
        width: NDArray[np.int64] = np.maximum(self.k + self.i + self.f, 0)
        return width

    @property
    def alive(self) -> NDArray[np.bool_]:
        """False where the only value is 0, i.e. ``k + i + f <= 0``."""
        return self.k + self.i + self.f > 0

    @property
    def step(self) -> NDArray[np.float64]:
        """``2**-f``."""
        return np.ldexp(1.0, -self.f)

    @property
    def highest(self) -> NDArray[np.float64]:
        """``2**i - 2**-f``; 0 where dead. Exact up to 53 bits."""
        return np.where(self.alive, np.ldexp(1.0, self.i) - self.step, 0.0)

    @property
    def lowest(self) -> NDArray[np.float64]:
        """``-k * 2**i``; 0 where dead."""
        return np.where(self.alive, -self.k * np.ldexp(1.0, self.i), 0.0)

    def broadcast_to(self, shape: tuple[int, ...]) -> Formats:
        """The same formats repeated to ``shape``; raises ShapeError if they do not fit."""
        try:
            return Formats(*(np.array(np.broadcast_to(part, shape)) for part in (self.k, self.i, self.f)))
        except ValueError as error:
            message = f"formats of shape {self.shape} do not broadcast to the tensor's shape {shape}"
            raise ShapeError(message) from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Formats):
            return NotImplemented
        return all(np.array_equal(getattr(self, part), getattr(other, part)) for part in "kif")

    __hash__ = None  # type: ignore[assignment]  # arrays are compared by value and are not hashable


@dataclass(frozen=True, slots=True)
class MiniFloat:
    """A small float with subnormals, a sign, and neither inf nor nan.

    Attributes:
        m: mantissa bits without the sign; -1 means that every value is 0.
        e: exponent bits.
        e0: exponent offset.

    >>> MiniFloat(2, 4, 0).highest, MiniFloat(2, 4, 0).step
    (Fraction(224, 1), Fraction(1, 512))
    """

    m: int
    e: int
    e0: int

    def __post_init__(self) -> None:
        _check_counts(m=self.m, e=self.e, e0=self.e0)
        if self.m < -1 or not 0 <= self.e <= _MOST_EXPONENT_BITS:
            message = f"received m={self.m}, e={self.e}; expected m >= -1 and e from 0 to {_MOST_EXPONENT_BITS}"
            raise FormatError(message)

    @property
    def width(self) -> int:
        """Total bits, ``m + e + 1``; 0 if dead."""
        return self.m + self.e + 1 if self.m >= 0 else 0

    @property
    def exponents(self) -> tuple[int, int]:
        """Smallest and largest exponent of a normal number: ``e0 + 1 - 2**(e-1)`` and ``e0 - 1 + 2**(e-1)``.

        Without exponent bits (e = 0) there are only subnormal numbers, of exponent ``e0 + 1``.
        """
        half = 2 ** (self.e - 1) if self.e else 0
        return self.e0 + 1 - half, max(self.e0 - 1 + half, self.e0 + 1 - half)

    @property
    def highest(self) -> Fraction:
        """``2**(2**(e-1) + e0 - 1) * (2 - 2**-m)``; the largest subnormal number if e = 0, and 0 if dead."""
        if self.m < 0:
            return Fraction(0)
        leading = 2 if self.e else 1
        return Fraction(2) ** self.exponents[1] * (leading - Fraction(2) ** -self.m)

    @property
    def step(self) -> Fraction:
        """Smallest positive value, ``2**(-2**(e-1) + e0 + 1) * 2**-m``."""
        return Fraction(2) ** (self.exponents[0] - self.m)


def integer_bits_for(lowest: Fraction, highest: Fraction, f: int) -> int:
    """The fewest integer bits for which ``lowest`` and ``highest``, both multiples of ``2**-f``, are representable.

    >>> integer_bits_for(Fraction(-4), Fraction(0), 0), integer_bits_for(Fraction(0), Fraction(4), 0)
    (2, 3)
    """
    i = -f
    while Fraction(2) ** i - Fraction(2) ** -f < highest or -(Fraction(2) ** i) > lowest:
        i += 1
    return i
