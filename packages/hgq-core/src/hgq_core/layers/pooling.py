"""Maximum and average over windows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from hgq_core.errors import ShapeError
from hgq_core.graph.ops import Multiply, Reshape
from hgq_core.layers.instances import parallel_share
from hgq_core.linear import Pool, average_scale, explicit_pads

if TYPE_CHECKING:
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["GlobalPooling", "Pooling"]


@dataclass(frozen=True)
class Pooling:
    """Maximum or average over windows of ``(*spatial, channels)``.

    An average is a sum times ``1 / n``, n without padding; where n is no power of two, ``1 / n`` is rounded to 12
    significant bits, so that training and hardware compute the same number.

    Attributes:
        kind: ``"max"`` or ``"average"``.
        window: one size for each spatial axis, as are the next ones.
        strides: of the window.
        padding: ``"valid"``, ``"same"``, or explicit ``(before, after)`` for each spatial axis.
        parallelization_factor: windows that are built in hardware, -1 for all.
        count_padding: whether n counts the padding.
    """

    kind: Literal["max", "average"]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    parallelization_factor: int = -1
    count_padding: bool = False

    def __call__(self, t: Trace, x: Value) -> Value:
        shape, rank = t.shape(x), len(self.window)
        if len(shape) != rank + 1:
            message = f"received shape (batch, {', '.join(map(str, shape))}), expected (batch, *{rank} sizes, channels)"
            raise ShapeError(message)
        spatial = shape[:-1]
        pads = self.padding
        if isinstance(pads, str):
            pads = explicit_pads(pads, spatial, self.window, self.strides, [1] * rank)
        pool = Pool("max" if self.kind == "max" else "sum", self.window, self.strides, pads)
        positions = prod(int(n or 1) for n in pool.shape((None, *shape))[1:-1])
        share = parallel_share(self.parallelization_factor, positions)
        if self.kind == "max":
            return t.op(pool, x, share=share)
        part = t.part(composite="average_pool")
        scale = average_scale(pool, spatial)
        if self.count_padding:
            # The quotient of any window is that of one that covers no padding.
            whole = Pool("sum", self.window, self.window, ((0, 0),) * rank)
            scale = np.broadcast_to(average_scale(whole, self.window).reshape(-1)[0], scale.shape)
        return part.op(Multiply(), part.op(pool, x, share=share), part.constant(scale, name="scale"), share=0.0)


@dataclass(frozen=True)
class GlobalPooling:
    """Maximum or average over all positions of ``(*spatial, channels)``; see `Pooling`.

    Attributes:
        kind: ``"max"`` or ``"average"``.
        rank: number of spatial axes.
        keepdims: keep them with size 1.
    """

    kind: Literal["max", "average"]
    rank: int
    keepdims: bool = False

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        if len(shape) != self.rank + 1:
            sizes = ", ".join(map(str, shape))
            message = f"received shape (batch, {sizes}), expected (batch, *{self.rank} sizes, channels)"
            raise ShapeError(message)
        y = Pooling(self.kind, shape[:-1], shape[:-1], "valid")(t, x)
        return y if self.keepdims else t.op(Reshape(shape[-1:]), y)
