"""The Graph: what a trained model becomes. Framework-free, exact, topologically ordered, and small enough to read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import GraphError, ShapeError
from hgq_core.graph.kinds import kind_of
from hgq_core.graph.ops import (
    Compare,
    Constant,
    Input,
    Lookup,
    Operation,
    Quantize,
    Reduce,
    Reshape,
    Shape,
)
from hgq_core.graph.shapes import has_no_batch, output_shape
from hgq_core.graph.show import graph_as_html, graph_as_line, graph_as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Graph", "GraphBuilder", "Node"]

_KINDS: dict[type, tuple[str, ...]] = {Reduce: ("sum", "max", "min"), Compare: ("<", "<=", "==", ">=", ">")}
_FAR = 1000  # fraction bits of a float64


@dataclass(frozen=True, slots=True)
class Node:
    """One operation and its place.

    Attributes:
        name: unique in the graph; also the name of the edge that leaves the node.
        op: what it does.
        inputs: names of the operands.
        shape: shape of the result without the batch axis.
        label: the layer that it came from, in the user's words, e.g. ``encoder/softmax``.
        composite: the group that it belongs to (``batch_norm``, ``softmax``, ...), empty if none.
        ebops_factor: weight of this node in EBOPs: parallelization factor over instances times the layer's own factor;
            0 for an operation that the layer does not count.
    """

    name: str
    op: Operation
    inputs: tuple[str, ...]
    shape: Shape
    label: str = ""
    composite: str = ""
    ebops_factor: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes in topological order, and the names of what enters and leaves. Two graphs are equal if every node is.

    Attributes:
        nodes: in topological order.
        outputs: names of the nodes that leave.
        uncalibrated: labels of the layers with a range that follows data (WRAP) and never was calibrated. The graph
            computes what its model computes, but such a range wraps or is wider than its data: the hardware is larger
            than it need be, or wrong on data. Every pass keeps it.
        memo: keeps what is expensive to work out of an unchanging graph.

    >>> builder = GraphBuilder()
    >>> x = builder.add(Input((4,)))
    >>> len(builder.build([x]))
    1
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    uncalibrated: tuple[str, ...] = ()
    memo: dict[str, Any] = field(init=False, repr=False, default_factory=dict)
    _index: dict[str, Node] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index: dict[str, Node] = {}
        no_batch: dict[str, bool] = {}
        for node in self.nodes:
            if node.name in index:
                message = f"two nodes are called {node.name!r}; names must be unique"
                raise GraphError(message)
            for name in node.inputs:
                if name not in index:
                    message = f"node {node.name!r} reads {name!r}, which no earlier node gives"
                    raise GraphError(message)
            constant = [no_batch[name] for name in node.inputs]
            shape = output_shape(node.op, [index[name].shape for name in node.inputs], constant=constant)
            no_batch[node.name] = has_no_batch(node.op, constant)
            if shape != node.shape:
                message = f"node {node.name!r} claims shape {node.shape}, its operation gives {shape}"
                raise ShapeError(message)
            _check(node)
            index[node.name] = node
        for name in self.outputs:
            if name not in index:
                message = f"the graph's output {name!r} is not a node"
                raise GraphError(message)
        labels: object = self.uncalibrated
        if not isinstance(labels, tuple) or not all(isinstance(label, str) for label in labels):
            message = f"uncalibrated: received {labels!r}, expected a tuple of labels"
            raise GraphError(message)
        object.__setattr__(self, "_index", index)

    def __getitem__(self, name: str) -> Node:
        try:
            return self._index[name]
        except KeyError:
            message = f"no node is called {name!r}; the graph has {list(self._index)}"
            raise GraphError(message) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and same(
            (self.nodes, self.outputs, self.uncalibrated), (other.nodes, other.outputs, other.uncalibrated)
        )

    __hash__ = None  # type: ignore[assignment]  # compared by value, arrays included

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The Input nodes, in order."""
        return tuple(node for node in self.nodes if isinstance(node.op, Input))

    def __repr__(self) -> str:
        return f"<{graph_as_line(self)}>"

    def __str__(self) -> str:
        """One short table: node, kind, shape, bits, label; a long graph shows its first and its last nodes."""
        return graph_as_text(self)

    def _repr_html_(self) -> str:
        return graph_as_html(self)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read ``name``."""
        return tuple(node for node in self.nodes if name in node.inputs)


def same(a: Any, b: Any) -> bool:
    """Equality by value through dataclasses, tuples and arrays."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a) and not isinstance(a, Graph | type):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


def _check(node: Node) -> None:
    """Labels are words, factors numbers, formats fit the shape, and constants a float64."""
    for part in ("name", "label", "composite"):
        if not isinstance(getattr(node, part), str):
            message = f"node {node.name!r}: {part} is {getattr(node, part)!r}, expected a str"
            raise GraphError(message)
    factor: object = node.ebops_factor
    if not isinstance(factor, int | float | np.integer | np.floating) or not 0 <= factor < float("inf"):
        message = f"node {node.name!r}: ebops_factor is {factor!r}, expected a number of at least 0"
        raise GraphError(message)
    if isinstance(node.op, Quantize | Lookup | Input) and node.op.formats is not None:
        node.op.formats.broadcast_to(node.shape)
        if np.any((node.op.formats.k != 0) & (node.op.formats.k != 1)):
            message = f"node {node.name!r}: k is the sign bit, received {np.unique(node.op.formats.k)}, expected 0 or 1"
            raise GraphError(message)
    if isinstance(node.op, Reduce | Compare) and node.op.kind not in _KINDS[type(node.op)]:
        message = f"node {node.name!r}: received kind {node.op.kind!r}, expected one of {_KINDS[type(node.op)]}"
        raise GraphError(message)
    if isinstance(node.op, Constant):
        _check_constant(node.name, node.op)
    if isinstance(node.op, Constant | Lookup) and node.op.bits is not None:
        _check_bits(node.name, node.op.bits, node.shape)


def _check_bits(name: str, bits: NDArray[np.int64], shape: Shape) -> None:
    if np.any(np.broadcast_to(bits, shape) < 0):
        message = f"node {name!r}: bits count widths, received {bits.min()}, expected at least 0"
        raise GraphError(message)


def _check_constant(name: str, constant: Constant) -> None:
    np.broadcast_to(constant.fraction, constant.integers.shape)
    if constant.integers.dtype.kind not in "iu" or np.any(np.abs(constant.fraction) > _FAR):
        message = (
            f"constant {name!r}: received {constant.integers.dtype} with fraction bits up to "
            f"{np.max(np.abs(constant.fraction))}, expected integers with at most {_FAR}; see Constant.of"
        )
        raise GraphError(message)
    if np.any(np.abs(constant.integers) > 2**53):
        message = f"constant {name!r} needs more than 53 bits; expected quantized numbers"
        raise GraphError(message)


class GraphBuilder:
    """Collects nodes in order, names them, and works out their shapes.

    >>> builder = GraphBuilder()
    >>> x = builder.add(Input((4,)), name="x")
    >>> from hgq_core.graph.ops import Relu
    >>> builder.build([builder.add(Relu(), x, label="act")]).outputs
    ('act/relu',)
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._no_batch: dict[str, bool] = {}

    def add(
        self,
        op: Operation,
        *inputs: str,
        name: str = "",
        label: str = "",
        composite: str = "",
        ebops_factor: float = 1.0,
    ) -> str:
        """Append a node and return its name; ``name`` is made unique by a numbered suffix."""
        for operand in inputs:
            if operand not in self._nodes:
                message = f"{type(op).__name__} reads {operand!r}, which is not a node yet"
                raise GraphError(message)
        if kind_of(op).broadcasts:
            inputs = tuple(self._lifted(operand, inputs, label, composite) for operand in inputs)
        base = name or "/".join(part for part in (label, type(op).__name__.lower()) if part)
        unique, number = base, 1
        while unique in self._nodes:
            number += 1
            unique = f"{base}_{number}"
        constant = [self._no_batch[operand] for operand in inputs]
        shape = output_shape(op, [self._nodes[operand].shape for operand in inputs], constant=constant)
        self._no_batch[unique] = has_no_batch(op, constant)
        self._nodes[unique] = Node(unique, op, tuple(inputs), shape, label, composite, ebops_factor)
        return unique

    def _lifted(self, operand: str, operands: Sequence[str], label: str, composite: str) -> str:
        """Data with as many axes as the widest operand: broadcasting must not meet the batch axis."""
        shape = self._nodes[operand].shape
        missing = max(len(self._nodes[other].shape) for other in operands) - len(shape)
        if not missing or self._no_batch[operand]:
            return operand
        return self.add(Reshape((1,) * missing + shape), operand, label=label, composite=composite)

    def shape(self, name: str) -> Shape:
        """Shape of a node without the batch axis."""
        return self._nodes[name].shape

    def build(self, outputs: Sequence[str], uncalibrated: Sequence[str] = ()) -> Graph:
        """The finished graph; nodes that no output needs are left out, inputs are kept.

        Args:
            outputs: names of the nodes that leave.
            uncalibrated: see `Graph`; each label is kept once, in order.
        """
        needed = set(outputs)
        for node in reversed(self._nodes.values()):
            if node.name in needed:
                needed.update(node.inputs)
        kept = tuple(node for node in self._nodes.values() if node.name in needed or isinstance(node.op, Input))
        return Graph(kept, tuple(outputs), tuple(dict.fromkeys(uncalibrated)))
