"""Numbers that users pass, checked where they are passed."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError
from hgq_keras.constraints import Constant, Max, Min, MinMax

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

__all__ = [
    "check_axes",
    "checked_affine",
    "checked_noise",
    "checked_scaler",
    "not_negative",
    "positive_integer",
    "real",
    "start_inside",
]


def real(value: Any, argument: str, expected: str) -> float:
    """The value as a float, also nan and infinity; raises ConfigError for what is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        message = f"{argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return float(value)


def not_negative(value: Any, argument: str) -> float:
    """The value as a float; raises ConfigError for anything else than a finite number of at least 0."""
    expected = "a finite number, 0 or larger"
    number = real(value, argument, expected)
    if not isfinite(number) or number < 0:
        message = f"{argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return number


def positive_integer(value: Any, argument: str) -> int:
    """The value as an int; raises ConfigError for anything else than a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        message = f"{argument}: received {value!r}, expected a positive integer"
        raise ConfigError(message)
    return int(value)


def checked_scaler(value: Any) -> float | None:
    """A finite number other than 0, or None."""
    if value is None:
        return None
    expected = "a finite number other than 0"
    number = real(value, "scaler", expected)
    if not isfinite(number) or number == 0:
        message = f"scaler: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return number


def checked_affine(value: Any) -> tuple[float, float] | None:
    """``(scale, shift)``, both finite and the scale not 0, or None."""
    if value is None:
        return None
    expected = "(scale, shift), two finite numbers with a scale other than 0"
    pair = [real(part, "affine", expected) for part in _sequence(value, "affine", expected)]
    if len(pair) != 2 or not all(map(isfinite, pair)) or pair[0] == 0:
        message = f"affine: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return pair[0], pair[1]


def checked_noise(value: Any) -> float | None:
    """A number from 0 to 1, or None."""
    if value is None:
        return None
    expected = "a number from 0 to 1"
    number = real(value, "qnoise_factor", expected)
    if not 0 <= number <= 1:
        message = f"qnoise_factor: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return number


def check_axes(parameters: Mapping[str, Any]) -> None:
    """Raise ConfigError for axes that are no tuple of integers."""
    for name in ("homogeneous_axis", "heterogeneous_axis"):
        value = parameters.get(name)
        if value is None:
            continue
        expected = "a tuple of axes, such as (1,) or ()"
        if any(isinstance(axis, bool) or not isinstance(axis, Integral) for axis in _sequence(value, name, expected)):
            message = f"{name}: received {value!r}, expected {expected}"
            raise ConfigError(message)


def _sequence(value: Any, argument: str, expected: str) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        message = f"{argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return list(value)


def start_inside(name: str, start: Any, limit: str, constraint: Any, usual: Any, *, given: bool) -> Any:
    """The initial width if its constraint allows it.

    Args:
        name: name of the initial width.
        start: the initial width; an initialiser is not looked into, and nan and infinity are refused when it is built.
        limit: name of the constraint.
        constraint: Keras constraint or None.
        usual: the default, which starts at the edge of limits that it is outside of.
        given: whether the width stands beside its constraint, so that it was chosen even if it is the default.

    Raises:
        ConfigError: a chosen width outside of the limits, which would give numbers that no format holds.
    """
    low, high = _limits(constraint)
    if isinstance(start, bool) or not isinstance(start, int | float | np.number):
        return start
    if low <= start <= high or not isfinite(start):
        return start
    if given or start != usual:
        message = f"{name}: received {start}, which {limit}={constraint!r} does not allow; expected {low:g} to {high:g}"
        raise ConfigError(message)
    edge = low if start < low else high
    return int(edge) if edge.is_integer() else edge


def _limits(constraint: keras.constraints.Constraint | None) -> tuple[float, float]:
    """The smallest and the largest width that a constraint of this package leaves; infinite where it has no limit."""
    if isinstance(constraint, Constant):
        return constraint.value, constraint.value
    low = constraint.min_value if isinstance(constraint, Min | MinMax) else -inf
    high = constraint.max_value if isinstance(constraint, Max | MinMax) else inf
    return low, high
