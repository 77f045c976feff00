"""Walking a graph and replacing nodes; the one way in which every pass edits."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.graph import GraphBuilder, Node
from hgq_core.graph.ops import Constant

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.graph import Graph
    from hgq_core.graph.ops import Operation

__all__ = ["Editor", "constant_of", "exact", "rewrite"]


class Editor:
    """A graph being copied node by node, in order.

    A name that survives keeps its tensor: a rule may leave nodes out, redirect a name to an equal tensor, or add
    helpers under new names, but never puts another tensor under an old name.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._builder = GraphBuilder()
        self._alias: dict[str, str] = {}
        self._copied: dict[str, Node] = {}
        self._taken = {node.name for node in graph}
        self._uses: dict[str, int] = dict.fromkeys(self._taken, 0)
        for name in (*graph.outputs, *(operand for node in graph for operand in node.inputs)):
            self._uses[name] += 1

    def __getitem__(self, name: str) -> Node:
        """The node that now stands for ``name``, a name of the old graph or of a helper."""
        return self._copied[self._alias.get(name, name)]

    def private(self, name: str) -> bool:
        """Whether one node only reads ``name``, so that it may be left out once that node no longer does."""
        return self._uses[self._alias.get(name, name)] == 1

    def constant(self, name: str) -> Any:
        """The exact values of a constant as an array of Fractions; None if ``name`` is data."""
        node = self[name]
        return exact(node.op) if isinstance(node.op, Constant) else None

    def keep(self, node: Node, op: Operation | None = None, inputs: tuple[str, ...] | None = None) -> None:
        """Copy a node, with another operation or other operands if given."""
        self._add(node, op or node.op, node.inputs if inputs is None else inputs, node.name)

    def helper(self, node: Node, op: Operation, *inputs: str, suffix: str) -> str:
        """Add a node next to ``node`` under a new name, which is returned."""
        name, number = f"{node.name}/{suffix}", 1
        while name in self._taken:
            number += 1
            name = f"{node.name}/{suffix}_{number}"
        self._taken.add(name)
        self._uses[name] = 1
        self._add(node, op, inputs, name)
        return name

    def redirect(self, node: Node, to: str) -> None:
        """Leave a node out: whoever reads it reads ``to``, an equal tensor, from now on."""
        target = self._alias.get(to, to)
        self._alias[node.name] = target
        self._uses[target] += self._uses[node.name] - 1

    def _add(self, node: Node, op: Operation, inputs: tuple[str, ...], name: str) -> None:
        operands = tuple(self._alias.get(operand, operand) for operand in inputs)
        self._builder.add(
            op, *operands, name=name, label=node.label, composite=node.composite, ebops_factor=node.ebops_factor
        )
        self._copied[name] = Node(
            name, op, operands, self._builder.shape(name), node.label, node.composite, node.ebops_factor
        )

    def build(self) -> Graph:
        """The edited graph, without the nodes that nobody reads any more."""
        outputs = [self._alias.get(name, name) for name in self.graph.outputs]
        return self._builder.build(outputs, self.graph.uncalibrated)


def rewrite(graph: Graph, rule: Callable[[Editor, Node], bool]) -> Graph:
    """Apply ``rule`` to every node in order; where it returns False the node is copied as it is."""
    editor = Editor(graph)
    for node in graph:
        if not rule(editor, node):
            editor.keep(node)
    return editor.build()


_fraction = np.frompyfunc(lambda n, f: Fraction(int(n)) / Fraction(2) ** int(f), 2, 1)
_float = np.frompyfunc(float, 1, 1)


def exact(op: Constant) -> Any:
    """The values of a constant as an object array of Fractions, of its shape."""
    return np.asarray(_fraction(op.integers, np.broadcast_to(op.fraction, op.integers.shape)), dtype=object)


def constant_of(values: Any) -> Constant | None:
    """The constant with these exact values; None if one of them needs more than the 53 bits that a constant is read
    with.
    """
    floats = np.asarray(_float(values), dtype=np.float64)
    if not np.all(np.isfinite(floats)) or any(
        Fraction(a) != b for a, b in zip(floats.flat, np.ravel(values), strict=True)
    ):
        return None
    return Constant.of(floats)
