"""Attention: projections to heads, products of queries and keys, softmax, and sums of values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.layers.einsum import ShapedEinsum
from hgq_core.layers.fuse import fused_inputs
from hgq_core.layers.instances import parallel_share
from hgq_core.layers.linformer import LETTERS, SequenceProjection
from hgq_core.layers.softmax import Softmax
from hgq_core.layers.table_dense import TableEinsum
from hgq_core.layers.tracing import trace
from hgq_core.linear import Contract
from hgq_core.scope import resolved_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hgq_core.graph.ops import Shape
    from hgq_core.layers.fuse import Fuse
    from hgq_core.layers.program import Program, Value
    from hgq_core.layers.table_dense import EdgeNetwork
    from hgq_core.layers.tracing import Trace

__all__ = ["MultiHeadAttention", "unless_asked"]


def unless_asked(**granularity: tuple[int, ...]) -> dict[str, Any]:
    """This granularity of data, unless a scope names another one than the default, which is then what the user asks.

    >>> unless_asked(heterogeneous_axis=(-1,))
    {'heterogeneous_axis': (-1,)}
    """
    _, _, parameters = resolved_parameters("default", "datalane", {})
    return dict(granularity) if parameters.get("homogeneous_axis") == (0,) else {}


@dataclass(frozen=True, eq=False)
class MultiHeadAttention:
    """``y = W_o softmax(q k / sqrt(key_dim)) v`` of ``q = W_q query``, ``k = W_k key``, ``v = W_v value``, in heads.

    Data are ``(*positions, features)``. By default widths of data are shared along the positions, so that what is
    computed of a set does not depend on the order of its elements; a quantizer that is given, or a scope that names
    axes, has its own granularity.

    Slots: ``query/iq, query/kq, query/bq, query/oq``, those of key and value likewise, ``softmax/iq``, the tables
    ``softmax/exp/iq, softmax/exp/oq, softmax/inv/iq, softmax/inv/oq``, ``softmax/oq``, ``output/iq, output/kq,
    output/bq``. Where the projections are of tables, they have ``toq`` in place of ``kq``, and each quantizes its input
    at its own tables, whatever is fused.

    Attributes:
        heads: number of heads.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values.
        output_shape: axes of the output's features; None: as many as the query has.
        attention_axes: positions that attend to each other, batch axis left out; None: all.
        use_bias: whether queries, values and the output have a bias.
        key_bias: whether keys have one; it adds the same number to all products of a query, and so changes nothing.
        fuse: ``"kv"``: key is value and uses its input quantizer; ``"qkv"``: query too.
        stable: see `Softmax`.
        heterogeneous_tables: see `Softmax`.
        mask: see `Softmax`, for the products ``(*other positions, heads, *positions of queries, *of keys)``.
        causal: whether a query attends to keys at its own position and before only.
        dropout: rate at which weights of values are dropped in training.
        parallelization_factor: positions of each projection, and queries of the products, that are built, -1 for all.
        project: a map of the positions of key and value to fewer ones; None: none.
        network: of the tables that the projections are sums of, see `TableEinsum`; None: they have kernels.
        table_idxs: of the cost of these tables.
    """

    heads: int
    key_dim: int
    value_dim: int
    output_shape: Shape | None = None
    attention_axes: tuple[int, ...] | None = None
    use_bias: bool = True
    key_bias: bool = False
    fuse: Fuse = "none"
    stable: bool = True
    heterogeneous_tables: bool = False
    mask: NDArray[np.bool_] | None = None
    causal: bool = False
    dropout: float = 0.0
    parallelization_factor: int = -1
    project: SequenceProjection | None = None
    network: EdgeNetwork | None = None
    table_idxs: tuple[int, int] = (6, 5)

    def __call__(self, t: Trace, query: Value, value: Value | None = None, key: Value | None = None) -> Value:
        value = query if value is None else value
        key = value if key is None else key
        axes = self._axes(t.shape(query), t.shape(value), t.shape(key))
        part = t.part(composite="attention")
        of_query, of_value, of_key = self._read(part, (query, value, key), axes)
        q = self._projected(part, "query", of_query, self.key_dim, self.use_bias)
        k = self._projected(part, "key", of_key, self.key_dim, self.key_bias and self.use_bias)
        v = self._projected(part, "value", of_value, self.value_dim, self.use_bias)
        products, sums = self._equations(len(t.shape(query)) - 1, axes)
        queries = prod(t.shape(query)[:-1])
        paired = part.part(share=parallel_share(min(self.parallelization_factor, queries), queries))
        weights = part.call("softmax", _Weights(self, len(axes)), paired.op(Contract(products), q, k))
        heads = paired.op(Contract(sums), t.dropped(self.dropout, weights), v)
        features = t.shape(query)[-1:] if self.output_shape is None else self.output_shape
        return part.call("output", _Output(self, features), heads)

    def _read(self, t: Trace, inputs: tuple[Value, Value, Value], axes: tuple[int, ...]) -> tuple[Value, Value, Value]:
        """Query, value and key as their projections to heads read them."""
        if self.project is not None:
            if self.mask is not None or self.causal:
                message = (
                    "received a mask, expected none: keys that are mapped to fewer positions have none of their own"
                )
                raise ConfigError(message)
            return self.project(t, self, inputs, axes)
        query, value, key = inputs
        of_value = self.projected_data(t, "value", value)
        of_key = self.projected_data(t, "key", key) if self.fuse == "none" else of_value
        of_query = of_value if self.fuse == "qkv" else self.projected_data(t, "query", query)
        return of_query, of_value, of_key

    def _axes(self, query: Shape, value: Shape, key: Shape) -> tuple[int, ...]:
        """The positions that attend, counted from 0; raises ShapeError for shapes that do not fit."""
        rank = len(query) - 1
        if rank < 1 or len(value) != rank + 1 or len(key) != rank + 1:
            message = (
                f"received query {query}, value {value}, key {key} (batch axes left out), expected data of equal "
                "rank, (*positions, features)"
            )
            raise ShapeError(message)
        given = tuple(range(rank)) if self.attention_axes is None else self.attention_axes
        axes = tuple(sorted({axis % (rank + 1) for axis in given if -rank - 1 <= axis <= rank}))
        if len(axes) < len(given) or not axes or axes[-1] >= rank:
            message = f"attention_axes: received {given}, expected axes of positions of {query} (batch axis left out)"
            raise ConfigError(message)
        others = [axis for axis in range(rank) if axis not in axes]
        if value[:-1] != key[:-1] or any(query[axis] != value[axis] for axis in others):
            message = f"query {query}, value {value} and key {key} (batch axes left out) have positions that do not fit"
            raise ShapeError(message)
        return axes

    def smallest(self) -> Program:
        """Traced for the smallest inputs that it takes: its slots do not depend on the sizes of the data."""
        axes = self.attention_axes or ()
        positions = 1 if self.project is None or axes else len(self.project.sizes)
        shape = (1,) * max(positions + 1, *(axis + 2 if axis >= 0 else -axis for axis in axes), 0)
        return trace(replace(self, mask=None, causal=False), *[shape] * fused_inputs(self.fuse))

    def shared_output(self) -> dict[str, Any]:
        """Granularity of the output by default, as that of the data inside."""
        if self.attention_axes is None:
            return unless_asked(heterogeneous_axis=tuple(range(-len(self.output_shape or (0,)), 0)))
        return self.shared_data(len(self.output_shape or (0,)) - 1)

    def shared_data(self, behind: int) -> dict[str, Any]:
        """Granularity of data by default: one width along the positions that attend.

        It is said without the rank of the data, which is not known when quantizers are made; ``behind`` is the number
        of axes of data that are behind the positions, less the one of the inputs.
        """
        if self.attention_axes is None:
            return unless_asked(heterogeneous_axis=tuple(range(-1 - behind, 0)))
        axes = (axis + 1 if axis >= 0 else axis - behind for axis in self.attention_axes)
        return unless_asked(homogeneous_axis=(0, *axes))

    def shared_scores(self) -> dict[str, Any]:
        """Granularity of products by default: heads, and positions that do not attend, have their own widths."""
        if self.attention_axes is None:
            return unless_asked(heterogeneous_axis=(1,))
        return unless_asked(homogeneous_axis=(0, *range(-2 * len(self.attention_axes), 0)))

    def quantized_data(self, t: Trace, name: str, x: Value) -> Value:
        """Data by the input quantizer of this part, by default with one width along the positions."""
        return t.call(name, lambda t, x: t.quantized("iq", x, **self.shared_data(0)), x)

    def projected_data(self, t: Trace, name: str, x: Value) -> Value:
        """Data as a projection reads them: tables quantize what they look up."""
        return x if self.network is not None else self.quantized_data(t, name, x)

    def linear(
        self, equation: str, positions: Sequence[int], features: Shape, bias_axes: str | None, contracted: int = 1
    ) -> ShapedEinsum | TableEinsum:
        """A projection to ``(*positions, *features)``, with a kernel or of tables.

        Args:
            equation: of data and kernel.
            positions: sizes of the axes of positions.
            features: sizes of the other axes of the output.
            bias_axes: letters of the bias; None: no bias.
            contracted: number of axes that are summed over.
        """
        factor = min(self.parallelization_factor, prod(positions))
        output = (*positions, *features)
        if self.network is None:
            return ShapedEinsum(equation, output, bias_axes, None, factor)
        shared = self.shared_data(len(features) + contracted - 1)
        return TableEinsum(equation, output, bias_axes, self.network, None, factor, self.table_idxs, shared)

    def _projected(self, t: Trace, name: str, x: Value, size: int, bias: bool) -> Value:
        *positions, _ = t.shape(x)
        letters = LETTERS[: len(positions)]
        equation = f"a{letters}x,xhk->a{letters}hk"
        linear = self.linear(equation, positions, (self.heads, size), "hk" if bias else None)
        return t.call(name, lambda t, x: t.quantized("oq", linear(t, x), **self.shared_data(1)), x)

    def _equations(self, rank: int, axes: tuple[int, ...]) -> tuple[str, str]:
        """Of the products of queries and keys, and of the sums of values."""
        q, rest = LETTERS[:rank], iter(LETTERS[rank:])
        s = "".join(next(rest) if axis in axes else q[axis] for axis in range(rank))
        others = "".join(q[axis] for axis in range(rank) if axis not in axes)
        pairs = "".join(q[axis] for axis in axes) + "".join(s[axis] for axis in axes)
        scores = f"a{others}h{pairs}"
        return f"a{q}hk,a{s}hk->{scores}", f"{scores},a{s}hv->a{q}hv"

    def softmax_mask(self, scores: Shape, number: int) -> NDArray[np.bool_] | None:
        """The mask of products of this shape, of which the last axes are positions of queries and of keys."""
        mask = None if self.mask is None else np.asarray(self.mask, bool)
        if not self.causal:
            return mask
        if number != 1:
            message = f"a causal mask needs one axis of positions that attend, received {number}"
            raise ConfigError(message)
        queries, keys = scores[-2:]
        before = np.arange(queries)[:, None] >= np.arange(keys)[None, :]
        return before if mask is None else np.logical_and(mask, before)


@dataclass(frozen=True, eq=False)
class _Weights:
    """Softmax of the products, over the positions of keys."""

    of: MultiHeadAttention
    number: int

    def __call__(self, t: Trace, x: Value) -> Value:
        rank = len(t.shape(x))
        axes = tuple(range(rank - self.number, rank))
        shared = self.of.shared_scores()
        queries = prod(t.shape(x)[: rank - self.number])
        softmax = Softmax(
            axes,
            self.of.stable,
            1.0 / sqrt(self.of.key_dim),
            self.of.heterogeneous_tables,
            min(self.of.parallelization_factor, queries),
            self.of.softmax_mask(t.shape(x), self.number),
            saturating=True,
        )
        return t.quantized("oq", softmax(t, t.quantized("iq", x, **shared)), **shared)


@dataclass(frozen=True, eq=False)
class _Output:
    """The heads together, projected to the features of the output."""

    of: MultiHeadAttention
    features: Shape

    def __call__(self, t: Trace, x: Value) -> Value:
        positions = t.shape(x)[:-2]
        letters, rest = LETTERS[: len(positions)], LETTERS[len(positions) :]
        out = rest[: len(self.features)]
        equation = f"a{letters}hv,hv{out}->a{letters}{out}"
        linear = self.of.linear(equation, positions, self.features, out if self.of.use_bias else None, contracted=2)
        return linear(t, x if self.of.network is not None else t.quantized("iq", x, **self.of.shared_data(1)))
