"""One row for each kind of node: arity, shape, value, cost, widths that pass through, whether it takes real numbers.

A new kind is a class in `hgq_core.graph.ops`, a member of its `Operation`, and a row here.
"""

from hgq_core.graph.kinds._row import Kind, Operand
from hgq_core.graph.kinds._table import (
    KINDS,
    cost_of,
    costs_of,
    counted_of,
    evaluate_graph,
    evaluate_operation,
    has_no_batch,
    kind_of,
)
from hgq_core.graph.kinds._values import scanned

__all__ = [
    "KINDS",
    "Kind",
    "Operand",
    "cost_of",
    "costs_of",
    "counted_of",
    "evaluate_graph",
    "evaluate_operation",
    "has_no_batch",
    "kind_of",
    "scanned",
]
