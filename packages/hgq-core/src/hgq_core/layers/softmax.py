"""Softmax of two trained tables."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Broadcast, Gather, Multiply, Pad, Reduce, Reshape, Subtract
from hgq_core.layers.functions import Exponential, Reciprocal
from hgq_core.layers.instances import parallel_share
from hgq_core.modes import Overflow, Round
from hgq_core.scope import resolved_parameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_core.graph.ops import Shape
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Softmax", "softmax_table"]


@dataclass(frozen=True, eq=False)
class Softmax:
    """``y = e * r``, ``e = exp(-input_scaler * (max(x) - x))``, ``r = 1 / sum(e)``; e and r are tables.

    Without ``stable``, ``e = exp(input_scaler * x)``. Slots: ``exp/iq, exp/oq, inv/iq, inv/oq``.

    With a mask the maximum and the sum are those of the elements that it holds, the others are 0 and cost nothing: a
    mask is known when hardware is built, so that it is wiring.

    Attributes:
        axes: over which it normalises, batch axis left out; negative ones count from the end.
        stable: subtract from the maximum first, so that no exponential overflows.
        input_scaler: factor of the input.
        heterogeneous_tables: whether each element has a table of its own; else one serves the tensor.
        parallelization_factor: vectors that are normalised in parallel, -1 for all.
        mask: of bools, True where an element takes part, broadcastable to the data without batch axis; None: all do.
        saturating: whether what is beyond the table of exponentials saturates by default; else as the scope says.
    """

    axes: tuple[int, ...] = (-1,)
    stable: bool = True
    input_scaler: float = 1.0
    heterogeneous_tables: bool = False
    parallelization_factor: int = -1
    mask: NDArray[np.bool_] | None = None
    saturating: bool = False

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        axes = tuple(sorted({axis % len(shape) for axis in self.axes if -len(shape) <= axis < len(shape)}))
        if len(axes) < len(self.axes) or not axes:
            message = f"axes: received {self.axes}, expected different axes of a shape {shape} (batch axis left out)"
            raise ConfigError(message)
        vectors = prod(n for axis, n in enumerate(shape) if axis not in axes)
        part = t.part(share=parallel_share(self.parallelization_factor, vectors), composite="softmax")
        masked = None if self.mask is None else _Masked.of(self.mask, shape, axes)
        if self.stable:
            own = x if masked is None else masked.filled(part, x)
            largest = part.op(Reduce("max", axes, keepdims=True), own, share=0.0)
            if masked is not None:
                x, largest = masked.kept(part, x), masked.kept(part, part.op(Broadcast(shape), largest))
            x = part.op(Subtract(), largest, x)
        elif masked is not None:
            x = masked.kept(part, x)
        exponential = Exponential(-self.input_scaler if self.stable else self.input_scaler)
        e = part.call("exp", _Table(exponential, self.heterogeneous_tables, self.saturating), x)
        if masked is not None:
            e = masked.restored(part, e)
        total = part.op(Reduce("sum", axes, keepdims=True), e)
        r = part.call("inv", _Table(Reciprocal(), self.heterogeneous_tables), total)
        return part.op(Multiply(), e, r)


@dataclass(frozen=True, eq=False)
class _Masked:
    """The moves of a masked softmax.

    Attributes:
        shape: of the data, without batch axis.
        places: of the elements that take part, in the flat data.
        fill: for each element the place of one that takes part, itself if it does, in the same vector.
    """

    shape: Shape
    places: NDArray[np.int64]
    fill: NDArray[np.int64]

    @classmethod
    def of(cls, mask: NDArray[np.bool_], shape: Shape, axes: tuple[int, ...]) -> _Masked:
        """The moves for data of this shape, normalised over these axes."""
        try:
            whole = np.broadcast_to(np.asarray(mask, bool), shape)
        except ValueError as error:
            message = f"mask: received shape {np.shape(mask)}, expected one that broadcasts to {shape} (batch left out)"
            raise ShapeError(message) from error
        if not np.all(np.any(whole, axis=axes)):
            message = "mask: a vector has no element that takes part; expected one at least in each"
            raise ConfigError(message)
        others = [axis for axis in range(len(shape)) if axis not in axes]
        order = (*others, *axes)
        places = np.arange(prod(shape)).reshape(shape).transpose(order).reshape(-1, prod(shape[n] for n in axes))
        rows = whole.transpose(order).reshape(places.shape)
        first = np.take_along_axis(places, np.argmax(rows, axis=1)[:, None], axis=1)
        fill = np.empty(prod(shape), np.int64)
        fill[places] = np.where(rows, places, first)
        return cls(shape, np.flatnonzero(whole), fill)

    def _flat(self, t: Trace, x: Value) -> Value:
        return t.op(Reshape((prod(self.shape),)), x)

    def filled(self, t: Trace, x: Value) -> Value:
        """The data with an element that takes part at each place."""
        return t.op(Reshape(self.shape), t.op(Gather(self.fill, 0), self._flat(t, x)))

    def kept(self, t: Trace, x: Value) -> Value:
        """The elements that take part, one behind the other."""
        return t.op(Gather(self.places, 0), self._flat(t, x))

    def restored(self, t: Trace, x: Value) -> Value:
        """Those elements at their places, and 0 at the others."""
        source = np.full(prod(self.shape), len(self.places))
        source[self.places] = np.arange(len(self.places))
        return t.op(Reshape(self.shape), t.op(Gather(source, 0), t.op(Pad(((0, 1),)), x)))


def softmax_table(*, heterogeneous: bool) -> dict[str, Any]:
    """Parameters of the output quantizer of a table of softmax: its numbers are positive, and saturate."""
    shared = {} if heterogeneous else {"heterogeneous_axis": ()}
    return {"k0": 0, "overflow_mode": Overflow.SAT, "round_mode": Round.RND_CONV, **shared}


@dataclass(frozen=True)
class _Table:
    function: Exponential | Reciprocal
    heterogeneous: bool
    saturating: bool = False

    def __call__(self, t: Trace, x: Value) -> Value:
        shared: dict[str, Any] = {} if self.heterogeneous else {"heterogeneous_axis": ()}
        if self.saturating and "overflow_mode" in resolved_parameters("default", "datalane", {})[2]:
            shared["overflow_mode"] = Overflow.SAT
        x = t.quantized("iq", x, **shared)
        return t.table("oq", self.function, x, **softmax_table(heterogeneous=self.heterogeneous))
