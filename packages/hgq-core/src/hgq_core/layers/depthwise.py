"""Convolutions of each channel by itself, alone and before a mix of the channels."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from hgq_core.layers.activation import Activation, activated
from hgq_core.layers.instances import parallel_share
from hgq_core.layers.linear import with_bias
from hgq_core.layers.window import window_operation
from hgq_core.linear import Convolve

if TYPE_CHECKING:
    from hgq_core.graph.ops import Shape
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace
    from hgq_core.ops import Ops

__all__ = ["DepthwiseConvolution", "SeparableConvolution"]


@dataclass(frozen=True)
class DepthwiseConvolution:
    """``y[..., c * m + j] = activation(convolve(x[..., c], kq(kernel)[..., c, j]) + bq(bias)[c * m + j])``.

    Each channel has m filters of its own: a convolution with as many groups as channels. The kernel is stored as
    ``(*window, channels, m)`` and quantized as that convolution has it, ``(*window, 1, channels * m)``, in the same
    order of numbers. EBOPs are those of the convolution.

    Attributes:
        kernel_size: one size for each spatial axis, as are the next ones.
        strides: of the window.
        padding: see `Convolution`.
        dilation: of the window.
        depth_multiplier: m, the filters of each channel.
        use_bias: whether there is a bias.
        activation: see `Activation`.
        parallelization_factor: positions that are built in hardware, -1 for all.

    >>> from hgq_core.layers import trace
    >>> program = trace(DepthwiseConvolution((3,), (1,), "same", (1,), depth_multiplier=2), (6, 4))
    >>> program.weights["kernel"].shape, program.quantizers["kq"].shape, program.output_shape
    ((3, 4, 2), (3, 1, 8), (6, 8))
    """

    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    depth_multiplier: int = 1
    use_bias: bool = True
    activation: Activation = None
    parallelization_factor: int = -1

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        operation = window_operation(
            shape, self.kernel_size, self.strides, self.padding, self.dilation, lambda channels: channels
        )
        part = t.part(share=_share(operation, shape, self.kernel_size, self.parallelization_factor))
        filters = shape[-1] * self.depth_multiplier
        kernel = _by_channel(t, "kernel", "kq", self.kernel_size, shape[-1], self.depth_multiplier)
        y = part.op(operation, x, kernel)
        return activated(t, with_bias(part, y, filters) if self.use_bias else y, self.activation)


@dataclass(frozen=True)
class SeparableConvolution:
    """``y = activation(piq(depthwise(x, dkq(depthwise_kernel))) @ pkq(pointwise_kernel) + bq(bias))``.

    A `DepthwiseConvolution` without a bias, then a convolution with a window of 1 over its channels. Between them is a
    quantizer of data, ``piq``, the input of the second: without it the widths of what is multiplied there, and so its
    EBOPs, would be unknown.

    Attributes:
        filters: channels of the output.
        kernel_size: of the depthwise part, one size for each spatial axis, as are the next ones.
        strides: of the window.
        padding: see `Convolution`.
        dilation: of the window.
        depth_multiplier: filters of each channel in the depthwise part.
        use_bias: whether there is a bias, after the second part.
        activation: see `Activation`.
        parallelization_factor: positions of both parts that are built in hardware, -1 for all.

    >>> from hgq_core.layers import trace
    >>> program = trace(SeparableConvolution(5, (3, 3), (1, 1), "valid", (1, 1)), (8, 8, 4))
    >>> list(program.quantizers), program.output_shape
    (['dkq', 'piq', 'pkq', 'bq'], (6, 6, 5))
    """

    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    depth_multiplier: int = 1
    use_bias: bool = True
    activation: Activation = None
    parallelization_factor: int = -1

    def __call__(self, t: Trace, x: Value) -> Value:
        shape = t.shape(x)
        operation = window_operation(
            shape, self.kernel_size, self.strides, self.padding, self.dilation, lambda channels: channels
        )
        part = t.part(share=_share(operation, shape, self.kernel_size, self.parallelization_factor))
        kernel = _by_channel(t, "depthwise_kernel", "dkq", self.kernel_size, shape[-1], self.depth_multiplier)
        inner = t.quantized("piq", part.op(operation, x, kernel))
        ones = (1,) * len(self.kernel_size)
        mix = t.weight("pointwise_kernel", "pkq", (*ones, shape[-1] * self.depth_multiplier, self.filters))
        y = part.op(Convolve(ones, ((0, 0),) * len(ones), ones), inner, mix)
        return activated(t, with_bias(part, y, self.filters) if self.use_bias else y, self.activation)


def _share(operation: Convolve, shape: Shape, kernel_size: tuple[int, ...], factor: int) -> float:
    """The part of the output positions that is built."""
    out = operation.shape((None, *shape), (*kernel_size, 1, shape[-1]))
    return parallel_share(factor, prod(int(n or 1) for n in out[1:-1]))


def _by_channel(t: Trace, slot: str, quantizer: str, window: tuple[int, ...], channels: int, filters: int) -> Value:
    """A quantized kernel of a convolution with as many groups as channels, stored with an axis for each of both."""
    stored = t.stored(slot, (*window, channels, filters))
    grouped = (*window, 1, channels * filters)
    return t.quantized(quantizer, t.computed(_Reshaped(grouped), stored, shape=grouped), place="weight", name=slot)


@dataclass(frozen=True)
class _Reshaped:
    """A weight in another shape."""

    shape: Shape

    def __call__(self, ops: Ops, weight: Any) -> Any:
        return ops.reshape(weight, self.shape)
