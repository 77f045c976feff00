"""Normalisation by the statistics of a batch, folded to a quantized scale and offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add, Multiply, Transpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace
    from hgq_core.ops import Ops

__all__ = ["BatchNormalization", "offset_of", "scale_of"]


@dataclass(frozen=True)
class BatchNormalization:
    """``y = x * kq(scale) + bq(offset)`` along one axis.

    ``scale = gamma / sqrt(variance + epsilon)``, ``offset = beta - mean * scale``.

    Attributes:
        epsilon: added to the variance.
        center: whether there is a learned offset.
        scale: whether there is a learned scale.
        gamma: slot of the learned scale, and so for the next ones.
        beta: of the learned offset.
        axis: of the channels, batch axis left out; negative ones count from the end.
    """

    epsilon: float
    center: bool = True
    scale: bool = True
    gamma: str = "gamma"
    beta: str = "beta"
    axis: int = -1

    def __call__(self, t: Trace, x: Value) -> Value:
        rank = len(t.shape(x))
        if not rank:
            message = "received shape (batch,), expected (batch, ..., channels)"
            raise ShapeError(message)
        if not -rank <= self.axis < rank:
            message = f"axis: received {self.axis}, expected an axis of {t.shape(x)} (batch axis left out)"
            raise ConfigError(message)
        axis = self.axis % rank
        if axis == rank - 1:
            return self._of_last(t, x)
        there = (*(n for n in range(rank) if n != axis), axis)
        back = tuple(int(n) for n in np.argsort(there))
        return t.op(Transpose(back), self._of_last(t, t.op(Transpose(there), x)))

    def _of_last(self, t: Trace, x: Value) -> Value:
        channels = t.shape(x)[-1:]
        part = t.part(composite="batch_norm")
        gamma = [part.stored(self.gamma, channels, start="ones")] if self.scale else []
        beta = [part.stored(self.beta, channels, start="zeros")] if self.center else []
        statistics = part.statistics(x, "moving_mean", "moving_variance", axes=tuple(range(len(t.shape(x)))))
        scale = part.computed(scale_of(self.epsilon), statistics, *gamma, shape=channels)
        offset = part.computed(offset_of, statistics, scale, *beta, shape=channels)
        y = part.op(Multiply(), x, part.quantized("kq", scale, place="weight", name="scale"))
        return part.op(Add(), y, part.quantized("bq", offset, place="bias", name="offset"))


def scale_of(epsilon: float) -> Callable[..., Any]:
    """``gamma / sqrt(variance + epsilon)``, a function of the array library, of statistics and of gamma, if any."""
    return _Scale(epsilon)


@dataclass(frozen=True)
class _Scale:
    epsilon: float

    def __call__(self, ops: Ops, statistics: Any, *gamma: Any) -> Any:
        scale = ops.rsqrt(statistics[1] + self.epsilon)
        return scale * gamma[0] if gamma else scale


def offset_of(ops: Ops, statistics: Any, scale: Any, *beta: Any) -> Any:  # noqa: ARG001
    """``beta - mean * scale``, of statistics, scale and beta, if any."""
    offset = -statistics[0] * scale
    return offset + beta[0] if beta else offset
