"""Where the host ends and the hardware begins.

Real numbers do not exist in hardware. What a graph does with them up to and including its first quantizers is done on
the host, exactly; the hardware's inputs are the already quantized values. An Input that has formats goes in as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hgq_core.errors import GraphError
from hgq_core.formats import Formats
from hgq_core.graph import Graph, Node, real_tensors
from hgq_core.graph.ops import Input, Quantize
from hgq_core.modes import Overflow
from hgq_hw._split import require_quantized

__all__ = ["Boundary", "effective", "split"]


@dataclass(frozen=True, slots=True)
class Boundary:
    """A graph cut in two.

    Attributes:
        host: from the graph's inputs to the values that enter the hardware, one output per hardware input.
        hardware: from there to the graph's outputs; every Input has formats.
    """

    host: Graph
    hardware: Graph


def effective(formats: Formats, overflow: Overflow) -> Formats:
    """The formats with every dead element as ``(0, 0, 0)``.

    Dead is what has no bits, and in SAT_SYM also what has only a sign bit: its range is [0, 0], while an ``ap_fixed``
    with AP_SAT_SYM gives its lowest value there.

    >>> effective(Formats.of([1, 1], [0, 0], [0, 1]), Overflow.SAT_SYM).width
    array([0, 2])
    """
    alive = formats.alive
    if overflow is Overflow.SAT_SYM:
        alive = alive & (formats.i + formats.f > 0)
    return Formats(*(np.where(alive, part, 0) for part in (formats.k, formats.i, formats.f)))


def split(graph: Graph) -> Boundary:
    """Cut the graph behind the first quantizer of every path from a real Input.

    Args:
        graph: any graph.

    Returns:
        The host's and the hardware's part; ``run(hardware, *run(host, *x))`` equals ``run(graph, *x)``.

    Raises:
        GraphError: a graph without an Input.
        UnsupportedError: a real number reaches arithmetic, a fixed-point number or an output; names the node.
    """
    require_quantized(graph)
    real = real_tensors(graph)
    entries: list[Node] = []
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    for node in graph:
        if node.name in real:
            continue
        if isinstance(node.op, Input) or any(name in real for name in node.inputs):
            twin = next((entry for entry in entries if (entry.op, entry.inputs) == (node.op, node.inputs)), None)
            if twin is not None and not isinstance(node.op, Input):
                renamed[node.name] = twin.name
                continue
            entries.append(node)
            nodes.append(_entry(node))
            continue
        inputs = tuple(renamed.get(name, name) for name in node.inputs)
        nodes.append(Node(node.name, node.op, inputs, node.shape, node.label, node.composite, node.ebops_factor))
    if not entries:
        message = "the graph has no Input that an output depends on; expected at least one"
        raise GraphError(message)
    outputs = tuple(renamed.get(name, name) for name in graph.outputs)
    return Boundary(_upstream(graph, entries), Graph(tuple(nodes), outputs, graph.uncalibrated))


def _entry(node: Node) -> Node:
    """The hardware's Input in place of an Input with formats or of a first quantizer."""
    if isinstance(node.op, Quantize):
        formats = effective(node.op.formats, node.op.overflow).broadcast_to(node.shape)
        return Node(node.name, Input(node.shape, formats), (), node.shape, node.label)
    return node


def _upstream(graph: Graph, entries: list[Node]) -> Graph:
    """The part of the graph that gives ``entries``; every Input is kept, so that calls look alike."""
    needed = {entry.name for entry in entries}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    kept = tuple(node for node in graph if node.name in needed or isinstance(node.op, Input))
    return Graph(kept, tuple(entry.name for entry in entries), graph.uncalibrated)
