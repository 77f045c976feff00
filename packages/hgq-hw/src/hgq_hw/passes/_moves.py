"""Leaves out what does nothing: moves that move nothing, sums with 0, products with 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import (
    Add,
    Broadcast,
    Concatenate,
    Constant,
    Gather,
    Multiply,
    Negate,
    Pad,
    Relu,
    Repeat,
    Reshape,
    Slice,
    Transpose,
)
from hgq_hw.passes._rewrite import rewrite

if TYPE_CHECKING:
    from hgq_core.graph import Graph, Node
    from hgq_hw.passes._rewrite import Editor

__all__ = ["drop_identities"]


def drop_identities(graph: Graph) -> Graph:
    """Leave out nodes whose result equals an operand, and merge moves that follow each other.

    A constant stays where it is: only data has a batch axis.
    """
    return rewrite(graph, _rule)


def _rule(editor: Editor, node: Node) -> bool:
    if not node.inputs or isinstance(editor[node.inputs[0]].op, Constant):
        return False
    source = editor[node.inputs[0]]
    if len(node.inputs) == 1 and (
        _moves_nothing(node, source) or (isinstance(node.op, Relu) and isinstance(source.op, Relu))
    ):
        editor.redirect(node, source.name)
        return True
    match node.op, source.op:
        case (Reshape(), Reshape()):
            editor.keep(node, inputs=source.inputs)
            return True
        case (Transpose(axes=outer), Transpose(axes=inner)):
            editor.keep(node, Transpose(tuple(inner[axis] for axis in outer)), source.inputs)
            return True
        case (Negate(), Negate()):
            editor.redirect(node, source.inputs[0])
            return True
    return _neutral(editor, node, source)


def _moves_nothing(node: Node, source: Node) -> bool:
    same = node.shape == source.shape
    match node.op:
        case Reshape() | Broadcast() | Pad():
            return same
        case Concatenate():
            return True
        case Slice(step=step):
            return same and all(s == 1 for s in step)
        case Repeat(times=times):
            return times == 1
        case Transpose(axes=axes):
            return axes == tuple(range(len(axes)))
        case Gather(indices=indices):
            return same and np.array_equal(indices, np.arange(len(indices)))
        case _:
            return False


def _neutral(editor: Editor, node: Node, source: Node) -> bool:
    """``x + 0`` and ``x * 1``."""
    if not isinstance(node.op, Add | Multiply) or len(node.inputs) != 2 or node.shape != source.shape:
        return False
    values = editor.constant(node.inputs[1])
    if values is None or not np.all(values == (0 if isinstance(node.op, Add) else 1)):
        return False
    editor.redirect(node, source.name)
    return True
