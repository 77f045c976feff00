"""Transposed convolutions: each position of the input adds to a window of the output."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Pad
from hgq_core.layers.activation import Activation, activated
from hgq_core.layers.instances import parallel_share
from hgq_core.layers.linear import with_bias
from hgq_core.layers.window import check_rank
from hgq_core.linear import Convolve, transposed_cuts

if TYPE_CHECKING:
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace
    from hgq_core.ops import Ops

__all__ = ["TransposedConvolution"]


@dataclass(frozen=True)
class TransposedConvolution:
    """``y[p * stride + tap * dilation - before] += x[p] @ kq(kernel)[tap]`` over ``(*spatial, channels)``, and a bias.

    Full, an axis of n positions has ``(n - 1) * stride + (window - 1) * dilation + 1`` of the output; the padding is
    what is cut away of them at both ends, and positions beyond them, which ``output_padding`` may ask for, hold the
    bias alone. EBOPs count the products that there are: none with a zero between positions, none that is cut away.

    Attributes:
        filters: channels of the output.
        kernel_size: one size for each spatial axis, as are the next ones.
        strides: distance, in the output, of neighbours in the input.
        padding: ``"valid"``, ``"same"``, or explicit ``(before, after)`` to cut away for each spatial axis.
        output_padding: so many positions more at the end of each axis; None: none, and for a name those of
            `hgq_core.linear.transposed_cuts`.
        dilation: of the window.
        groups: of channels.
        use_bias: whether there is a bias.
        activation: see `Activation`.
        parallelization_factor: positions of the *input* that are built in hardware, -1 for all.
        stored: how the kernel is stored: ``"channels"``: ``(*window, channels, filters / groups)``; ``"filters"``:
            ``(*window, filters, channels)``, without groups. It is quantized as ``(*window, channels / groups,
            filters)``.

    >>> from hgq_core.layers import trace
    >>> trace(TransposedConvolution(5, (3, 3), (2, 2), "same"), (4, 6, 2)).output_shape
    (8, 12, 5)
    """

    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    output_padding: tuple[int, ...] | None = None
    dilation: tuple[int, ...] = ()
    groups: int = 1
    use_bias: bool = True
    activation: Activation = None
    parallelization_factor: int = -1
    stored: str = "channels"

    def __call__(self, t: Trace, x: Value) -> Value:
        shape, rank = t.shape(x), len(self.kernel_size)
        check_rank(shape, rank)
        *spatial, channels = shape
        if channels % self.groups or self.filters % self.groups:
            message = f"{channels} channels and {self.filters} filters cannot be divided into {self.groups} groups"
            raise ShapeError(message)
        dilation = self.dilation or (1,) * rank
        cuts = self._cuts(dilation)
        sizes = zip(spatial, self.kernel_size, self.strides, dilation, cuts, strict=True)
        inside = [(n - 1) * s + (w - 1) * d + 1 - before - max(after, 0) for n, w, s, d, (before, after) in sizes]
        if any(n < 1 for n in inside):
            message = (
                f"the padding cuts away {cuts} at the ends of the output, which is all of it for data of "
                f"{tuple(spatial)}; expected less padding, or a larger kernel"
            )
            raise ShapeError(message)
        part = t.part(share=parallel_share(self.parallelization_factor, prod(spatial)))
        kept = tuple((before, max(after, 0)) for before, after in cuts)
        operation = Convolve(self.strides, kept, dilation, self.groups, transposed=True)
        y = part.op(operation, x, self._kernel(t, channels))
        beyond = [max(-after, 0) for _, after in cuts]
        if any(beyond):
            y = part.op(Pad((*((0, more) for more in beyond), (0, 0))), y)
        return activated(t, with_bias(part, y, self.filters) if self.use_bias else y, self.activation)

    def _cuts(self, dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """What is cut away at both ends of each axis; less than 0 for positions beyond the end."""
        if isinstance(self.padding, str):
            return transposed_cuts(self.padding, self.kernel_size, self.strides, dilation, self.output_padding)
        if len(self.padding) != len(self.kernel_size):
            message = f"padding: received {self.padding}, expected a pair for each of {len(self.kernel_size)} axes"
            raise ConfigError(message)
        more = self.output_padding or (0,) * len(self.padding)
        return tuple((before, after - n) for (before, after), n in zip(self.padding, more, strict=True))

    def _kernel(self, t: Trace, channels: int) -> Value:
        declared = (*self.kernel_size, channels // self.groups, self.filters)
        if self.stored == "channels" and self.groups == 1:
            return t.weight("kernel", "kq", declared)
        per_group = self.filters // self.groups
        axes = (channels, per_group) if self.stored == "channels" else (self.filters, channels)
        stored = t.stored("kernel", (*self.kernel_size, *axes))
        turned = _Grouped(self.groups) if self.stored == "channels" else _swapped
        return t.quantized("kq", t.computed(turned, stored, shape=declared), place="weight", name="kernel")


def _swapped(ops: Ops, kernel: Any) -> Any:
    """The kernel with its last two axes the other way round."""
    rank = len(kernel.shape)
    return ops.transpose(kernel, (*range(rank - 2), rank - 1, rank - 2))


@dataclass(frozen=True)
class _Grouped:
    """``(*window, channels, filters / groups)`` as ``(*window, channels / groups, filters)``: one group after another.

    Attributes:
        groups: of channels.
    """

    groups: int

    def __call__(self, ops: Ops, kernel: Any) -> Any:
        *window, channels, filters = (int(n) for n in kernel.shape)
        rank, inner = len(window), channels // self.groups
        split = ops.reshape(kernel, (*window, self.groups, inner, filters))
        turned = ops.transpose(split, (*range(rank), rank + 1, rank, rank + 2))
        return ops.reshape(turned, (*window, inner, self.groups * filters))
