"""Folds what is known: operations on constants alone, and constants that follow each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import FormatError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, run
from hgq_core.graph.ops import Add, Constant, Contract, Convolve, Input, Multiply, Pool, Scan, Subtract
from hgq_hw.passes._rewrite import constant_of, rewrite

if TYPE_CHECKING:
    from hgq_core.graph import Graph, Node
    from hgq_hw.passes._rewrite import Editor

__all__ = ["fold_constants"]


def fold_constants(graph: Graph) -> Graph:
    """Compute operations on constants, and write ``(x + a) + b`` as ``x + (a + b)``, ``(x a) b`` as ``x (a b)``.

    A constant operand comes second afterwards, and ``x - a`` has become ``x + (-a)``. Constants that would need more
    than 53 bits stay apart.
    """
    return rewrite(graph, _rule)


def _rule(editor: Editor, node: Node) -> bool:
    if node.inputs and all(isinstance(editor[name].op, Constant) for name in node.inputs):
        return _evaluate(editor, node)
    if not isinstance(node.op, Add | Multiply | Subtract) or len(node.inputs) != 2:
        return False
    first, second = node.inputs
    values = editor.constant(second)
    if isinstance(node.op, Subtract):
        if values is None:
            return False
        negated = editor.helper(node, Constant.of(_floats(-values)), suffix="negated")
        editor.keep(node, Add(), (first, negated))
        return True
    if values is None:
        if editor.constant(first) is None:
            return False
        first, second, values = second, first, editor.constant(first)
    return _chain(editor, node, first, values) or _swap(editor, node, first, second)


def _floats(values: object) -> object:
    return np.asarray(values, dtype=np.float64)


def _chain(editor: Editor, node: Node, first: str, values: object) -> bool:
    inner = editor[first]
    if type(inner.op) is not type(node.op) or len(inner.inputs) != 2 or not editor.private(first):
        return False
    before = editor.constant(inner.inputs[1])
    if before is None:
        return False
    merged = constant_of(before + values if isinstance(node.op, Add) else before * values)
    if merged is None:
        return False
    editor.keep(node, inputs=(inner.inputs[0], editor.helper(node, merged, suffix="folded")))
    return True


def _swap(editor: Editor, node: Node, first: str, second: str) -> bool:
    if (first, second) == node.inputs:
        return False
    editor.keep(node, inputs=(first, second))
    return True


def _evaluate(editor: Editor, node: Node) -> bool:
    """Run the one operation on its constants, each as a batch of one."""
    if isinstance(node.op, Contract | Convolve | Pool | Scan):
        return False
    builder = GraphBuilder()
    operands, names = [], []
    for name in node.inputs:
        op = editor[name].op
        if not isinstance(op, Constant):
            return False
        values = np.broadcast_to(op.values, op.integers.shape)
        names.append(builder.add(Input(values.shape, Formats.covering(values))))
        operands.append(values[None])
    result = run(builder.build([builder.add(node.op, *names)]), *operands)
    folded = np.asarray(result, dtype=np.float64)[0]
    try:
        constant = Constant.of(folded)
    except FormatError:
        return False
    editor.keep(node, constant, ())
    return True
