"""Loops written out: a Scan as its steps, for targets that have no recurrence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hgq_core.graph.ops import Concatenate, Constant, Input, Reshape, Scan, Slice
from hgq_hw.passes._rewrite import rewrite

if TYPE_CHECKING:
    from hgq_core.graph import Graph, Node
    from hgq_hw.passes._rewrite import Editor

__all__ = ["unroll"]


def unroll(graph: Graph) -> Graph:
    """Write every Scan as the steps that it runs; constants of a step stand there once."""
    return rewrite(graph, _rule)


def _rule(editor: Editor, node: Node) -> bool:
    if not isinstance(node.op, Scan):
        return False
    body, (xs, *states) = unroll(node.op.body), node.inputs
    (number, *item), rows = editor[xs].shape, []
    constants: dict[str, str] = {}
    for step in range(number)[:: -1 if node.op.reverse else 1]:
        stop = (step + 1, *item)
        cut = editor.helper(node, Slice((step, *[0] * len(item)), stop, (1,) * len(stop)), xs, suffix=f"{step}/x")
        x = editor.helper(node, Reshape(tuple(item)), cut, suffix=f"{step}/item")
        values = dict(zip((feed.name for feed in body.inputs), (x, *states), strict=True)) | constants
        for part in body:
            if isinstance(part.op, Input) or part.name in values:
                continue
            at = replace(part, name=node.name, ebops_factor=part.ebops_factor * node.ebops_factor)
            operands = [values[name] for name in part.inputs]
            values[part.name] = editor.helper(at, part.op, *operands, suffix=f"{step}/{part.name}")
            if isinstance(part.op, Constant):
                constants[part.name] = values[part.name]
        y, *states = (values[name] for name in body.outputs)
        rows.append(editor.helper(node, Reshape((1, *editor[y].shape)), y, suffix=f"{step}/row"))
    editor.keep(node, Concatenate(0), tuple(rows[:: -1 if node.op.reverse else 1]))
    return True
