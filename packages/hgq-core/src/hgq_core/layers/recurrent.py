"""Recurrent layers: a cell with quantizers of its own, in a loop over a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ShapeError
from hgq_core.graph.ops import Add, Reshape, Slice
from hgq_core.layers.activation import Activation, activated
from hgq_core.layers.instances import parallel_share
from hgq_core.linear import Contract

if TYPE_CHECKING:
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Recurrent", "SimpleRNNCell"]


@dataclass(frozen=True)
class SimpleRNNCell:
    """``h' = activation(paq(iq(x) @ kq(kernel) + sq(h) @ rkq(recurrent_kernel) + bq(bias)))``; the output is ``h'``.

    Attributes:
        units: size of the state.
        use_bias: whether a bias is added.
        activation: see `Activation`; None: what ``paq`` gives, a hard tanh by its widths.
    """

    units: int
    use_bias: bool = True
    activation: Activation = None

    def __call__(self, t: Trace, x: Value, h: Value) -> tuple[Value, Value]:
        x = t.quantized("iq", x)
        h = t.quantized("sq", h)
        y = t.op(Contract("bi,io->bo"), x, t.weight("kernel", "kq", (t.shape(x)[0], self.units)))
        kernel = t.weight("recurrent_kernel", "rkq", (self.units, self.units))
        y = t.op(Add(), y, t.op(Contract("bi,io->bo"), h, kernel), share=0.0)
        if self.use_bias:
            y = t.op(Add(), y, t.weight("bias", "bq", (self.units,), place="bias", start="zeros"))
        y = activated(t, t.quantized("paq", y), self.activation)
        return y, y


@dataclass(frozen=True)
class Recurrent:
    """A cell along the first axis of a sequence, from a state of zeros.

    The Graph needs a sequence that is quantized already, by the input quantizer of the layer or by what is before it;
    the cell quantizes each item again, with widths that all steps share, and these are what EBOPs count.

    Attributes:
        cell: with one state, its output.
        return_sequences: whether the outputs of all steps are the result, else that of the last.
        parallelization_factor: steps that are built in hardware, -1 for all.
    """

    cell: Any
    return_sequences: bool = False
    parallelization_factor: int = -1

    def __call__(self, t: Trace, x: Value) -> Value:
        if len(t.shape(x)) != 2:
            message = f"a recurrent layer received data of shape {t.shape(x)} for a row, expected (steps, features)"
            raise ShapeError(message)
        steps, features = t.shape(x)
        share = parallel_share(self.parallelization_factor, steps)
        units = self.cell.units
        # A state has a batch axis, which only what follows the data has.
        first = t.op(Contract("bti,io->bo"), x, t.constant(np.zeros((features, units)), name="rest"), share=0.0)
        ys = t.scan("cell", self.cell, x, first, share=share)
        if not self.return_sequences:
            return t.op(Reshape((units,)), t.op(Slice((steps - 1, 0), (steps, units), (1, 1)), ys))
        return ys
