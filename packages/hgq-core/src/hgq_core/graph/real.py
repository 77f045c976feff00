"""Numbers that no quantizer has made fixed-point yet: which tensors hold them, and what may be done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.graph import ops as op
from hgq_core.graph.kinds import kind_of

if TYPE_CHECKING:
    from hgq_core.graph.ir import Graph

__all__ = ["acts_on_real", "real_tensors"]


def acts_on_real(operation: op.Operation) -> bool:
    """Whether this operation may act on real numbers: it moves, selects or negates them, exactly in any arithmetic.

    >>> acts_on_real(op.Relu()), acts_on_real(op.Add())
    (True, False)
    """
    return kind_of(operation).real(operation)


def real_tensors(graph: Graph) -> set[str]:
    """Names of the tensors that hold real numbers: inputs without formats, and what is not quantized after them."""
    real: set[str] = set()
    for node in graph:
        if isinstance(node.op, op.Input):
            if node.op.formats is None:
                real.add(node.name)
        elif not isinstance(node.op, op.Quantize) and not real.isdisjoint(node.inputs):
            real.add(node.name)
    return real
