"""Numbers that users pass, checked where they are passed."""

from __future__ import annotations

from math import inf
from numbers import Integral
from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.numbers import epsilon_of, fraction, sequence
from hgq_keras.constraints import Constant, Max, Min, MinMax

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "averaging",
    "check_axes",
    "check_start",
    "data_format_of",
    "integer",
    "known_padding",
    "partial_shape",
    "positive_integer",
    "replicas",
    "several_shapes",
    "sizes",
    "start_inside",
]


def integer(value: Any, argument: str, expected: str = "an integer", lowest: float = -inf) -> int:
    """The value as an int; raises ConfigError for anything else than a whole number, of at least ``lowest``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
        message = f"{argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return int(value)


def positive_integer(value: Any, argument: str) -> int:
    """The value as an int; raises ConfigError for anything else than a whole number of at least 1."""
    return integer(value, argument, "a positive integer", 1)


def sizes(value: Any, number: int, argument: str) -> tuple[int, ...]:
    """One positive integer for each of ``number`` axes; a single one stands for all of them."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * number
    if len(values) != number:
        message = f"{argument}: received {value!r}, expected {number} positive integer(s)"
        raise ConfigError(message)
    return tuple(positive_integer(n, argument) for n in values)


def data_format_of(data_format: str | None, layer: str) -> str:
    """Where channels are, as the layer or Keras says; raises ConfigError for another word."""
    chosen = data_format or keras.config.image_data_format()
    if chosen not in ("channels_last", "channels_first"):
        expected = "'channels_last' or 'channels_first'"
        message = f"layer {layer!r}: data_format: received {data_format!r}, expected {expected}"
        raise ConfigError(message)
    return str(chosen)


def several_shapes(shapes: Any, layer: str) -> list[Any]:
    """The shapes of several inputs; raises ConfigError for the shape of one."""
    if not all(isinstance(shape, list | tuple) for shape in shapes):
        message = f"layer {layer!r}: received one tensor of shape {tuple(shapes)}, expected a list, as in layer([x, y])"
        raise ConfigError(message)
    return list(shapes)


def known_padding(padding: Any, known: tuple[str, ...], layer: str) -> str:
    """The padding in small letters; raises ConfigError for one that the layer does not have."""
    if not isinstance(padding, str) or padding.lower() not in known:
        message = f"layer {layer!r}: padding {padding!r} is unknown; expected one of {known}"
        raise ConfigError(message)
    return padding.lower()


def check_axes(parameters: Mapping[str, Any]) -> None:
    """Raise ConfigError for axes that are no tuple of integers."""
    for name in ("homogeneous_axis", "heterogeneous_axis"):
        value = parameters.get(name)
        if value is None:
            continue
        expected = "a tuple of axes, such as (1,) or ()"
        if any(isinstance(axis, bool) or not isinstance(axis, Integral) for axis in sequence(value, name, expected)):
            message = f"{name}: received {value!r}, expected {expected}"
            raise ConfigError(message)


def check_start(name: str, start: Any) -> None:
    """Raise ConfigError for an initial width that is neither a number nor an initialiser of Keras."""
    message = f"{name}: received {start!r}, expected a number of bits or a Keras initializer"
    if isinstance(start, bool):
        raise ConfigError(message)
    if isinstance(start, int | float):
        return
    try:
        keras.initializers.get(start)
    except (ValueError, TypeError) as error:
        raise ConfigError(message) from error


def start_inside(name: str, start: Any, limit: str, constraint: Any, *, given: bool) -> Any:
    """The initial width if its constraint allows it.

    Args:
        name: name of the initial width.
        start: the initial width; an initialiser is not looked into.
        limit: name of the constraint.
        constraint: Keras constraint or None.
        given: whether the caller chose the width; one that a scope or a default brings starts at the edge of limits
            that it is outside of.

    Raises:
        ConfigError: a chosen width outside of the limits, which would give numbers that no format holds.
    """
    low, high = _limits(constraint)
    if isinstance(start, bool) or not isinstance(start, int | float) or low <= start <= high:
        return start
    if given:
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


def averaging(momentum: Any, epsilon: Any, layer: str) -> tuple[float, float]:
    """Momentum and epsilon of a batch normalisation; raises ConfigError for numbers that no average has."""
    title = f"layer {layer!r}"
    return fraction(momentum, f"{title}: momentum"), epsilon_of(epsilon, f"{title}: epsilon")


def replicas(synchronized: Any, layer: str) -> bool:
    """Whether statistics are those of all replicas; raises ConfigError where Keras cannot do that."""
    if synchronized and keras.backend.backend() != "tensorflow":
        message = (
            f"layer {layer!r}: received synchronized=True on {keras.backend.backend()}; only TensorFlow has it, "
            "expected False"
        )
        raise ConfigError(message)
    return bool(synchronized)


def partial_shape(value: Any) -> tuple[int | None, ...]:
    """Sizes of the output's own axes; raises ConfigError for anything but positive integers and None."""
    sizes = tuple(value) if isinstance(value, list | tuple) else (value,)
    return tuple(None if size is None else positive_integer(size, "output_shape") for size in sizes)
