"""A Graph as a declaration: a program that can be trained, of which values, costs and nodes are the usual readings."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from inspect import Parameter, Signature
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError, GraphError, UnsupportedError
from hgq_core.graph.ir import Graph, Node
from hgq_core.graph.kinds import has_no_batch
from hgq_core.graph.ops import Add, Compare, Constant, Input, Lookup, Quantize, Scan
from hgq_core.layers.fixed_table import FixedTable
from hgq_core.layers.recorded import Recorded, of_constant, of_formats, of_quantize, of_table
from hgq_core.layers.spiking import ArcTangent
from hgq_core.layers.steps import attribute_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hgq_core.graph.ops import Shape
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace
    from hgq_core.ops import Ops

__all__ = ["GraphLayer", "of_graph"]

Path = tuple[str, ...]
"""Names of the loops that a node is inside of, and its own."""


@dataclass(frozen=True, eq=False)
class GraphLayer:
    """The declaration of a Graph, with what its slots begin with; see `of_graph`.

    Attributes:
        graph: that it declares.
        slots: the slot of each node that has one, without its label, by the node's path.
        weights: numbers of the weights, by slot.
        quantizers: what the quantizers are and stand at, by slot.
        labels: of the nodes that the quantizers are of, by slot.
    """

    graph: Graph
    slots: Mapping[Path, str]
    weights: Mapping[str, NDArray[np.float64]]
    quantizers: Mapping[str, Recorded]
    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        # Inputs have the names of the graph, for those who give them by name.
        names = ["trace", *_words(node.name for node in self.graph.inputs)]
        parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        object.__setattr__(self, "__signature__", Signature(parameters))

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the inputs without batch axis."""
        return tuple(node.shape for node in self.graph.inputs)

    def __call__(self, t: Trace, *xs: Value) -> Value | tuple[Value, ...]:
        results = self._written(t, self.graph, (), xs, t.prefix)
        return results if len(results) > 1 else results[0]

    def _written(self, t: Trace, graph: Graph, path: Path, xs: Sequence[Value], prefix: str) -> tuple[Value, ...]:
        """The nodes of a graph as steps; ``prefix`` is that of the whole declaration."""
        values: dict[str, Value] = {}
        feed = iter(xs)
        for node in graph:
            under = f"{prefix}{node.label}/" if node.label else prefix
            at = replace(
                t, prefix=under, share=node.ebops_factor, composite=node.composite, name=_beside(node.name, node.label)
            )
            args = [next(feed)] if isinstance(node.op, Input) else [values[name] for name in node.inputs]
            values[node.name] = self._step(at, node, (*path, node.name), args, prefix)
        return tuple(values[name] for name in graph.outputs)

    def _step(self, t: Trace, node: Node, path: Path, args: list[Value], prefix: str) -> Value:
        slot = self.slots.get(path, "")
        match node.op:
            case Input():
                return args[0] if node.op.formats is None else replace(t, name=slot).quantized(slot, args[0])
            case Quantize():
                return t.quantized(slot, args[0])
            case Constant() if slot:
                place = self.quantizers[_full(node.label, _quantizer_of(slot))].place
                return t.weight(slot, _quantizer_of(slot), node.shape, place=place, start="zeros")
            case Lookup():
                return t.table(slot, FixedTable.of(node.op), args[0], table_idxs=node.op.table_idxs)
            case Compare(kind=kind) if kind in _SPIKES:
                return t.surrogate(node.op, _Spike(kind), *args, share=1.0)
            case Scan(body=body, reverse=reverse):

                def cell(inner: Trace, *xs: Value) -> tuple[Value, ...]:
                    return self._written(inner, body, path, xs, prefix)

                return t.scan("", cell, *args, reverse=reverse)
        return t.op(node.op, *args)


def of_graph(graph: Graph, taken: Collection[str] = (), *, share_equal: bool = False) -> GraphLayer:
    """The declaration of a Graph: its nodes as steps, with slots for what can be trained in it.

    A Quantize node is a quantizer with the recorded formats, a width for each element. A Constant that counts bits is a
    weight with a quantizer of so many bits, whose integer bits are those that its numbers need. A Lookup is a table
    whose entries stay (`FixedTable`), with a quantizer of its output. A comparison ``>`` or ``<`` has in training the
    derivative of a spike (`ArcTangent`). A Scan is a loop over its body. All else is the operation of the node.

    Labels, composites, names and factors of EBOPs are those of the nodes. A layer that a model applied twice is two
    circuits in its graph, and two here: their weights are no longer one.

    Args:
        graph: from layers, of either front end, or from a file.
        taken: attributes that a front end has for something else, which no slot may be called.
        share_equal: whether data have one width along each axis on which all recorded formats are equal.

    Raises:
        ConfigError: something else than a Graph.
        GraphError: a graph without inputs or outputs, or an output that is a constant.
        UnsupportedError: a node that no layer has, or formats that no trained quantizer holds.

    >>> from hgq_core.formats import Formats
    >>> from hgq_core.graph import GraphBuilder
    >>> from hgq_core.linear import Contract
    >>> builder = GraphBuilder()
    >>> x = builder.add(Input((2,)))
    >>> x = builder.add(Quantize(Formats.of(1, 2, 3), "RND", "WRAP"), x, name="dense/iq", label="dense")
    >>> kernel = builder.add(Constant.of([[0.5], [-1.5]], [[3], [3]]), name="dense/kernel", label="dense")
    >>> layer = of_graph(builder.build([builder.add(Contract("bi,io->bo"), x, kernel, label="dense")]))
    >>> list(layer.quantizers), layer.quantizers["dense/kernel_q"].widths["b"].ravel()
    (['dense/iq', 'dense/kernel_q'], array([3., 3.]))
    """
    received: object = graph
    if not isinstance(received, Graph):
        message = (
            f"graph: received a {type(received).__name__}, expected a hgq_core.graph.Graph: that of to_graph(model) "
            "of a front end, or of hgq_core.graph.load(path) for a file"
        )
        raise ConfigError(message)
    if not graph.inputs or not graph.outputs:
        message = (
            f"received a graph with {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, expected one of each "
            "or more: export a model that computes something from its data"
        )
        raise GraphError(message)
    plan = _Plan(set(taken), share_equal=share_equal)
    plan.add(graph, ())
    return GraphLayer(graph, plan.slots, plan.weights, plan.quantizers, plan.labels)


class _Plan:
    """Slots for the nodes of a graph, with what they begin with."""

    def __init__(self, taken: set[str], *, share_equal: bool) -> None:
        self.taken, self.share_equal = taken, share_equal
        self.slots: dict[Path, str] = {}
        self.weights: dict[str, NDArray[np.float64]] = {}
        self.quantizers: dict[str, Recorded] = {}
        self.labels: dict[str, str] = {}

    def add(self, graph: Graph, path: Path) -> None:
        """The nodes of a graph, or of the body of a loop at this path."""
        constant: dict[str, bool] = {}
        for node in graph:
            constant[node.name] = has_no_batch(node.op, [constant[name] for name in node.inputs])
            self._node(graph, node, (*path, node.name))
        for name in graph.outputs:
            if constant[name]:
                message = (
                    f"output {name!r} is a constant, which no input changes, so that there is nothing to train; leave "
                    "it out of the graph"
                )
                raise GraphError(message)

    def _node(self, graph: Graph, node: Node, path: Path) -> None:
        match node.op:
            case Quantize():
                self._reserve(node, path, of_quantize(node.name, node.op, node.shape))
            case Input(formats=formats) if formats is not None:
                self._reserve(node, path, of_formats(node.name, formats, node.shape), "formats")
            case Lookup():
                _check_table(graph, node)
                self._reserve(node, path, of_table(node.name, node.op))
            case Constant() if node.op.bits is not None:
                only_added = all(isinstance(reader.op, Add) for reader in graph.consumers(node.name))
                recorded = of_constant(node.name, node.op, "bias" if only_added else "weight")
                self._reserve(node, path, recorded, weight=node.op.values)
            case Scan(body=body):
                if len(path) > 1:
                    message = (
                        f"node {node.name!r} is a loop in the body of the loop {path[-2]!r}, which no layer has; "
                        "unroll one of them"
                    )
                    raise UnsupportedError(message)
                self.add(body, path)

    def _reserve(
        self, node: Node, path: Path, recorded: Recorded, word: str = "", weight: NDArray[np.float64] | None = None
    ) -> None:
        """A slot that is called as the node, as far as no other is."""
        base = "_".join(part for part in (_beside(node.name, node.label), word) if part)
        if weight is not None and base.startswith("constant"):
            base = base.replace("constant", "weight", 1)
        slot, number = base, 1
        while not self.taken.isdisjoint(self._attributes(node, slot, weight is not None)):
            number += 1
            slot = f"{base}_{number}"
        self.taken.update(self._attributes(node, slot, weight is not None))
        self.slots[path] = slot
        if weight is not None:
            self.weights[_full(node.label, slot)] = weight
            slot = _quantizer_of(slot)
        shares = self.share_equal and weight is None
        self.quantizers[_full(node.label, slot)] = recorded.shared() if shares else recorded
        self.labels[_full(node.label, slot)] = node.label

    def _attributes(self, node: Node, slot: str, has_weight: bool) -> list[str]:
        slots = [slot, _quantizer_of(slot)] if has_weight else [slot]
        return [attribute_of(_full(node.label, slot)) for slot in slots]


def _check_table(graph: Graph, node: Node) -> None:
    """Raise UnsupportedError for a table that no layer makes."""
    source = graph[node.inputs[0]]
    if not isinstance(source.op, Quantize | Lookup):
        message = (
            f"table {node.name!r} reads {source.name!r}, a {type(source.op).__name__}; a table of a layer reads what a "
            "quantizer or another table gives: insert a Quantize node with the formats of the table"
        )
        raise UnsupportedError(message)
    if isinstance(node.op, Lookup) and node.op.bits is None:
        message = f"table {node.name!r} counts no bits, as those of layers do; give its Lookup the bits of its output"
        raise UnsupportedError(message)


_SPIKES = (">", "<")
"""Comparisons that are spikes in spiking layers; the other ones choose, and have no derivative there either."""


@dataclass(frozen=True)
class _Spike:
    """A function whose derivative is that of a comparison in training."""

    kind: str

    def __call__(self, ops: Ops, a: Any, b: Any) -> Any:
        above, below = (a, b) if self.kind == ">" else (b, a)
        return ArcTangent()(ops, above, below)


def _beside(name: str, label: str) -> str:
    """The name of a node without its label."""
    return name.removeprefix(f"{label}/") if label else name


def _full(label: str, slot: str) -> str:
    return f"{label}/{slot}" if label else slot


def _quantizer_of(slot: str) -> str:
    """Slot of the quantizer of a weight."""
    return f"{slot}_q"


def _words(names: Any) -> list[str]:
    """The names, each once, as names of arguments."""
    words: list[str] = []
    for name in names:
        word = re.sub(r"\W", "_", name)
        word = f"_{word}" if not word or word[0].isdigit() or iskeyword(word) else word
        while word in ("trace", *words):
            word += "_"
        words.append(word)
    return words
