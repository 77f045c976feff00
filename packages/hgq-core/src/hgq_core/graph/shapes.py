"""Shape algebra of the Graph's operations: how many operands each takes, and the shape of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.errors import GraphError
from hgq_core.graph.kinds import has_no_batch, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph.ops import Operation, Shape

__all__ = ["has_no_batch", "output_shape"]


def output_shape(op: Operation, shapes: Sequence[Shape], *, constant: Sequence[bool]) -> Shape:
    """Shape of the result without the batch axis; raises GraphError or ShapeError for operands that do not fit.

    Args:
        op: the operation.
        shapes: shapes of the operands, without the batch axis.
        constant: whether each operand is constant, so that it has no batch axis at all; see `has_no_batch`.
    """
    kind = kind_of(op)
    fewest, most = kind.arity
    if not fewest <= len(shapes) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} or more"
        message = f"{type(op).__name__} received {len(shapes)} operand(s), expected {wanted}"
        raise GraphError(message)
    return kind.shape(op, shapes, constant)
