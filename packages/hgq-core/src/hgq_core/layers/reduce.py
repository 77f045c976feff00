"""Sums over axes of one tensor."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, isfinite, log2, prod
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.graph.ops import Multiply, Reduce
from hgq_core.numbers import checked

if TYPE_CHECKING:
    from hgq_core.graph.ops import Shape
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Mean", "Sum", "check_scale", "nearest_power_of_two"]


@dataclass(frozen=True)
class Sum:
    """``y = scale * sum(x)`` over axes.

    Attributes:
        axes: the batch axis left out; negative ones count from the end.
        scale: a power of two, which costs nothing.
        keepdims: keep them with size 1.
    """

    axes: tuple[int, ...] = (-1,)
    scale: float = 1.0
    keepdims: bool = False

    def __call__(self, t: Trace, x: Value) -> Value:
        check_scale(self.scale)
        y = t.op(Reduce("sum", own_axes(self.axes, t.shape(x)), self.keepdims), x)
        return y if self.scale == 1.0 else t.op(Multiply(), y, t.constant(self.scale, name="scale"), share=0.0)


@dataclass(frozen=True)
class Mean:
    """``y = 2**round(log2(1 / n)) * sum(x)`` over axes of n elements: their mean, where n is a power of two.

    Attributes:
        axes: the batch axis left out; negative ones count from the end.
        keepdims: keep them with size 1.
    """

    axes: tuple[int, ...] = (-1,)
    keepdims: bool = False

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        number = prod(shape[axis] for axis in own_axes(self.axes, shape))
        return Sum(self.axes, nearest_power_of_two(1 / number), self.keepdims)(t, x)


def own_axes(axes: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    """The axes counted from the start, in order; raises ConfigError for one that the shape does not have, or twice."""
    found = sorted({axis % len(shape) for axis in axes if -len(shape) <= axis < len(shape)})
    if len(found) < len(axes) or not found:
        message = f"axes: received {axes}, expected different axes of a shape {shape} (batch axis left out)"
        raise ConfigError(message)
    return tuple(found)


def nearest_power_of_two(value: float) -> float:
    """``2**round(log2(value))``, halves to even.

    >>> nearest_power_of_two(1 / 3), nearest_power_of_two(1 / 8)
    (0.25, 0.125)
    """
    return float(2.0 ** round(log2(value)))


def check_scale(scale: Any, argument: str = "scale") -> float:
    """The scale; raises ConfigError unless it is a power of two, which hardware has for nothing."""
    value = checked(scale, argument, "a power of two")
    if not isfinite(value) or frexp(value)[0] != 0.5:
        message = f"{argument}: received {scale!r}, expected a power of two, such as 0.25; other factors are weights"
        raise ConfigError(message)
    return value
