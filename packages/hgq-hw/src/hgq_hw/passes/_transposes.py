"""Leaves out pairs of transpositions that undo each other, such as those around layers that want channels last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.formats import Formats
from hgq_core.graph.ops import (
    Add,
    Clip,
    Compare,
    Constant,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Negate,
    Quantize,
    Relu,
    Select,
    Subtract,
    Transpose,
)
from hgq_hw.passes._rewrite import rewrite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_core.graph import Graph, Node
    from hgq_core.graph.ops import Operation, Shape
    from hgq_hw.passes._rewrite import Editor

__all__ = ["cancel_transposes"]

_ELEMENTWISE = (Add, Clip, Compare, Lookup, Maximum, Minimum, Multiply, Negate, Quantize, Relu, Select, Subtract)


def cancel_transposes(graph: Graph) -> Graph:
    """Leave out transpositions that undo each other, also where operations on single elements lie between.

    A transposition moves behind such operations, their formats, tables and constants moved along, until it meets
    another one: the two become one, or none. Where that leaves no fewer transpositions the graph stays as it is.

    >>> from hgq_core.graph import GraphBuilder
    >>> from hgq_core.graph.ops import Input
    >>> builder = GraphBuilder()
    >>> x = builder.add(Input((2, 3, 4), Formats.of(1, 2, 3)))
    >>> y = builder.add(Relu(), builder.add(Transpose((1, 2, 0)), x))
    >>> graph = builder.build([builder.add(Transpose((2, 0, 1)), y)])
    >>> [type(node.op).__name__ for node in cancel_transposes(graph)]
    ['Input', 'Relu']
    """
    moved = rewrite(graph, _rule)
    return moved if _count(moved) < _count(graph) else graph


def _count(graph: Graph) -> int:
    return sum(isinstance(node.op, Transpose) for node in graph)


def _rule(editor: Editor, node: Node) -> bool:
    if isinstance(node.op, Transpose):
        return _merge(editor, node, node.op.axes)
    return isinstance(node.op, _ELEMENTWISE) and _sink(editor, node)


def _merge(editor: Editor, node: Node, outer: tuple[int, ...]) -> bool:
    """Two transpositions in a row."""
    source = editor[node.inputs[0]]
    inner = _axes_of(editor, source)
    if inner is None:
        return False
    axes = tuple(inner[axis] for axis in outer)
    if axes == tuple(range(len(axes))):
        editor.redirect(node, source.inputs[0])
    else:
        editor.keep(node, Transpose(axes), source.inputs)
    return True


def _sink(editor: Editor, node: Node) -> bool:
    """An operation on single elements whose data is transposed alike: transpose its result instead."""
    operands = [editor[name] for name in node.inputs]
    data = [operand for operand in operands if not isinstance(operand.op, Constant)]
    found = {_axes_of(editor, operand) for operand in data}
    axes = found.pop() if len(found) == 1 else None
    if axes is None or any(operand.shape != node.shape for operand in data):
        return False
    back = tuple(int(axis) for axis in np.argsort(axes))
    names = [
        editor.helper(operand, _constant(operand.op, node.shape, back), suffix="moved")
        if isinstance(operand.op, Constant)
        else operand.inputs[0]
        for operand in operands
    ]
    before = editor.helper(node, _operation(node.op, node.shape, back), *names, suffix="moved")
    editor.keep(node, Transpose(axes), (before,))
    return True


def _axes_of(editor: Editor, node: Node) -> tuple[int, ...] | None:
    """Of a transposition of data; None for anything else."""
    if not isinstance(node.op, Transpose) or isinstance(editor[node.inputs[0]].op, Constant):
        return None
    return node.op.axes


def _operation(op: Operation, shape: Shape, axes: tuple[int, ...]) -> Operation:
    """The same operation on each element, after the elements have moved."""
    match op:
        case Quantize():
            return replace(op, formats=_formats(op.formats, shape, axes))
        case Lookup():
            bits = None if op.bits is None else np.broadcast_to(op.bits, shape).transpose(axes)
            return replace(op, formats=_formats(op.formats, shape, axes), index=op.index.transpose(axes), bits=bits)
        case _:
            return op


def _formats(formats: Formats, shape: Shape, axes: tuple[int, ...]) -> Formats:
    return Formats(*(_axes(part, shape, axes) for part in (formats.k, formats.i, formats.f)))


def _constant(op: Constant, shape: Shape, axes: tuple[int, ...]) -> Constant:
    own = op.integers.shape
    bits = None if op.bits is None else _axes(np.broadcast_to(op.bits, own), shape, axes)
    return Constant(_axes(op.integers, shape, axes), _axes(np.broadcast_to(op.fraction, own), shape, axes), bits)


def _axes(values: NDArray[np.int64], shape: Shape, axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Numbers that broadcast to ``shape``, so that they broadcast to the transposed shape."""
    return values.reshape((1,) * (len(shape) - values.ndim) + values.shape).transpose(axes)
