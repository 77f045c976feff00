"""Cuts a graph where its numbers become fixed-point: what stays on the host, and what becomes hardware."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hgq_core.errors import ConfigError, UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import Graph, Node, acts_on_real, real_tensors
from hgq_core.graph.ops import Constant, Input, Quantize

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Split", "require_quantized", "split", "with_input_formats"]


@dataclass(frozen=True, slots=True)
class Split:
    """A graph in two parts.

    Attributes:
        host: from the graph's inputs to its first quantizers, which are its outputs; None if every input is
        fixed-point.
        core: the rest; its inputs are fixed-point and carry the names of those quantizers.
    """

    host: Graph | None
    core: Graph


def require_quantized(graph: Graph) -> None:
    """Raise UnsupportedError, naming the node, if an unquantized number reaches arithmetic, a quantized number or an
    output.
    """
    real = real_tensors(graph)
    for node in graph:
        if node.name in real and not acts_on_real(node.op):
            message = (
                f"node {node.name!r} (layer {node.label!r}) computes with numbers that are not quantized; "
                "put a quantizer before it, or give the input a format"
            )
            raise UnsupportedError(message)
        fixed = [name for name in node.inputs if name not in real and not isinstance(graph[name].op, Constant)]
        if node.name in real and fixed:
            message = (
                f"node {node.name!r} (layer {node.label!r}) mixes numbers that are not quantized with those of "
                f"{fixed[0]!r}, which are; put a quantizer before its other inputs too"
            )
            raise UnsupportedError(message)
    if open_ends := [name for name in graph.outputs if name in real]:
        message = f"output {open_ends[0]!r} is not quantized; put a quantizer before it"
        raise UnsupportedError(message)


def split(graph: Graph) -> Split:
    """Cut behind the first quantizers.

    Raises:
        UnsupportedError: an unquantized number reaches arithmetic or an output; names the node.
    """
    require_quantized(graph)
    real = real_tensors(graph)
    if not real:
        return Split(None, graph)
    frontier = [node for node in graph if isinstance(node.op, Quantize) and node.inputs[0] in real]
    names = {node.name for node in frontier}
    # Inputs that are fixed-point already go through the host unchanged: every port comes from there.
    passed = [node for node in graph.inputs if node.name not in real]
    reached = real | names | {node.name for node in passed} | {n.name for n in graph if isinstance(n.op, Constant)}
    host = Graph(
        tuple(node for node in graph if node.name in reached),
        (*(node.name for node in passed), *(node.name for node in frontier)),
        graph.uncalibrated,
    )
    ports = [*passed, *(_port(node) for node in frontier)]
    rest = [node for node in graph if node.name not in real | names and not isinstance(node.op, Input)]
    core = Graph((*ports, *rest), graph.outputs, graph.uncalibrated)
    return Split(host, core)


def _port(node: Node) -> Node:
    if not isinstance(node.op, Quantize):
        message = f"node {node.name!r} is no quantizer"
        raise UnsupportedError(message)
    return replace(node, op=Input(node.shape, node.op.formats.broadcast_to(node.shape)), inputs=())


def with_input_formats(graph: Graph, formats: Formats | Mapping[str, Formats]) -> Graph:
    """The graph with fixed-point inputs, so that its first quantizers become hardware too.

    Args:
        graph: a graph with unquantized inputs.
        formats: one for every unquantized input, or a mapping from their names; bits, broadcastable to the inputs'
        shapes.
    """
    real = [node.name for node in graph.inputs if isinstance(node.op, Input) and node.op.formats is None]
    given = dict.fromkeys(real, formats) if isinstance(formats, Formats) else dict(formats)
    if set(given) != set(real):
        message = (
            f"input_formats: received formats for {sorted(given)}, expected one for each unquantized input: {real}"
        )
        raise ConfigError(message)
    nodes = tuple(
        replace(node, op=Input(node.shape, given[node.name].broadcast_to(node.shape))) if node.name in given else node
        for node in graph
    )
    return Graph(nodes, graph.outputs, graph.uncalibrated)
