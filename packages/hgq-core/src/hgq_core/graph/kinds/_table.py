"""One row for each kind of node, and the interpreters that read them: loops without a list of kinds of their own."""

from __future__ import annotations

from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hgq_core.errors import GraphError
from hgq_core.graph import ops as op
from hgq_core.graph.kinds import _costs, _shapes, _values
from hgq_core.graph.kinds._row import Kind, Operand
from hgq_core.ops import NUMPY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hgq_core.graph.ir import Graph
    from hgq_core.graph.ops import Operation, Shape
    from hgq_core.ops import Ops

__all__ = [
    "KINDS",
    "cost_of",
    "costs_of",
    "counted_of",
    "evaluate_graph",
    "evaluate_operation",
    "has_no_batch",
    "kind_of",
]


def kind_of(operation: Operation) -> Kind:
    """The row of an operation; raises GraphError for a type that has none.

    >>> kind_of(op.Select()).arity
    (3, 3)
    """
    kind = _ROWS.get(type(operation))
    if kind is None:
        known = ", ".join(known.__name__ for known in KINDS)
        message = f"{type(operation).__name__} is no kind of node that the Graph has: expected one of {known}"
        raise GraphError(message)
    return kind


def evaluate_operation(ops: Ops, operation: Operation, operands: Sequence[Any]) -> Any:
    """The result of one operation; data has a leading batch axis, constants have none."""
    return kind_of(operation).evaluate(ops, operation, operands)


def evaluate_graph(ops: Ops, graph: Graph, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Every output of a graph, for one array per Input; see `hgq_core.graph.evaluate`."""
    values: dict[str, Any] = {node.name: x for node, x in zip(graph.inputs, inputs, strict=True)}
    for node in graph:
        if not isinstance(node.op, op.Input):
            values[node.name] = evaluate_operation(ops, node.op, [values[name] for name in node.inputs])
    return tuple(values[name] for name in graph.outputs)


def cost_of(ops: Ops, operation: Operation, bits: Sequence[Any], operands: Sequence[Operand], shape: Shape) -> Any:
    """EBOPs of one operation, differentiable to ``bits``; 0.0 where it costs nothing.

    Args:
        ops: the array library.
        operation: what the node does.
        bits: counted widths of the operands, ``(1, *shape)`` for data; None where no quantizer has set them.
        operands: their shapes, and which are constant.
        shape: of the result without the batch axis.

    >>> import numpy as np
    >>> x, kernel = Operand((2,)), Operand((2, 3), constant=True)
    >>> float(cost_of(NUMPY, op.Contract("bi,io->bo"), [np.full((1, 2), 4.0), np.full((2, 3), 2.0)], [x, kernel], (3,)))
    48.0
    """
    return kind_of(operation).cost(ops, operation, bits, operands, shape)


def counted_of(ops: Ops, operation: Operation, bits: Sequence[Any], operands: Sequence[Operand], shape: Shape) -> Any:
    """Widths of the result that EBOPs counts, ``(1, *shape)`` for data; None where no quantizer has set them.

    The arguments are those of `cost_of`.
    """
    return kind_of(operation).counted(ops, operation, bits, operands, shape)


def has_no_batch(operation: Operation, constant: Sequence[bool]) -> bool:
    """Whether the result has no batch axis: a Constant, or an elementwise operation on such alone."""
    return isinstance(operation, op.Constant) or (kind_of(operation).broadcasts and all(constant))


def costs_of(graph: Graph) -> dict[str, float]:
    """EBOPs of each node that counts, by its name: its rule times its factor."""
    bits: dict[str, Any] = {}
    known: dict[str, Operand] = {}
    costs: dict[str, float] = {}
    for node in graph:
        widths, operands = [bits[name] for name in node.inputs], [known[name] for name in node.inputs]
        known[node.name] = Operand(node.shape, has_no_batch(node.op, [x.constant for x in operands]))
        bits[node.name] = counted_of(NUMPY, node.op, widths, operands, node.shape)
        if node.ebops_factor:
            costs[node.name] = float(cost_of(NUMPY, node.op, widths, operands, node.shape)) * node.ebops_factor
    return costs


def _scan_values(ops: Ops, operation: op.Scan, operands: Sequence[Any]) -> Any:
    return _values.scanned(ops, operation, operands, lambda *xs: evaluate_graph(ops, operation.body, xs))


def _scan_cost(
    _ops: Ops, operation: op.Scan, _bits: Sequence[Any], _operands: Sequence[Operand], _shape: Shape
) -> float:
    """The body's Inputs say which widths enter it."""
    return operation.steps * float(sum(costs_of(operation.body).values()))


def _input_values(_ops: Ops, _operation: op.Input, _operands: Sequence[Any]) -> Any:
    message = "an Input has no value of its own: give one for each Input of the graph"
    raise GraphError(message)


def _always(_operation: Any) -> bool:
    return True


def _never(_operation: Any) -> bool:
    return False


def _if_max(operation: op.Pool | op.Reduce) -> bool:
    return operation.kind == "max"


def _elementwise(arity: tuple[int, float], evaluate: Any, cost: Any, counted: Any, real: Any = _never) -> Kind:
    return Kind(arity, True, _shapes.elementwise, evaluate, cost, counted, real)


def _on_data(shape: Any, evaluate: Any, cost: Any, counted: Any, real: Any) -> Kind:
    return Kind((1, 1), False, _shapes.of_data(shape), evaluate, cost, counted, real)


def _move(shape: Any, evaluate: Callable[[Ops, Any, Sequence[Any]], Any], most: float = 1) -> Kind:
    """Wiring: nothing is computed, widths move along, and real numbers stay exact."""
    counted = _costs.moved(evaluate)
    return Kind((1, most), False, _shapes.of_data(shape), evaluate, _costs.free, counted, _always)


_TWO, _MANY = (2, 2), (2, inf)

# A plain dict inside, since compilers of PyTorch cannot look into a proxy.
_ROWS: dict[type, Kind] = {
    op.Input: Kind((0, 0), False, _shapes.given, _input_values, _costs.free, _costs.of_input, _always),
    op.Constant: Kind((0, 0), False, _shapes.constant, _values.constant, _costs.free, _costs.of_constant, _never),
    op.Quantize: _on_data(_shapes.same, _values.quantize, _costs.free, _costs.of_quantize, _never),
    op.Contract: Kind(_TWO, False, _shapes.contract, _values.contract, _costs.contracted, _costs.unset, _never),
    op.Convolve: Kind(_TWO, False, _shapes.convolve, _values.convolve, _costs.convolved, _costs.unset, _never),
    op.Pool: _on_data(_shapes.pool, _values.pool, _costs.pooled, _costs.unset, _if_max),
    op.Add: _elementwise(_MANY, _values.add, _costs.added, _costs.affine),
    op.Subtract: _elementwise(_TWO, _values.subtract, _costs.subtracted, _costs.affine),
    op.Multiply: _elementwise(_MANY, _values.multiply, _costs.multiplied, _costs.affine),
    op.Maximum: _elementwise(_MANY, _values.maximum, _costs.compared, _costs.of_widest, _always),
    op.Minimum: _elementwise(_MANY, _values.minimum, _costs.compared, _costs.of_widest),
    op.Negate: _on_data(_shapes.same, _values.negate, _costs.free, _costs.of_first, _always),
    op.Reduce: _on_data(_shapes.reduce, _values.reduce, _costs.reduced, _costs.of_widest_along, _if_max),
    op.Relu: _on_data(_shapes.same, _values.relu, _costs.free, _costs.of_first, _always),
    op.Clip: _on_data(_shapes.same, _values.clip, _costs.free, _costs.of_first, _never),
    op.Compare: _elementwise(_TWO, _values.compare, _costs.compared, _costs.unset),
    op.Select: _elementwise((3, 3), _values.select, _costs.free, _costs.unset),
    op.Lookup: _on_data(_shapes.same, _values.lookup, _costs.looked_up, _costs.of_table, _never),
    op.Reshape: _move(_shapes.reshape, _values.reshape),
    op.Transpose: _move(_shapes.transpose, _values.transpose),
    op.Concatenate: _move(_shapes.concatenate, _values.concatenate, inf),
    op.Slice: _move(_shapes.slice_, _values.slice_),
    op.Pad: _move(_shapes.pad, _values.pad),
    op.Broadcast: _move(_shapes.broadcast, _values.broadcast),
    op.Repeat: _move(_shapes.repeat, _values.repeat),
    op.Gather: _move(_shapes.gather, _values.gather),
    op.Scan: Kind((1, inf), False, _shapes.of_data(_shapes.scan), _scan_values, _scan_cost, _costs.unset, _never),
}

KINDS: Mapping[type, Kind] = MappingProxyType(_ROWS)
"""The row of each member of `Operation`."""
