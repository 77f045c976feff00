"""Data whose channels come first, as PyTorch has it, in declarations whose channels come last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hgq_core.graph.ops import Transpose
from hgq_core.layers.tracing import single

if TYPE_CHECKING:
    from hgq_core.layers.program import Declaration, Value
    from hgq_core.layers.tracing import Trace

__all__ = ["ChannelsFirst"]


@dataclass(frozen=True)
class ChannelsFirst:
    """An operation on ``(*spatial, channels)`` for data ``(channels, *spatial)``; moves cost nothing.

    What stands around it, input and output quantizers above all, has the channels first.

    Attributes:
        operation: the declaration, of one value.

    >>> from hgq_core.layers import Pooling, trace
    >>> trace(ChannelsFirst(Pooling("max", (2, 2), (2, 2), "valid")), (3, 4, 6)).output_shape
    (3, 2, 3)
    """

    operation: Declaration

    def __call__(self, t: Trace, x: Value) -> Value:
        rank = len(t.shape(x))
        if rank < 2:
            return single(self.operation(t, x))
        y = single(self.operation(t, t.op(Transpose((*range(1, rank), 0)), x)))
        # Of positions that are gone nothing is left to move.
        return t.op(Transpose((rank - 1, *range(rank - 1))), y) if len(t.shape(y)) == rank else y
