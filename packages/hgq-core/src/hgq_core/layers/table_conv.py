"""Convolutions of trained tables: every product of a convolution is a table of the data that it would have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hgq_core.errors import ShapeError
from hgq_core.graph.ops import Reshape
from hgq_core.layers.table_dense import EdgeNetwork, TableEinsum
from hgq_core.layers.window import Pads, check_rank, gathered, window_pads

if TYPE_CHECKING:
    from hgq_core.layers.activation import Activation
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["TableConvolution"]


@dataclass(frozen=True)
class TableConvolution:
    """``y[p, o] = activation(sum_{k,c} table_{o,k,c}(iq(x[p * stride + k * dilation, c])) + bq(bias[o]))``.

    Data are ``(*spatial, channels)``. The window is gathered by wiring; then this is a `TableEinsum` whose rows are the
    positions, so that quantizers see ``(*positions, filters, *window, channels)`` and tables have the axes behind the
    positions. Zeros are put around the data: what is there is the table of 0, which need not be 0. With groups there is
    an axis of them before the filters, and filters and channels are those of a group.

    Attributes:
        filters: channels of the output.
        kernel_size: one size for each spatial axis, as are the next ones.
        strides: of the window.
        padding: ``"valid"``, ``"same"``, ``"causal"``, or explicit ``(before, after)`` for each spatial axis.
        dilation: of the window.
        groups: of channels.
        use_bias: whether there is a bias.
        network: of each table; see `TableEinsum`, as the next ones.
        activation: at the end.
        parallelization_factor: positions that are built in hardware, -1 for all.
        table_idxs: of the cost.

    >>> from hgq_core.layers import trace
    >>> trace(TableConvolution(4, (3,), (1,), "valid", (1,)), (8, 2)).output_shape
    (6, 4)
    """

    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | Pads
    dilation: tuple[int, ...]
    groups: int = 1
    use_bias: bool = True
    network: EdgeNetwork = field(default_factory=EdgeNetwork)
    activation: Activation = None
    parallelization_factor: int = -1
    table_idxs: tuple[int, int] = (6, 5)

    def __call__(self, t: Trace, x: Value) -> Value:
        rank = len(self.kernel_size)
        check_rank(t.shape(x), rank)
        *spatial, channels = t.shape(x)
        if channels % self.groups or self.filters % self.groups:
            message = f"{channels} channels and {self.filters} filters cannot be divided into {self.groups} groups"
            raise ShapeError(message)
        pads = window_pads(self.padding, spatial, self.kernel_size, self.strides, self.dilation)
        x = gathered(t, x, self.kernel_size, self.strides, pads, self.dilation)
        positions, p, k = t.shape(x)[:rank], "pqr"[:rank], "klm"[:rank]
        filters: tuple[int, ...] = (self.filters,)
        g = ""
        if self.groups > 1:
            g, filters = "g", (self.groups, self.filters // self.groups)
            x = t.op(Reshape((*t.shape(x)[:-1], self.groups, channels // self.groups)), x)
        y = TableEinsum(
            f"b{p}{k}{g}c,{g}o{k}c->b{p}{g}o",
            (*positions, *filters),
            f"{g}o" if self.use_bias else None,
            self.network,
            self.activation,
            self.parallelization_factor,
            self.table_idxs,
        )(t, x)
        return t.op(Reshape((*positions, self.filters)), y) if g else y
