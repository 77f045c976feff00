"""Normalisation by the statistics of a batch, folded to a quantized scale and offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ShapeError
from hgq_core.graph.ops import Add, Multiply

if TYPE_CHECKING:
    from hgq_core.layers.program import Trace, Value
    from hgq_core.ops import Ops

__all__ = ["BatchNormalization"]


@dataclass(frozen=True)
class BatchNormalization:
    """``y = x * kq(scale) + bq(offset)`` along the last axis.

    ``scale = gamma / sqrt(variance + epsilon)``, ``offset = beta - mean * scale``.

    Attributes:
        epsilon: added to the variance.
        center: whether there is a learned offset.
        scale: whether there is a learned scale.
        gamma: slot of the learned scale, and so for the next ones.
        beta: of the learned offset.
    """

    epsilon: float
    center: bool = True
    scale: bool = True
    gamma: str = "gamma"
    beta: str = "beta"

    def __call__(self, t: Trace, x: Value) -> Value:
        if not t.shape(x):
            message = "received shape (batch,), expected (batch, ..., channels)"
            raise ShapeError(message)
        channels = t.shape(x)[-1:]
        part = t.part(composite="batch_norm")
        gamma = [part.stored(self.gamma, channels, start="ones")] if self.scale else []
        beta = [part.stored(self.beta, channels, start="zeros")] if self.center else []
        statistics = part.statistics(x, "moving_mean", "moving_variance", axes=tuple(range(len(t.shape(x)))))
        scale = part.computed(_Scale(self.epsilon), statistics, *gamma, shape=channels)
        offset = part.computed(_offset, statistics, scale, *beta, shape=channels)
        y = part.op(Multiply(), x, part.quantized("kq", scale, place="weight", name="scale"))
        return part.op(Add(), y, part.quantized("bq", offset, place="bias", name="offset"))


@dataclass(frozen=True)
class _Scale:
    epsilon: float

    def __call__(self, ops: Ops, statistics: Any, *gamma: Any) -> Any:
        scale = ops.rsqrt(statistics[1] + self.epsilon)
        return scale * gamma[0] if gamma else scale


def _offset(ops: Ops, statistics: Any, scale: Any, *beta: Any) -> Any:  # noqa: ARG001
    offset = -statistics[0] * scale
    return offset + beta[0] if beta else offset
