"""A linear map of the positions of keys and values to fewer ones, before they meet the queries."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol

from hgq_core.errors import ShapeError
from hgq_core.layers.instances import parallel_share
from hgq_core.linear import Contract

if TYPE_CHECKING:
    from hgq_core.layers.program import Value
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

    def quantized_data(self, t: Trace, name: str, x: Value, /) -> Value:
        """Data by the input quantizer of this part, by default with one width along the positions."""


@dataclass(frozen=True)
class SequenceProjection:
    """``key' = sum over positions of kernel * key``, likewise of the value; as in Linformer (arXiv:2006.04768).

    The map is one of the data, before the projections to heads, which then have fewer positions to serve. Slots:
    ``key_proj/iq, key_proj/kq``, those of the value likewise; of a shared map ``kv_proj/kq``. It has no bias.

    Attributes:
        sizes: of the positions that attend, afterwards.
        shared: whether key and value have one kernel. Where they are one tensor too, it is one circuit, counted once.
    """

    sizes: tuple[int, ...]
    shared: bool = False

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
        """
        query, value, key = inputs
        if len(self.sizes) != len(axes):
            message = f"received {len(self.sizes)} size(s) {self.sizes} for {len(axes)} axes of positions that attend"
            raise ShapeError(message)

        def kernel_of(t: Trace, x: Value) -> Value:
            return t.weight("kernel", "kq", (*(t.shape(x)[axis] for axis in axes), *self.sizes))

        from_value = of.quantized_data(t, "value_proj", value)
        from_key = from_value if of.fuse != "none" else of.quantized_data(t, "key_proj", key)
        if self.shared:
            kernel = t.call("kv_proj", kernel_of, from_value)
            v = self._reduced(t, from_value, kernel, axes, of)
            k = v if from_key is from_value else self._reduced(t, from_key, kernel, axes, of)
        else:
            v = self._reduced(t, from_value, t.call("value_proj", kernel_of, from_value), axes, of)
            k = self._reduced(t, from_key, t.call("key_proj", kernel_of, from_key), axes, of)
        of_value = of.quantized_data(t, "value", v)
        of_key = of_value if k is v else of.quantized_data(t, "key", k)
        of_query = from_value if of.fuse == "qkv" else of.quantized_data(t, "query", query)
        return of_query, of_value, of_key

    def _reduced(self, t: Trace, x: Value, kernel: Value, axes: tuple[int, ...], of: Attended) -> Value:
        rank = len(t.shape(x)) - 1
        data, rest = LETTERS[:rank], iter(LETTERS[rank:])
        made = {axis: next(rest) for axis in axes}
        result = "".join(made.get(axis, c) for axis, c in enumerate(data))
        equation = f"a{data}x,{''.join(data[axis] for axis in axes)}{''.join(made.values())}->a{result}x"
        positions = prod(self.sizes)
        part = t.part(share=parallel_share(min(of.parallelization_factor, positions), positions))
        return part.op(Contract(equation), x, kernel)
