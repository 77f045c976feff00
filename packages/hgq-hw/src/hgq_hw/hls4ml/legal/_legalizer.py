"""The graph that is being written, and the vocabulary that the rules are written in."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, prove
from hgq_core.graph.ops import Add, Concatenate, Constant, Contract, Multiply, Operation, Reshape, Transpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from hgq_core.graph import Graph, Node
    from hgq_core.graph.ops import Shape

__all__ = ["Legalizer"]

_LETTERS = "acdefghijklmnopqrstuvwxyz"  # b is the batch


class Legalizer:
    """What a rule writes with.

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

    def fraction_bits(self, number: int) -> NDArray[np.int64]:
        """Fraction bits of one of the current node's operands, data or a constant, in the original graph."""
        operand = self.graph[self.node.inputs[number]]
        if isinstance(operand.op, Constant):
            return np.asarray(Formats.covering(operand.op.values).f)
        return np.asarray(self._formats[operand.name].broadcast_to(operand.shape).f)

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
