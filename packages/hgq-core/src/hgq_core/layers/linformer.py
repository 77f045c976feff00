"""A linear map of the positions of keys and values to fewer ones, before they meet the queries."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Concatenate, Slice
from hgq_core.layers.instances import parallel_share
from hgq_core.layers.table_dense import TableEinsum
from hgq_core.linear import Contract

if TYPE_CHECKING:
    from hgq_core.layers.program import Value
    from hgq_core.layers.table_dense import EdgeNetwork
    from hgq_core.layers.tracing import Trace

__all__ = ["LETTERS", "SequenceProjection"]

LETTERS = "bcdefgijlmnpqrstuw"
"""For axes of positions; a is the batch, h the heads, k and v what the heads hold, x and o features."""


class Attended(Protocol):
    """What a projection of positions asks of the attention around it."""

    @property
    def fuse(self) -> str:
        """Which of query, key and value are one tensor."""

    @property
    def parallelization_factor(self) -> int:
        """Positions that are built, -1 for all."""

    @property
    def network(self) -> EdgeNetwork | None:
        """Of the tables of the projections; None: they have kernels."""

    @property
    def table_idxs(self) -> tuple[int, int]:
        """Of the cost of these tables."""

    def quantized_data(self, t: Trace, name: str, x: Value, /) -> Value:
        """Data by the input quantizer of this part, by default with one width along the positions."""

    def projected_data(self, t: Trace, name: str, x: Value, /) -> Value:
        """Data as the projection to heads of this name reads them."""


@dataclass(frozen=True)
class SequenceProjection:
    """``key' = sum over positions of kernel * key``, likewise of the value; as in Linformer (arXiv:2006.04768).

    The map is one of the data, before the projections to heads, which then have fewer positions to serve. Slots:
    ``key_proj/iq, key_proj/kq``, those of the value likewise; of a shared map ``kv_proj/kq``. It has no bias.

    A map of tables has a table for each position before and each one behind, which serves all features and whose input
    has a width for each of them. Slots: ``key_proj/iq, key_proj/toq``, those of the value likewise; of a shared map,
    which reads the features of value and key side by side, ``kv_proj/iq, kv_proj/toq``.

    Attributes:
        sizes: of the positions that attend, afterwards.
        shared: whether key and value have one map. Where they are one tensor too, it is one circuit, counted once.
        of_tables: whether the map is of the tables of the attention's network, in place of a kernel.
    """

    sizes: tuple[int, ...]
    shared: bool = False
    of_tables: bool = False

    def __call__(
        self, t: Trace, of: Attended, inputs: tuple[Value, Value, Value], axes: tuple[int, ...]
    ) -> tuple[Value, Value, Value]:
        """Query, value and key for the projections to heads, quantized.

        Args:
            t: the trace.
            of: the attention.
            inputs: query, value and key.
            axes: positions that attend, counted from 0.

        Raises:
            ShapeError: another number of sizes than of positions that attend.
            ConfigError: a map of tables for projections that have kernels.
        """
        query, value, key = inputs
        if len(self.sizes) != len(axes):
            message = f"received {len(self.sizes)} size(s) {self.sizes} for {len(axes)} axes of positions that attend"
            raise ShapeError(message)
        if self.of_tables:
            v, k = self._by_tables(t, of, value, key, axes)
        else:
            value, v, k = self._by_kernels(t, of, value, key, axes)
        of_value = of.projected_data(t, "value", v)
        of_key = of_value if k is v else of.projected_data(t, "key", k)
        # What is fused is quantized once, by a map that has a kernel; tables quantize what they look up.
        once = of.fuse == "qkv" and of.network is None
        return value if once else of.projected_data(t, "query", query), of_value, of_key

    def _by_kernels(
        self, t: Trace, of: Attended, value: Value, key: Value, axes: tuple[int, ...]
    ) -> tuple[Value, Value, Value]:
        """The quantized value, and value and key at fewer positions."""

        def kernel_of(t: Trace, x: Value) -> Value:
            return t.weight("kernel", "kq", (*(t.shape(x)[axis] for axis in axes), *self.sizes))

        from_value = of.quantized_data(t, "value_proj", value)
        from_key = from_value if of.fuse != "none" else of.quantized_data(t, "key_proj", key)
        if self.shared:
            kernel = t.call("kv_proj", kernel_of, from_value)
            v = self._reduced(t, from_value, kernel, axes, of)
            return from_value, v, v if from_key is from_value else self._reduced(t, from_key, kernel, axes, of)
        v = self._reduced(t, from_value, t.call("value_proj", kernel_of, from_value), axes, of)
        return from_value, v, self._reduced(t, from_key, t.call("key_proj", kernel_of, from_key), axes, of)

    def _by_tables(
        self, t: Trace, of: Attended, value: Value, key: Value, axes: tuple[int, ...]
    ) -> tuple[Value, Value]:
        """Value and key at fewer positions."""
        if not self.shared:
            return self._mapped(t, "value_proj", value, axes, of), self._mapped(t, "key_proj", key, axes, of)
        if of.fuse != "none":
            v = self._mapped(t, "kv_proj", value, axes, of)
            return v, v
        rank, features = len(t.shape(value)) - 1, t.shape(value)[-1]
        both = self._mapped(t, "kv_proj", t.op(Concatenate(rank), value, key), axes, of)
        start, stop, step = (0,) * rank, t.shape(both), (1,) * (rank + 1)
        v = t.op(Slice((*start, 0), (*stop[:-1], features), step), both)
        return v, t.op(Slice((*start, features), stop, step), both)

    def _mapped(self, t: Trace, name: str, x: Value, axes: tuple[int, ...], of: Attended) -> Value:
        """Data at fewer positions, by tables."""
        if of.network is None:
            message = "received a map of tables, expected one with a kernel, as the projections have"
            raise ConfigError(message)
        positions = prod(self.sizes)
        part = t.part(share=parallel_share(min(of.parallelization_factor, positions), positions))
        sizes = dict(zip(axes, self.sizes, strict=True))
        output = tuple(sizes.get(axis, n) for axis, n in enumerate(t.shape(x)))
        equation = self._equation(len(output) - 1, axes)
        return part.call(name, TableEinsum(equation, output, None, of.network, None, -1, of.table_idxs), x)

    @staticmethod
    def _equation(rank: int, axes: tuple[int, ...]) -> str:
        """Of data of so many axes of positions, and a map of these."""
        data, rest = LETTERS[:rank], iter(LETTERS[rank:])
        made = {axis: next(rest) for axis in axes}
        result = "".join(made.get(axis, c) for axis, c in enumerate(data))
        return f"a{data}x,{''.join(data[axis] for axis in axes)}{''.join(made.values())}->a{result}x"

    def _reduced(self, t: Trace, x: Value, kernel: Value, axes: tuple[int, ...], of: Attended) -> Value:
        equation = self._equation(len(t.shape(x)) - 1, axes)
        positions = prod(self.sizes)
        part = t.part(share=parallel_share(min(of.parallelization_factor, positions), positions))
        return part.op(Contract(equation), x, kernel)
