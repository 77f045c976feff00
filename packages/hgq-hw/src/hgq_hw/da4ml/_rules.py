"""The interpreter run on da4ml's symbols, with one rule for each kind of node."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import HGQError, UnsupportedError
from hgq_core.graph import ops as op
from hgq_core.graph.evaluate import evaluate_node, scanned
from hgq_core.ops import NUMPY
from hgq_hw.da4ml._choice import choose, separate_constants
from hgq_hw.da4ml._symbols import CONSTANT_BITS
from hgq_hw.da4ml._units import added

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hgq_core.graph import Graph, Node

__all__ = ["RULES", "evaluate"]


def evaluate(graph: Graph, inputs: Sequence[Any]) -> dict[str, Any]:
    """Every tensor of the graph: symbols for data, numbers for constants."""
    values: dict[str, Any] = dict(zip((node.name for node in graph.inputs), inputs, strict=True))
    for node in graph:
        if isinstance(node.op, op.Input):
            continue
        try:
            values[node.name] = RULES[type(node.op)](graph, node, [values[name] for name in node.inputs])
        except HGQError as error:
            message = f"node {node.name!r} (layer {node.label!r}): {error}"
            raise type(error)(message) from error
    return values


def _interpreted(_graph: Graph, node: Node, operands: list[Any]) -> Any:
    """da4ml's symbols speak the verbs of the interpreter's own row."""
    return evaluate_node(node, operands)


def _chosen(_graph: Graph, node: Node, operands: list[Any]) -> Any:
    """A comparison or a choice, on symbols that da4ml compares exactly."""
    return choose(node, operands)


def _linear(graph: Graph, node: Node, operands: list[Any]) -> Any:
    """A contraction or convolution, of data with a constant kernel or with data.

    da4ml reads kernels as float32, so that a wider one is split into parts that float32 holds; its solver loses
    constants other than 0 among the data, so that they are contracted here and added.
    """
    node, operands = _summed_first(node, operands)
    constants = [position for position, name in enumerate(node.inputs) if isinstance(graph[name].op, op.Constant)]
    if not constants:
        return evaluate_node(node, operands)
    kernel, data = constants[0], 1 - constants[0]
    variable, known = separate_constants(operands[data])
    rest = np.asarray(operands[kernel], dtype=np.float64)
    result = None if known is None else evaluate_node(node, [known, rest] if data == 0 else [rest, known])
    while True:
        part = rest.astype(np.float32).astype(np.float64)
        product = evaluate_node(node, [variable, part] if data == 0 else [part, variable])
        result = product if result is None else product + result
        rest = rest - part
        if not rest.any():
            return result


def _summed_first(node: Node, operands: list[Any]) -> tuple[Node, list[Any]]:
    """The contraction without the axes that one operand has alone: da4ml's einsum knows no such axis."""
    if not isinstance(node.op, op.Contract):
        return node, operands
    first, second, output = node.op.terms
    kept, summed = [], []
    for term, other, x in zip((first, second), (second, first), operands, strict=True):
        alone = tuple(n for n, letter in enumerate(term) if letter not in other and letter not in output)
        kept.append("".join(letter for n, letter in enumerate(term) if n not in alone))
        summed.append(np.sum(x, axis=alone) if alone else x)
    return replace(node, op=op.Contract(f"{kept[0]},{kept[1]}->{output}")), summed


def _added(_graph: Graph, _node: Node, operands: list[Any]) -> Any:
    """A sum, in units that do not grow from step to step of a loop."""
    total = operands[0]
    for operand in operands[1:]:
        total = added(total, operand)
    return total


def _constant(graph: Graph, node: Node, operands: list[Any]) -> Any:
    """Numbers, of no more fraction bits than da4ml holds."""
    values = _interpreted(graph, node, operands)
    scaled = np.ldexp(values, CONSTANT_BITS)
    if np.any(scaled != np.rint(scaled)):
        message = f"da4ml holds constants of at most {CONSTANT_BITS} fraction bits; quantize these coarser"
        raise UnsupportedError(message)
    return values


def _scan(_graph: Graph, node: Node, operands: list[Any]) -> Any:
    """The steps of a recurrence, unrolled."""
    scan: Any = node.op

    def step(*inputs: Any) -> list[Any]:
        values = evaluate(scan.body, inputs)
        return [values[name] for name in scan.body.outputs]

    return scanned(NUMPY, scan, operands, step)


RULES: Mapping[type, Callable[[Graph, Node, list[Any]], Any]] = MappingProxyType(
    {
        op.Input: _interpreted,
        op.Constant: _constant,
        op.Quantize: _interpreted,
        op.Contract: _linear,
        op.Convolve: _linear,
        op.Pool: _chosen,
        op.Add: _added,
        op.Subtract: _interpreted,
        op.Multiply: _interpreted,
        op.Maximum: _chosen,
        op.Minimum: _chosen,
        op.Negate: _interpreted,
        op.Reduce: _chosen,
        op.Relu: _interpreted,
        op.Clip: _chosen,
        op.Compare: _chosen,
        op.Select: _chosen,
        op.Lookup: _interpreted,
        op.Reshape: _interpreted,
        op.Transpose: _interpreted,
        op.Concatenate: _interpreted,
        op.Slice: _interpreted,
        op.Pad: _interpreted,
        op.Broadcast: _interpreted,
        op.Repeat: _interpreted,
        op.Gather: _interpreted,
        op.Scan: _scan,
    }
)
"""The rule of each member of `Operation`: da4ml refuses no kind.

A rule ``(graph, node, operands)`` gives the tensor of the node, symbols for data and numbers for constants.
"""
