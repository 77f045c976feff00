"""Numbers that users pass, checked where they are passed."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from typing import Any

from hgq_core.errors import ConfigError

__all__ = ["not_negative", "positive_integer", "real"]


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
