"""Normalisation of each example by its own mean and mean square, exact in hardware."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.graph.ops import Add, Multiply, Reduce, Subtract
from hgq_core.layers.functions import ReciprocalRoot
from hgq_core.layers.reduce import own_axes
from hgq_core.layers.softmax import softmax_table
from hgq_core.linear import Pool, average_scale

if TYPE_CHECKING:
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["LayerNormalization"]


@dataclass(frozen=True)
class LayerNormalization:
    """``y = nq(c r) kq(gamma) + bq(beta)`` of ``c = cq(x - mq(mean(x)))``.

    ``r = oq(1 / sqrt(iq(sum(c^2)) / n + epsilon))`` is a table.

    The reciprocal root is a trained table of one number for each vector. It costs a sum, a difference, a square, a sum,
    the table and two products for each element. ``1 / n`` of the mean is rounded to 12 significant bits where n is no
    power of two; that of the mean square is inside of the table. Without ``subtract_mean`` c is x: RMS normalisation.

    Slots: ``mq, cq``, of the table ``inv/iq, inv/oq``, ``nq``; ``kq``, ``bq`` of the weights ``ln_gamma``, ``ln_beta``.

    Attributes:
        axes: over which it normalises, batch axis left out; negative ones count from the end.
        epsilon: added to the mean square.
        subtract_mean: whether the mean is taken away first.
        center: whether there is a learned offset.
        scale: whether there is a learned scale.
    """

    axes: tuple[int, ...] = (-1,)
    epsilon: float = 1e-3
    subtract_mean: bool = True
    center: bool = True
    scale: bool = True

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        axes = own_axes(self.axes, shape)
        number = prod(shape[axis] for axis in axes)
        part = t.part(composite="layer_norm")
        c = x
        if self.subtract_mean:
            total = part.op(Reduce("sum", axes, keepdims=True), x)
            scale = average_scale(Pool("sum", (number,), (number,), ((0, 0),)), (number,)).reshape(-1)[0]
            mean = part.op(Multiply(), total, part.constant(np.asarray(scale), name="scale"), share=0.0)
            c = part.quantized("cq", part.op(Subtract(), x, part.quantized("mq", mean)))
        squares = part.op(Reduce("sum", axes, keepdims=True), part.op(Multiply(), c, c))
        r = part.call("inv", _Root(ReciprocalRoot(1.0 / number, self.epsilon)), squares)
        y = part.op(Multiply(), c, r)
        # Weights have the axes of the data from the first normalised one on.
        weights = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))[axes[0] :]
        if self.scale:
            y = part.quantized("nq", y)
            y = part.op(Multiply(), y, part.weight("ln_gamma", "kq", weights, start="ones"))
        if self.center:
            y = part.op(Add(), y, part.weight("ln_beta", "bq", weights, place="bias", start="zeros"))
        return y


@dataclass(frozen=True)
class _Root:
    """The table, one for the whole tensor."""

    function: ReciprocalRoot

    def __call__(self, t: Trace, x: Value) -> Value:
        shared: dict[str, Any] = {"heterogeneous_axis": ()}
        return t.table("oq", self.function, t.quantized("iq", x, k0=0, **shared), **softmax_table(heterogeneous=False))
