"""Softmax of two trained tables."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.graph.ops import Multiply, Reduce, Subtract
from hgq_core.layers.functions import Exponential, Reciprocal
from hgq_core.layers.instances import parallel_share
from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from hgq_core.layers.program import Trace, Value

__all__ = ["Softmax", "softmax_table"]


@dataclass(frozen=True)
class Softmax:
    """``y = e * r``, ``e = exp(-input_scaler * (max(x) - x))``, ``r = 1 / sum(e)``; e and r are tables.

    Without ``stable``, ``e = exp(input_scaler * x)``. Slots: ``exp/iq, exp/oq, inv/iq, inv/oq``.

    Attributes:
        axes: over which it normalises, batch axis left out; negative ones count from the end.
        stable: subtract from the maximum first, so that no exponential overflows.
        input_scaler: factor of the input.
        heterogeneous_tables: whether each element has a table of its own; else one serves the tensor.
        parallelization_factor: vectors that are normalised in parallel, -1 for all.
    """

    axes: tuple[int, ...] = (-1,)
    stable: bool = True
    input_scaler: float = 1.0
    heterogeneous_tables: bool = False
    parallelization_factor: int = -1

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        axes = tuple(sorted({axis % len(shape) for axis in self.axes if -len(shape) <= axis < len(shape)}))
        if len(axes) < len(self.axes) or not axes:
            message = f"axes: received {self.axes}, expected different axes of a shape {shape} (batch axis left out)"
            raise ConfigError(message)
        vectors = prod(n for axis, n in enumerate(shape) if axis not in axes)
        part = t.part(share=parallel_share(self.parallelization_factor, vectors), composite="softmax")
        if self.stable:
            x = part.op(Subtract(), part.op(Reduce("max", axes, keepdims=True), x, share=0.0), x)
        exponential = Exponential(-self.input_scaler if self.stable else self.input_scaler)
        e = part.call("exp", _Table(exponential, self.heterogeneous_tables), x)
        total = part.op(Reduce("sum", axes, keepdims=True), e)
        r = part.call("inv", _Table(Reciprocal(), self.heterogeneous_tables), total)
        return part.op(Multiply(), e, r)


def softmax_table(*, heterogeneous: bool) -> dict[str, Any]:
    """Parameters of the output quantizer of a table of softmax: its numbers are positive, and saturate."""
    shared = {} if heterogeneous else {"heterogeneous_axis": ()}
    return {"k0": 0, "overflow_mode": Overflow.SAT, "round_mode": Round.RND_CONV, **shared}


@dataclass(frozen=True)
class _Table:
    function: Exponential | Reciprocal
    heterogeneous: bool

    def __call__(self, t: Trace, x: Value) -> Value:
        shared: dict[str, Any] = {} if self.heterogeneous else {"heterogeneous_axis": ()}
        x = t.quantized("iq", x, **shared)
        return t.table("oq", self.function, x, **softmax_table(heterogeneous=self.heterogeneous))
