"""The activation at the end of a layer: exact nodes of the Graph, nothing, or a function that only trains."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hgq_core.errors import ConfigError
from hgq_core.graph.ops import Add, Clip, Compare, Maximum, Minimum, Multiply, Negate, Operation, Relu, Select
from hgq_core.layers.functions import FrameworkFunction
from hgq_core.numbers import SHORT_BITS, short

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = [
    "NAMED",
    "WITHOUT_NODES",
    "Activation",
    "Exact",
    "Rectifier",
    "activated",
    "limits",
    "rectifier",
    "unfit",
    "written",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rectifier:
    r"""A rectifier with a slope, an upper limit and a threshold, each of which may be 0 or missing.

    .. math:: y = \min(x [x > \theta], l) - s \max(\theta - x, 0)

    With a limit the first part is not below 0. Without a threshold this is ``x`` above 0 and ``s x`` below.

    Attributes:
        slope: s, below the threshold.
        limit: l, the largest value; None without.
        threshold: where it begins.
    """

    slope: float = 0.0
    limit: float | None = None
    threshold: float = 0.0


Exact = Relu | Clip | Rectifier
"""What has exact nodes of the Graph, without a table."""
Activation = Exact | FrameworkFunction | None
"""What is exact, a `FrameworkFunction`, which is not exported, or None."""

NAMED: Mapping[str, Exact | None] = MappingProxyType(
    {
        "linear": None,
        "relu": Relu(),
        "relu6": Clip(0.0, 6.0),
        "hard_tanh": Clip(-1.0, 1.0),
        "hardtanh": Clip(-1.0, 1.0),
    }
)
"""What is exact under a name alone: the names of Keras, and those of PyTorch where they differ."""
_SIXTH = "its slope is 1/6, which no fixed-point number is"
WITHOUT_NODES: Mapping[str, str] = MappingProxyType(
    {
        "hard_sigmoid": _SIXTH,
        "hardsigmoid": _SIXTH,
        "hard_silu": f"it is a product with a hard sigmoid, and {_SIXTH}",
        "hard_swish": f"it is a product with a hard sigmoid, and {_SIXTH}",
        "hardswish": f"it is a product with a hard sigmoid, and {_SIXTH}",
    }
)
"""Functions of straight lines that no exact nodes describe, and why."""


def unfit(slope: float = 0.0, limit: float | None = None, threshold: float = 0.0) -> str:
    """Why a rectifier of these numbers is not exact, empty if it is.

    A slope is multiplied with data, so that it must leave them room in float32: it has 12 significant bits, and so has
    a threshold that data are subtracted from.

    Args:
        slope: see `Rectifier`.
        limit: see `Rectifier`.
        threshold: see `Rectifier`.

    >>> unfit(slope=0.25), unfit(slope=0.3)
    ('', 'slope 0.3 has more than 12 significant bits; use a close one of few bits, such as 0.25 or 0.30004883')
    """
    given = {"slope": slope, "limit": 0.0 if limit is None else limit, "threshold": threshold}
    for what, number in given.items():
        if not isfinite(number):
            return f"{what} {number} is no number that hardware has"
    if limit is not None and limit < 0:
        return f"limit {limit:.7g} is below 0"
    for what in ("slope", "threshold") if slope else ():
        if float(short(given[what])) != float(np.float32(given[what])):
            near, coarse = float(short(given[what])), 2.0 ** np.rint(np.log2(abs(given[what])))
            return (
                f"{what} {given[what]:.7g} has more than {SHORT_BITS} significant bits; use a close one of few bits, "
                f"such as {np.copysign(coarse, given[what]):.8g} or {near:.8g}"
            )
    return ""


def limits(low: float, high: float) -> Clip:
    """``min(max(x, low), high)`` with limits as float32 holds them.

    Args:
        low: the smallest value.
        high: the largest value.

    Raises:
        ConfigError: limits that are not finite, or in the wrong order.

    >>> limits(-2, 2)
    Clip(low=-2.0, high=2.0)
    """
    given = tuple(float(np.float32(limit)) for limit in (low, high))
    if not all(map(isfinite, given)) or given[0] > given[1]:
        message = f"limits: received {low} and {high}, expected two finite numbers in order"
        raise ConfigError(message)
    return Clip(*given)


def rectifier(slope: float = 0.0, limit: float | None = None, threshold: float = 0.0) -> Exact:
    """The activation that `Rectifier` describes, as the simplest one that it is.

    Args:
        slope: see `Rectifier`.
        limit: see `Rectifier`.
        threshold: see `Rectifier`.

    Raises:
        ConfigError: numbers with which it is not exact, see `unfit`.

    >>> rectifier(), rectifier(limit=6), rectifier(0.25)
    (Relu(), Clip(low=0.0, high=6.0), Rectifier(slope=0.25, limit=None, threshold=0.0))
    """
    if reason := unfit(slope, limit, threshold):
        message = f"rectifier: {reason}"
        raise ConfigError(message)
    if not slope and not threshold:
        return Relu() if limit is None else limits(0.0, limit)
    top = None if limit is None else float(np.float32(limit))
    return Rectifier(float(np.float32(slope)), top, float(np.float32(threshold)))


def written(activation: Exact, x: _T, add: Callable[..., _T], constant: Callable[[float], _T]) -> _T:
    """The nodes of an exact activation, wherever they are written to; returns the last one.

    Args:
        activation: what is written.
        x: its operand.
        add: ``add(operation, *operands)`` appends an operation.
        constant: appends a number.
    """
    if not isinstance(activation, Rectifier):
        return add(activation, x)
    slope, limit, threshold = activation.slope, activation.limit, activation.threshold
    if not threshold and (limit is None or slope > 0):
        # The two lines meet at 0, where one of them becomes the larger one.
        choice: Operation = Maximum() if slope <= 1 else Minimum()
        y = add(choice, x, add(Multiply(), x, constant(slope)))
        return y if limit is None else add(Minimum(), y, constant(limit))
    if threshold:
        begins = constant(threshold)
        y = add(Select(), add(Compare(">"), x, begins), x, constant(0.0))
        y = y if limit is None else add(Clip(0.0, limit), y)
        below = add(Add(), add(Negate(), x), begins) if slope else x
    else:
        y = add(Clip(0.0, limit or 0.0), x)
        below = add(Negate(), x)
    return add(Add(), y, add(Multiply(), add(Relu(), below), constant(-slope))) if slope else y


def activated(t: Trace, y: Value, activation: Activation) -> Value:
    """``activation(y)``; it costs no EBOPs."""
    if activation is None:
        return y
    if isinstance(activation, FrameworkFunction):
        return t.applied(activation, y)

    def add(operation: Operation, *operands: Value) -> Value:
        return t.op(operation, *operands, share=0.0)

    return written(activation, y, add, t.constant)
