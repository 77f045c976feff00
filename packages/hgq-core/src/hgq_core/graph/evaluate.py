"""The interpreter: evaluates a Graph on anything that speaks NumPy's protocols.

Numbers, exact integers, intervals and hardware symbols run through the same rows of `hgq_core.graph.kinds`. The two
verbs that arrays do not speak by themselves, `quantize_values` and `lookup_values`, are generic functions: a new kind
of array registers its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.errors import GraphError
from hgq_core.graph.integers import EXACT, IntegerArray
from hgq_core.graph.kinds import evaluate_graph, evaluate_operation, scanned
from hgq_core.graph.verbs import lookup_values, quantize_values
from hgq_core.ops import NUMPY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph.ir import Graph, Node
    from hgq_core.ops import Ops

__all__ = ["evaluate", "evaluate_node", "lookup_values", "quantize_values", "scanned", "zip_inputs"]


def evaluate(graph: Graph, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Every output of the graph for arrays of any kind; numbers are not checked."""
    zip_inputs(graph, inputs)
    return evaluate_graph(_ops(inputs), graph, inputs)


def evaluate_node(node: Node, operands: Sequence[Any]) -> Any:
    """The result of one node; data has a leading batch axis, constants have none."""
    return evaluate_operation(_ops(operands), node.op, operands)


def _ops(operands: Sequence[Any]) -> Ops:
    return EXACT if any(isinstance(x, IntegerArray) for x in operands) else NUMPY


def zip_inputs(graph: Graph, inputs: Sequence[Any]) -> list[tuple[Node, Any]]:
    """Input nodes with what is fed to them; raises GraphError if the numbers differ."""
    if len(inputs) != len(graph.inputs):
        names = [node.name for node in graph.inputs]
        message = f"the graph has {len(names)} input(s) {names}, received {len(inputs)}"
        raise GraphError(message)
    return list(zip(graph.inputs, inputs, strict=True))
