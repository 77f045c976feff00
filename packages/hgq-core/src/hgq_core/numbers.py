"""Numbers that users pass, checked where they are passed: what float32 cannot hold would be infinite or 0 in a step."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from hgq_core.errors import ConfigError

__all__ = [
    "LARGEST",
    "SHORT_BITS",
    "SMALLEST",
    "checked",
    "checked_affine",
    "checked_noise",
    "checked_scaler",
    "epsilon_of",
    "finite",
    "fraction",
    "not_negative",
    "sequence",
    "short",
]

LARGEST = float(np.finfo(np.float32).max)
"""Largest number of float32."""
SMALLEST = float(np.finfo(np.float32).tiny)
"""Smallest number above 0 of which float32 keeps all digits."""

SHORT_BITS = 12
"""Significant bits of a constant whose products with data float32 still holds."""


def short(numbers: Any) -> Any:
    """Numbers rounded to 12 significant bits, as averages of quantized layers are.

    >>> float(short(0.5)), float(short(1 / 3))
    (0.5, 0.3333740234375)
    """
    mantissa, exponent = np.frexp(numbers)
    return np.ldexp(np.rint(mantissa * 2.0**SHORT_BITS), exponent - SHORT_BITS)


def checked(value: Any, argument: str, expected: str) -> float:
    """The value as a float, also NaN and infinity.

    Raises:
        ConfigError: it is no real number.

    >>> checked(np.float32(0.5), "beta0", "a number")
    0.5
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        message = f"{argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return float(value)


def finite(value: Any, argument: str, *, zero: bool = True) -> float:
    """The value as a float that float32 holds too.

    Args:
        value: what was passed.
        argument: its name, for the error.
        zero: whether 0, and what float32 would take for 0, may be given.

    Raises:
        ConfigError: it is no number, NaN, infinite or beyond float32.

    >>> finite(-2, "scaler", zero=False)
    -2.0
    """
    expected = "a finite number" if zero else "a finite number other than 0"
    number = checked(value, argument, expected)
    if not abs(number) <= LARGEST or not (zero or abs(number) >= SMALLEST):
        message = f"{argument}: received {value!r}, expected {expected} that float32 holds"
        raise ConfigError(message)
    return number


def not_negative(value: Any, argument: str) -> float:
    """The value as a float of at least 0 that float32 holds too.

    Raises:
        ConfigError: it is no number, negative, NaN, infinite or beyond float32.

    >>> not_negative(0, "beta0")
    0.0
    """
    expected = "a finite number, 0 or larger"
    number = checked(value, argument, expected)
    if not 0 <= number <= LARGEST:
        message = f"{argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return number


def checked_scaler(value: Any) -> float | None:
    """A number other than 0 that float32 holds, or None; raises ConfigError for anything else.

    >>> checked_scaler(2)
    2.0
    """
    return None if value is None else finite(value, "scaler", zero=False)


def checked_affine(value: Any) -> tuple[float, float] | None:
    """``(scale, shift)``, both in float32 and the scale not 0, or None; raises ConfigError for anything else.

    >>> checked_affine([2, 0])
    (2.0, 0.0)
    """
    if value is None:
        return None
    expected = "(scale, shift), two finite numbers with a scale other than 0"
    pair = [checked(part, "affine", expected) for part in sequence(value, "affine", expected)]
    if len(pair) != 2 or not SMALLEST <= abs(pair[0]) <= LARGEST or not abs(pair[1]) <= LARGEST:
        message = f"affine: received {value!r}, expected {expected} that float32 holds"
        raise ConfigError(message)
    return pair[0], pair[1]


def checked_noise(value: Any) -> float | None:
    """A noise factor from 0 to 1, or None; raises ConfigError for anything else.

    >>> checked_noise(1)
    1.0
    """
    if value is None:
        return None
    return fraction(value, "qnoise_factor")


def fraction(value: Any, argument: str) -> float:
    """A part of a whole, such as the momentum of an average; raises ConfigError for anything else.

    >>> fraction(1, "momentum")
    1.0
    """
    expected = "a number from 0 to 1"
    number = checked(value, argument, expected)
    if not 0 <= number <= 1:
        message = f"{argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return number


def epsilon_of(value: Any, argument: str) -> float:
    """What is added to a variance before it is divided by: above 0 in float32 too; raises ConfigError for others.

    >>> epsilon_of(1e-3, "epsilon")
    0.001
    """
    expected = "a finite number above 0"
    number = checked(value, argument, expected)
    if not SMALLEST <= number <= LARGEST:
        message = f"{argument}: received {value!r}, expected {expected} that float32 holds"
        raise ConfigError(message)
    return number


def sequence(value: Any, argument: str, expected: str) -> list[Any]:
    """The parts of anything that can be looped over, but a text; raises ConfigError.

    >>> sequence((1, 2), "axes", "a tuple")
    [1, 2]
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        message = f"{argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return list(value)
