"""A graph rewritten so that hls4ml has a layer for every node. Each rewriting is exact: ``run`` gives the same numbers.

What hls4ml knows is left alone. The rest is expressed with it: moves by constant matrices of zeros and ones (wires in
hardware), a clip by two rectifiers, a grouped or dilated convolution by a plain one with zeros in its kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.graph import Graph, GraphBuilder, Node, prove
from hgq_core.graph.ops import Add, Concatenate, Constant, Contract, Input, Multiply, Operation, Reshape, Transpose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph.ops import Shape

__all__ = ["Legal", "Legalizer", "legalize"]

_LETTERS = "acdefghijklmnopqrstuvwxyz"  # b is the batch


@dataclass(frozen=True, slots=True)
class Legal:
    """A graph that hls4ml has a layer for every node of.

    Attributes:
        graph: the rewritten graph.
        names: node of the original graph -> node of the rewritten one that gives the same tensor.
    """

    graph: Graph
    names: Mapping[str, str]


def legalize(graph: Graph, *, plain: bool = False, stream: bool = False) -> Legal:
    """Rewrite a graph of fixed-point numbers for hls4ml.

    Args:
        graph: a graph whose Inputs have formats.
        plain: for a back end without layers for contractions in general, and without exact averages.
        stream: for io_stream, which pools over windows that do not overlap only.

    Returns:
        A graph of the same inputs and outputs, with only operations that `hgq_hw.hls4ml.layers` knows.

    Raises:
        UnsupportedError: an operation that hls4ml cannot do; names the node, its layer and the remedy.
    """
    from hgq_hw.hls4ml import linear  # noqa: F401  # registers its rules
    from hgq_hw.hls4ml.rules import rule

    legal = Legalizer(graph, plain=plain, stream=stream)
    for node in graph:
        legal.begin(node)
        if isinstance(node.op, Input | Constant):
            result = legal.add(node.op)
        elif all(isinstance(graph[name].op, Constant) for name in node.inputs):
            raise legal.refused("works on constants only", "fold constants first (hgq_hw.passes)")
        else:
            result = rule(node.op, legal, *(legal.names[name] for name in node.inputs))
        legal.names[node.name] = result
    outputs = [legal.names[name] for name in graph.outputs]
    return Legal(legal.builder.build(outputs, graph.uncalibrated), legal.names)


class Legalizer:
    """The graph being written, and the vocabulary that the rules are written in.

    Tensors are named by their node; shapes leave the batch axis out.
    """

    def __init__(self, graph: Graph, *, plain: bool, stream: bool) -> None:
        self.graph = graph
        self.plain = plain
        self.stream = stream
        self.builder = GraphBuilder()
        self.names: dict[str, str] = {}
        self._constants: dict[str, NDArray[np.float64]] = {}
        self._formats = prove(graph).formats
        self.node = graph.nodes[0]

    def begin(self, node: Node) -> None:
        """Everything that is added from here on belongs to ``node``."""
        self.node = node

    @property
    def operand_formats(self) -> list[Formats]:
        """Proved formats of the current node's operands in the original graph."""
        return [self._formats[name].broadcast_to(self.graph[name].shape) for name in self.node.inputs]

    def refused(self, what: str, remedy: str) -> UnsupportedError:
        """The error for the current node."""
        layer = f" of layer {self.node.label!r}" if self.node.label else ""
        name = f"{type(self.node.op).__name__} {self.node.name!r}{layer}"
        return UnsupportedError(f"hls4ml: {name} {what}; {remedy}")

    def shape(self, x: str) -> Shape:
        """Shape of a tensor."""
        return self.builder.shape(x)

    def constant_values(self, x: str) -> NDArray[np.float64] | None:
        """The numbers of a constant, None for data."""
        return self._constants.get(x)

    def add(self, op: Operation, *inputs: str) -> str:
        """Append one operation on behalf of the current node."""
        node = self.node
        name = self.builder.add(op, *inputs, name=node.name, label=node.label, composite=node.composite)
        if isinstance(op, Constant):
            self._constants[name] = op.values
        return name

    def constant(self, values: ArrayLike) -> str:
        """Append a constant."""
        return self.add(Constant.of(values))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """x in another shape."""
        return x if self.shape(x) == tuple(shape) else self.add(Reshape(tuple(shape)), x)

    def transpose(self, x: str, axes: Sequence[int]) -> str:
        """x with its axes permuted."""
        return x if list(axes) == sorted(axes) else self.add(Transpose(tuple(axes)), x)

    def affine(self, x: str, scale: ArrayLike, offset: ArrayLike = 0.0) -> str:
        """``scale * x + offset`` for constants that broadcast to x."""
        if np.any(np.asarray(scale) != 1):
            x = self.add(Multiply(), x, self.constant(scale))
        return self.add(Add(), x, self.constant(offset)) if np.any(offset) else x

    def along_axis(self, x: str, axis: int, matrix: NDArray[np.float64]) -> str:
        """x contracted along one axis with a constant ``(size, new size)`` matrix."""
        letters = _LETTERS[: len(self.shape(x))]
        new = _LETTERS[len(letters)]
        equation = f"b{letters},{letters[axis]}{new}->b{letters.replace(letters[axis], new)}"
        return self.add(Contract(equation), x, self.constant(matrix))

    def take(self, x: str, axis: int, indices: NDArray[np.int64]) -> str:
        """The elements at ``indices`` along an axis, zeros where the index is -1: wires."""
        size = self.shape(x)[axis]
        if np.array_equal(indices, np.arange(size)):
            return x
        return self.along_axis(x, axis, (np.arange(size)[:, None] == indices[None, :]).astype(np.float64))

    def broadcast(self, x: str, shape: Shape) -> str:
        """x repeated to ``shape`` by NumPy's rule."""
        own = self.shape(x)
        x = self.reshape(x, (1,) * (len(shape) - len(own)) + own)
        for axis, size in enumerate(shape):
            if self.shape(x)[axis] != size:
                x = self.take(x, axis, np.zeros(size, dtype=np.int64))
        return x

    def flat(self, x: str) -> str:
        """x as a vector."""
        return self.reshape(x, (prod(self.shape(x)),))

    def concatenate(self, parts: Sequence[str], axis: int) -> str:
        """The parts one after the other along ``axis``, two at a time along the last axis of a matrix."""
        first = self.shape(parts[0])
        lead, tail = first[:axis], first[axis + 1 :]
        rows = (prod(lead),) if prod(lead) > 1 else ()
        result = self.reshape(parts[0], (*rows, prod(first[axis:])))
        for part in parts[1:]:
            other = self.reshape(part, (*rows, prod(self.shape(part)[axis:])))
            result = self.add(Concatenate(len(rows)), result, other)
        return self.reshape(result, (*lead, sum(self.shape(part)[axis] for part in parts), *tail))
