"""The nodes of an example graph one by one, for comparing the rows of `hgq_core.graph.kinds` on an array library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hgq_core.conformance.graphs import example
from hgq_core.graph import ops as op
from hgq_core.graph.kinds import Operand, counted_of, evaluate_operation, has_no_batch
from hgq_core.ops import NUMPY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hgq_core.graph import Node

__all__ = ["Row", "rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """A node, and what its operands are on NumPy.

    Attributes:
        node: of the graph.
        values: numbers of the operands.
        bits: their counted widths, None where no quantizer has set them.
        operands: their shapes, and which are constant.
    """

    node: Node
    values: Sequence[Any]
    bits: Sequence[Any]
    operands: Sequence[Operand]


def rows(name: str) -> Iterator[Row]:
    """Every node of the example graph of this name, in order.

    >>> [type(row.node.op).__name__ for row in rows("all-dead")]
    ['Input', 'Quantize', 'Quantize', 'Constant', 'Contract']
    """
    graph, inputs = example(name)
    feed = iter(inputs)
    values: dict[str, Any] = {}
    bits: dict[str, Any] = {}
    known: dict[str, Operand] = {}
    for node in graph:
        row = Row(node, *([table[n] for n in node.inputs] for table in (values, bits, known)))
        yield row
        is_input = isinstance(node.op, op.Input)
        values[node.name] = next(feed) if is_input else evaluate_operation(NUMPY, node.op, row.values)
        bits[node.name] = counted_of(NUMPY, node.op, row.bits, row.operands, node.shape)
        known[node.name] = Operand(node.shape, has_no_batch(node.op, [x.constant for x in row.operands]))
