"""Batch normalisation folded into the kernel and the bias of the layer that it follows, or precedes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add
from hgq_core.layers.activation import Activation, activated
from hgq_core.layers.instances import parallel_share
from hgq_core.layers.norm import offset_of, scale_of
from hgq_core.linear import Contract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph.ops import Shape
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace
    from hgq_core.linear import Convolve
    from hgq_core.ops import Ops

__all__ = ["BatchNormDense", "FoldedNorm"]


@dataclass(frozen=True)
class FoldedNorm:
    """``kq(kernel * scale)`` and ``bq(beta - mean * scale)``, the weights of a layer and of the norm behind it.

    ``scale = gamma / sqrt(variance + epsilon)``, where in training mean and variance are those of the product of the
    quantized data and the *float* kernel: those of the folded kernel would follow the very numbers that they make. So a
    step of training computes the product twice, and inference and hardware once, with one quantized kernel.

    Attributes:
        epsilon: added to the variance.
        center: whether there is a learned offset.
        scale: whether there is a learned scale.
    """

    epsilon: float
    center: bool = True
    scale: bool = True

    def weights(
        self, t: Trace, x: Value, operation: Contract | Convolve, kernel: Shape, bias: Shape
    ) -> tuple[Value, Value]:
        """The quantized kernel and bias of an operation on x, normalised along the axes that the bias has.

        Args:
            t: the trace.
            x: quantized data.
            operation: of data and kernel.
            kernel: its shape.
            bias: shape of the bias, that of the output's last axes, 1 along those that are not normalised.

        Raises:
            ConfigError: an axis that the kernel does not have, which nothing can be folded along.
        """
        output = operation.shape((None, *t.shape(x)), kernel)
        first = len(output) - len(bias)
        along = tuple(first + n for n, size in enumerate(bias) if size != 1) or (len(output) - 1,)
        places = _kernel_axes(operation, along, len(kernel))
        sizes = tuple(int(output[axis] or 1) for axis in along)
        stored = t.stored("kernel", kernel)
        gamma = [t.stored("bn_gamma", sizes, start="ones")] if self.scale else []
        beta = [t.stored("bn_beta", sizes, start="zeros")] if self.center else []
        others = tuple(axis for axis in range(len(output)) if axis not in along)
        shape = tuple(int(n or 1) for n in output[1:])
        product = t.observed(_Product(operation), x, stored, shape=shape)
        statistics = t.statistics(product, "moving_mean", "moving_variance", axes=others)
        scale = t.computed(scale_of(self.epsilon), statistics, *gamma, shape=sizes)
        offset = t.computed(offset_of, statistics, scale, *beta, shape=sizes)
        folded = t.computed(_Along(places, len(kernel)), stored, scale, shape=kernel)
        spread = t.computed(_Spread(bias), offset, shape=bias)
        return (
            t.quantized("kq", folded, place="weight", name="kernel"),
            t.quantized("bq", spread, place="bias", name="bias"),
        )


@dataclass(frozen=True)
class BatchNormDense:
    """``y = activation(x @ kq(kernel * scale) + bq(bias - (mean * scale) @ kernel))``: a norm before a dense layer.

    ``scale = gamma / sqrt(variance + epsilon)`` along the last axis of the *inputs*, whose statistics these are.

    Attributes:
        units: size of the output's last axis.
        epsilon: added to the variance.
        scale: whether there is a learned scale.
        activation: see `Activation`.
        parallelization_factor: instances that are built in hardware, -1 for all.
    """

    units: int
    epsilon: float
    scale: bool = True
    activation: Activation = None
    parallelization_factor: int = -1

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        if not shape or len(shape) > len(_ROWS):
            message = f"received shape (batch, {', '.join(map(str, shape))}), expected (batch, ..., n)"
            raise ShapeError(message)
        rows, inputs = _ROWS[: len(shape) - 1], shape[-1:]
        stored = t.stored("kernel", (*inputs, self.units))
        bias = t.stored("bias", (self.units,), start="zeros")
        gamma = [t.stored("bn_gamma", inputs, start="ones")] if self.scale else []
        statistics = t.statistics(x, "moving_mean", "moving_variance", axes=tuple(range(len(shape))))
        scale = t.computed(scale_of(self.epsilon), statistics, *gamma, shape=inputs)
        folded = t.computed(_Along((0,), 2), stored, scale, shape=(*inputs, self.units))
        shifted = t.computed(_shifted, statistics, folded, bias, shape=(self.units,))
        part = t.part(share=parallel_share(self.parallelization_factor, int(np.prod(shape[:-1]))))
        kernel = t.quantized("kq", folded, place="weight", name="kernel")
        y = part.op(Contract(f"b{rows}i,io->b{rows}o"), x, kernel)
        y = part.op(Add(), y, t.quantized("bq", shifted, place="bias", name="bias"))
        return activated(t, y, self.activation)


_ROWS = "acdefgh"


def _kernel_axes(operation: Contract | Convolve, along: Sequence[int], rank: int) -> tuple[int, ...]:
    """The axis of the kernel that is each of these axes of the output."""
    if not isinstance(operation, Contract):
        return (rank - 1,)
    _, kernel, output = operation.terms
    if missing := [output[axis] for axis in along if output[axis] not in kernel]:
        message = f"normalised axes {missing} of {operation.equation!r} are none of the kernel's, {kernel!r}"
        raise ConfigError(message)
    return tuple(kernel.index(output[axis]) for axis in along)


@dataclass(frozen=True)
class _Product:
    """Data and the float kernel."""

    operation: Contract | Convolve

    def __call__(self, ops: Ops, x: Any, kernel: Any) -> Any:
        return self.operation.apply(ops, x, kernel)


@dataclass(frozen=True)
class _Along:
    """``kernel * scale``, the axes of scale at these places of the kernel."""

    places: tuple[int, ...]
    rank: int

    def __call__(self, ops: Ops, kernel: Any, scale: Any) -> Any:
        order = sorted(range(len(self.places)), key=lambda n: self.places[n])
        turned = scale if order == list(range(len(order))) else ops.transpose(scale, order)
        sizes = dict(zip(sorted(self.places), turned.shape, strict=True))
        return kernel * ops.reshape(turned, [int(sizes.get(axis, 1)) for axis in range(self.rank)])


@dataclass(frozen=True)
class _Spread:
    """The offset in the shape of the bias."""

    shape: Shape

    def __call__(self, ops: Ops, offset: Any) -> Any:
        return ops.reshape(offset, self.shape)


def _shifted(ops: Ops, statistics: Any, folded: Any, bias: Any) -> Any:
    return bias - ops.reshape(ops.sum(ops.reshape(statistics[0], (-1, 1)) * folded, (0,)), (-1,))
