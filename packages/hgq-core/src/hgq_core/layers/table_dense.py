"""Dense layers of trained tables: each output is a sum of tables, one for each input, of which each is a function."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add, Broadcast, Reduce, Reshape, Transpose
from hgq_core.layers.activation import Activation, activated
from hgq_core.layers.einsum import ShapedEinsum
from hgq_core.layers.instances import parallel_share
from hgq_core.ops import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace
    from hgq_core.ops import Ops

__all__ = ["EdgeNetwork", "TableDense", "TableEinsum"]


@dataclass(frozen=True)
class EdgeNetwork:
    """What the table of an edge is made of: a small network of one number.

    ``h_0 = x``, ``h_n = activation(h_{n-1} @ kernel_n + bias_n)``, and the last layer has one unit and no activation.

    Attributes:
        hidden: number of hidden layers.
        units: of each hidden layer.
        activation: of a hidden layer, ``activation(ops, x)``; None: linear.
        batch_norm: whether the result is normalised for each edge.
        center: whether that has a learned offset.
        scale: whether it has a learned scale.
        epsilon: added to its variance.
    """

    hidden: int = 1
    units: int = 8
    activation: Callable[[Ops, Any], Any] | None = None
    batch_norm: bool = False
    center: bool = True
    scale: bool = True
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if self.hidden < 0 or self.units < 1:
            message = (
                f"received {self.hidden} hidden layers of {self.units} units, expected 0 layers or more of 1 unit or "
                "more"
            )
            raise ConfigError(message)


@dataclass(frozen=True)
class _Network:
    """``network(x) / sqrt(fan_in)`` for each edge; weights have the axes of the edges, then inputs and outputs.

    Dividing keeps the sum over the inputs of one size whatever their number, and leaves the weights, and so the steps
    that an optimizer takes, of order 1: layers of 4 and of 400 inputs train alike.
    """

    network: EdgeNetwork
    factor: float

    def __call__(self, ops: Ops, x: Any, *weights: Any) -> Any:
        """Element by element and in a fixed order of sums, so that a result does not depend on the batch."""
        return self._normalised(self.edges(ops, x, weights, _in_order), weights)

    def trained(self, ops: Ops, x: Any, *weights: Any) -> Any:
        """The same for training, in whatever order an array library sums fastest."""
        return self._normalised(self.edges(ops, x, weights, _at_once), weights)

    def _normalised(self, y: Any, weights: tuple[Any, ...]) -> Any:
        norm = weights[2 * (self.network.hidden + 1) :]
        return (y * norm[0] + norm[1] if norm else y) * self.factor

    def edges(self, ops: Ops, x: Any, weights: tuple[Any, ...], product: Callable[[Ops, Any, Any], Any]) -> Any:
        """The network of each edge, before it is normalised; ``product`` gives ``h @ kernel``."""
        h = x[..., None]
        own = weights[: 2 * (self.network.hidden + 1)]
        for n, (kernel, bias) in enumerate(zip(own[::2], own[1::2], strict=True)):
            h = product(ops, h, kernel) + bias
            if n < self.network.hidden and self.network.activation is not None:
                h = self.network.activation(ops, h)
        return h[..., 0]


def _in_order(ops: Ops, h: Any, kernel: Any) -> Any:  # noqa: ARG001 (every product of edges is called so)
    return tree(operator.add, [h[..., k, None] * kernel[..., k, :] for k in range(kernel.shape[-2])])


def _at_once(ops: Ops, h: Any, kernel: Any) -> Any:
    own = tuple(h.shape[1:-1])
    if kernel.shape[-2] == 1 or tuple(kernel.shape[:-2]) != own or len(own) > len(_EDGES):
        return _in_order(ops, h, kernel)
    edges = _EDGES[: len(own)]
    return ops.einsum(f"b{edges}x,{edges}xy->b{edges}y", h, kernel)


_EDGES = "cdefghij"


@dataclass(frozen=True)
class _Observed:
    """The network of each edge before it is normalised, of which statistics are taken."""

    network: _Network

    def __call__(self, ops: Ops, x: Any, *weights: Any) -> Any:
        return self.network.edges(ops, x, weights, _at_once)


@dataclass(frozen=True)
class TableEinsum:
    """``y = activation(sum_i table_{i,o}(iq(x_i)) + bq(bias))``, the sum over what an equation contracts.

    Each edge is an index of the axes that a kernel would have. Data are brought to edges before they are quantized, so
    that each edge has a width of its own. Slots: ``iq, toq, bq``. Quantizers see first the rows, which are the axes of
    the output that a kernel would not have, then its other axes, then what is contracted; the weights ``kernel_n,
    bias_n`` have the same axes, 1 for rows, and then those of a layer of the network.

    Attributes:
        equation: as that of a dense layer with a kernel; see `ShapedEinsum`.
        output_shape: likewise.
        bias_axes: likewise.
        network: of each edge.
        activation: see `Activation`.
        parallelization_factor: instances that are built in hardware, -1 for all.
        table_idxs: the bits of the inputs of the tables of the hardware that EBOPs counts in, those of a whole table
            and of the largest part that is one.
        granularity: of the input quantizer, unless it is given; empty: that of the scope.
    """

    equation: str
    output_shape: tuple[int | None, ...]
    bias_axes: str | None = None
    network: EdgeNetwork = field(default_factory=EdgeNetwork)
    activation: Activation = None
    parallelization_factor: int = -1
    table_idxs: tuple[int, int] = (6, 5)
    granularity: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __call__(self, t: Trace, x: Value) -> Value:
        found = ShapedEinsum(self.equation, self.output_shape, self.bias_axes).explicit(t.shape(x))
        data, kernel, output = found.terms
        if set(kernel) - set(data) - set(output):
            message = f"equation {self.equation!r}: the kernel has axes that are neither in the data nor in the output"
            raise ConfigError(message)
        contracted = [letter for letter in data[1:] if letter not in output]
        if not contracted or set(contracted) - set(kernel):
            message = (
                f"equation {self.equation!r}: expected axes of data and kernel that the output does not have, which "
                "the tables are summed over"
            )
            raise ConfigError(message)
        rows = [letter for letter in output[1:] if letter not in kernel]
        outputs = [*rows, *(letter for letter in output[1:] if letter in kernel)]
        letters = [*outputs, *contracted]
        part = t.part(
            share=parallel_share(self.parallelization_factor, prod(found.sizes[letter] for letter in rows)),
            composite="table_dense",
        )
        fan_in = prod(found.sizes[letter] for letter in contracted)
        edges = self._tables(part, _to_edges(part, x, data[1:], letters, found.sizes), letters, rows, fan_in)
        axes = tuple(range(len(outputs), len(letters)))
        y = part.op(Reduce("sum", axes), edges, share=0.0)  # its adders are in the rule of the tables
        order = tuple(outputs.index(letter) for letter in output[1:])
        if order != tuple(range(len(order))):
            y = part.op(Transpose(order), y)
        if found.bias is not None:
            y = part.op(Add(), y, part.weight("bias", "bq", found.bias, place="bias", start="zeros"))
        return activated(t, y, self.activation)

    def _tables(self, t: Trace, x: Value, letters: list[str], rows: list[str], fan_in: int) -> Value:
        full, net = t.shape(x), self.network
        own = tuple(1 if letter in rows else n for letter, n in zip(letters, full, strict=True))
        along = tuple(range(len(rows) - len(letters), 0))  # from the end, whatever the rank of the data
        x = t.quantized("iq", x, **self.granularity)
        sizes = [1, *[net.units] * net.hidden, 1]
        weights: list[Value] = []
        for n, (inputs, outputs) in enumerate(pairwise(sizes)):
            weights.append(t.stored(f"kernel_{n}", (*own, inputs, outputs), start="edge"))
            weights.append(t.stored(f"bias_{n}", (*own, outputs), start="zeros"))
        function = _Network(net, 1.0 / sqrt(fan_in))
        if net.batch_norm:
            over = [n for n, letter in enumerate(letters, start=1) if letter in rows]
            weights += self._normalised(t, function, x, weights, own, over)
        return t.table("toq", function, x, *weights, table_idxs=self.table_idxs, heterogeneous_axis=along)

    def _normalised(
        self, t: Trace, function: _Network, x: Value, weights: list[Value], own: tuple[int, ...], rows: list[int]
    ) -> list[Value]:
        """Scale and offset of each edge."""
        observed = t.observed(_Observed(function), x, *weights)
        statistics = t.statistics(observed, "moving_mean", "moving_variance", axes=(0, *rows))
        gamma = [t.stored("bn_gamma", own, start="ones")] if self.network.scale else []
        beta = [t.stored("bn_beta", own, start="zeros")] if self.network.center else []
        scale = t.computed(_Scale(self.network.epsilon, own), statistics, *gamma, shape=own)
        return [scale, t.computed(_Offset(own), statistics, scale, *beta, shape=own)]


@dataclass(frozen=True)
class _Scale:
    epsilon: float
    shape: tuple[int, ...]

    def __call__(self, ops: Ops, statistics: Any, *gamma: Any) -> Any:
        scale = ops.rsqrt(ops.reshape(statistics[1], self.shape) + self.epsilon)
        return scale * gamma[0] if gamma else scale


@dataclass(frozen=True)
class _Offset:
    shape: tuple[int, ...]

    def __call__(self, ops: Ops, statistics: Any, scale: Any, *beta: Any) -> Any:
        offset = -ops.reshape(statistics[0], self.shape) * scale
        return offset + beta[0] if beta else offset


def _to_edges(t: Trace, x: Value, data: str, letters: list[str], sizes: Mapping[str, int]) -> Value:
    """Data repeated along the axes that only the output has."""
    order = tuple(data.index(letter) for letter in letters if letter in data)
    if order != tuple(range(len(order))):
        x = t.op(Transpose(order), x)
    x = t.op(Reshape(tuple(sizes[letter] if letter in data else 1 for letter in letters)), x)
    return t.op(Broadcast(tuple(sizes[letter] for letter in letters)), x)


@dataclass(frozen=True)
class TableDense:
    """`TableEinsum` over the last axis.

    Attributes:
        units: size of the output's last axis.
        use_bias: whether there is a bias.
        network: see `TableEinsum`, as the next ones.
        activation: at the end.
        parallelization_factor: instances that are built.
        table_idxs: of the cost.
    """

    units: int
    use_bias: bool = True
    network: EdgeNetwork = field(default_factory=EdgeNetwork)
    activation: Activation = None
    parallelization_factor: int = -1
    table_idxs: tuple[int, int] = (6, 5)

    def __call__(self, t: Trace, x: Value) -> Value:
        rows = "bcdefgh"[: len(t.shape(x))]
        if not rows or len(rows) < len(t.shape(x)):
            message = f"received shape {(None, *t.shape(x))}, expected (batch, ..., n) with up to 6 axes between"
            raise ShapeError(message)
        return TableEinsum(
            f"{rows}i,io->{rows}o",
            (*t.shape(x)[:-1], self.units),
            "o" if self.use_bias else None,
            self.network,
            self.activation,
            self.parallelization_factor,
            self.table_idxs,
        )(t, x)
