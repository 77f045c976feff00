"""Limits of a trained width, as Keras constraints on the stored float.

>>> as_constraint(Bounds(0, 23))
MinMax(min_value=0.0, max_value=23.0)
"""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.spec import WIDEST, Bounds
from hgq_keras._ops import KERAS, read

__all__ = ["Constant", "Max", "Min", "MinMax", "as_constraint"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class MinMax(keras.constraints.Constraint):
    """``w = min(max(w, min_value), max_value)``.

    Args:
        min_value: smallest width (bits).
        max_value: largest width (bits), at least `min_value`.

    Raises:
        ConfigError: a limit is not a finite number, they are the wrong way round, or they leave no width that a
            format can have.
    """

    def __init__(self, min_value: float, max_value: float) -> None:
        self.min_value = _bits("MinMax", "min_value", min_value)
        self.max_value = _bits("MinMax", "max_value", max_value)
        if self.min_value > self.max_value:
            message = (
                f"MinMax: received min_value={min_value} above max_value={max_value}; "
                "expected min_value <= max_value, swap them"
            )
            raise ConfigError(message)
        _check_possible("MinMax", self.min_value, self.max_value)

    def __call__(self, w: Any) -> Any:
        """The widths inside both limits."""
        return KERAS.clip(read(w), self.min_value, self.max_value)

    def get_config(self) -> dict[str, float]:
        """Keyword arguments that make an equal constraint."""
        return {"min_value": self.min_value, "max_value": self.max_value}

    def __repr__(self) -> str:
        return f"MinMax(min_value={self.min_value}, max_value={self.max_value})"


@keras.saving.register_keras_serializable(package="hgq_keras")
class Min(keras.constraints.Constraint):
    """``w = max(w, min_value)``.

    Args:
        min_value: smallest width (bits).

    Raises:
        ConfigError: the limit is not a finite number, or leaves no width that a format can have.
    """

    def __init__(self, min_value: float) -> None:
        self.min_value = _bits("Min", "min_value", min_value)
        _check_possible("Min", self.min_value, inf)

    def __call__(self, w: Any) -> Any:
        """The widths, at least the limit."""
        return keras.ops.maximum(w, self.min_value)

    def get_config(self) -> dict[str, float]:
        """Keyword arguments that make an equal constraint."""
        return {"min_value": self.min_value}

    def __repr__(self) -> str:
        return f"Min(min_value={self.min_value})"


@keras.saving.register_keras_serializable(package="hgq_keras")
class Max(keras.constraints.Constraint):
    """``w = min(w, max_value)``.

    Args:
        max_value: largest width (bits).

    Raises:
        ConfigError: the limit is not a finite number, or leaves no width that a format can have.
    """

    def __init__(self, max_value: float) -> None:
        self.max_value = _bits("Max", "max_value", max_value)
        _check_possible("Max", -inf, self.max_value)

    def __call__(self, w: Any) -> Any:
        """The widths, at most the limit."""
        return keras.ops.minimum(w, self.max_value)

    def get_config(self) -> dict[str, float]:
        """Keyword arguments that make an equal constraint."""
        return {"max_value": self.max_value}

    def __repr__(self) -> str:
        return f"Max(max_value={self.max_value})"


@keras.saving.register_keras_serializable(package="hgq_keras")
class Constant(keras.constraints.Constraint):
    """``w = value``: a width that training does not move.

    Args:
        value: the width (bits).

    Raises:
        ConfigError: the value is not a finite number, or no width that a format can have.
    """

    def __init__(self, value: float) -> None:
        self.value = _bits("Constant", "value", value)
        _check_possible("Constant", self.value, self.value)

    def __call__(self, w: Any) -> Any:
        """The value, in the shape of the widths."""
        return keras.ops.full_like(w, self.value)

    def get_config(self) -> dict[str, float]:
        """Keyword arguments that make an equal constraint."""
        return {"value": self.value}

    def __repr__(self) -> str:
        return f"Constant(value={self.value})"


def as_constraint(value: Any) -> keras.constraints.Constraint | None:
    """The Keras constraint that a quantizer specification means.

    Args:
        value: `Bounds` (an infinite side does not limit), anything that `keras.constraints.get` takes, or None.

    Returns:
        A Keras constraint, or None if nothing limits the width.

    Raises:
        ConfigError: anything else.

    >>> as_constraint(Bounds(low=1)), as_constraint(Bounds())
    (Min(min_value=1.0), None)
    """
    if isinstance(value, Bounds):
        if value.low == -inf:
            return Max(value.high) if value.high < inf else None
        return MinMax(value.low, value.high) if value.high < inf else Min(value.low)
    if value is None or isinstance(value, keras.constraints.Constraint):
        return value
    try:
        return keras.constraints.get(value)
    except (ValueError, TypeError) as error:
        message = (
            f"constraint of a width: received {value!r}, expected Bounds, a Keras constraint or None; "
            "write for example MinMax(0, 8)"
        )
        raise ConfigError(message) from error


def _bits(owner: str, name: str, value: Any) -> float:
    """A finite number of bits, as a float."""
    try:
        bits = float(value)
    except (TypeError, ValueError) as error:
        message = f"{owner}: received {name}={value!r}, expected a number of bits"
        raise ConfigError(message) from error
    if not isfinite(bits):
        message = f"{owner}: received {name}={value}, expected a finite number of bits; leave that side to Min or Max"
        raise ConfigError(message)
    return bits


def _check_possible(owner: str, low: float, high: float) -> None:
    """Raise ConfigError for limits that leave no width of which float32 holds the powers of two."""
    if low > WIDEST or high < -WIDEST:
        message = f"{owner}: received widths from {low:g} to {high:g} bits, expected some from {-WIDEST} to {WIDEST}"
        raise ConfigError(message)
