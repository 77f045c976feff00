"""Contractions and convolutions with a kernel and a bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hgq_core.errors import ShapeError
from hgq_core.graph.ops import Add
from hgq_core.layers.activation import Activation, activated
from hgq_core.layers.instances import instances_of, parallel_share
from hgq_core.layers.window import Pads, window_operation
from hgq_core.linear import Contract, Convolve

if TYPE_CHECKING:
    from hgq_core.graph.ops import Shape
    from hgq_core.layers.fused_norm import FoldedNorm
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Convolution", "Dense", "EinsumDense", "with_bias"]


@dataclass(frozen=True)
class EinsumDense:
    """``y = activation(einsum(equation, x, kq(kernel)) + bq(bias))``.

    Attributes:
        equation: as that of `Contract`, every axis of the data named.
        kernel: shape of the kernel.
        bias: shape of the bias, broadcastable to the output; None: no bias.
        activation: see `Activation`.
        parallelization_factor: instances that are built in hardware, -1 for all.
        norm: a batch normalisation of the product, folded into kernel and bias, along the axes of the bias.
    """

    equation: str
    kernel: Shape
    bias: Shape | None = None
    activation: Activation = None
    parallelization_factor: int = -1
    norm: FoldedNorm | None = None

    def __call__(self, t: Trace, x: Value) -> Value:
        operation = Contract(self.equation)
        operation.check_batch(constant=(False, True))
        instances = instances_of(operation, t.shape(x), self.kernel)
        part = t.part(share=parallel_share(self.parallelization_factor, instances))
        return activated(t, _affine(part, operation, x, self.kernel, self.bias, self.norm), self.activation)


def _affine(
    t: Trace, operation: Contract | Convolve, x: Value, kernel: Shape, bias: Shape | None, norm: FoldedNorm | None
) -> Value:
    """The operation on data and a kernel, and a bias."""
    if norm is not None and bias is not None:
        weight, offset = norm.weights(t, x, operation, kernel, bias)
        return t.op(Add(), t.op(operation, x, weight), offset)
    y = t.op(operation, x, t.weight("kernel", "kq", kernel))
    if bias is None:
        return y
    return t.op(Add(), y, t.weight("bias", "bq", bias, place="bias", start="zeros"))


@dataclass(frozen=True)
class Dense:
    """``y = activation(x @ kq(kernel) + bq(bias))`` over the last axis.

    Attributes:
        units: size of the output's last axis.
        use_bias: whether there is a bias.
        activation: see `Activation`.
        parallelization_factor: instances that are built in hardware, -1 for all.
        norm: a batch normalisation of the output, folded into kernel and bias.
    """

    units: int
    use_bias: bool = True
    activation: Activation = None
    parallelization_factor: int = -1
    norm: FoldedNorm | None = None

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        if not shape:
            message = "received shape (batch,), expected (batch, ..., n)"
            raise ShapeError(message)
        rows = "bcdefgh"[: len(shape)]
        if len(rows) < len(shape):
            message = f"received data with {len(shape)} axes behind the batch, expected at most {len(rows)}"
            raise ShapeError(message)
        return EinsumDense(
            f"{rows}i,io->{rows}o",
            (shape[-1], self.units),
            (self.units,) if self.use_bias or self.norm is not None else None,
            self.activation,
            self.parallelization_factor,
            self.norm,
        )(t, x)


@dataclass(frozen=True)
class Convolution:
    """``y = activation(convolve(x, kq(kernel)) + bq(bias))`` over ``(*spatial, channels)``.

    Attributes:
        filters: channels of the output.
        kernel_size: one size for each spatial axis, as are the next ones.
        strides: of the window.
        padding: ``"valid"``, ``"same"``, ``"causal"``, or explicit ``(before, after)`` for each spatial axis.
        dilation: of the window.
        groups: of channels.
        use_bias: whether there is a bias.
        activation: see `Activation`.
        parallelization_factor: positions that are built in hardware, -1 for all.
        norm: a batch normalisation of the filters, folded into kernel and bias.
    """

    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | Pads
    dilation: tuple[int, ...]
    groups: int = 1
    use_bias: bool = True
    activation: Activation = None
    parallelization_factor: int = -1
    norm: FoldedNorm | None = None

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        operation = window_operation(
            shape, self.kernel_size, self.strides, self.padding, self.dilation, lambda _: self.groups
        )
        kernel = (*self.kernel_size, shape[-1] // self.groups, self.filters)
        positions = instances_of(operation, shape, kernel)
        part = t.part(share=parallel_share(self.parallelization_factor, positions))
        bias = (self.filters,) if self.use_bias or self.norm is not None else None
        return activated(t, _affine(part, operation, x, kernel, bias, self.norm), self.activation)


def with_bias(t: Trace, y: Value, filters: int) -> Value:
    """``y + bq(bias)``, one number for each channel."""
    return t.op(Add(), y, t.weight("bias", "bq", (filters,), place="bias", start="zeros"))
