"""A graph rewritten so that hls4ml has a layer for every node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hgq_core.graph.ops import Constant
from hgq_hw.hls4ml.legal._legalizer import Legalizer
from hgq_hw.hls4ml.legal._rules import RULES
from hgq_hw.passes import cancel_transposes, unroll

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_core.graph import Graph

__all__ = ["Legal", "legalize"]


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
        A graph of the same inputs and outputs, with only operations that `hgq_hw.hls4ml.records` has layers for.

    Raises:
        UnsupportedError: an operation that hls4ml cannot do; names the node, its layer and the remedy.
    """
    given, graph = graph, cancel_transposes(unroll(graph))
    legal = Legalizer(graph, plain=plain, stream=stream)
    for node in graph:
        legal.begin(node)
        if node.inputs and all(isinstance(graph[name].op, Constant) for name in node.inputs):
            raise legal.refused("works on constants only", "fold constants first (hgq_hw.passes)")
        rule = RULES[type(node.op)]
        legal.names[node.name] = rule(node.op, legal, *(legal.names[name] for name in node.inputs))
    outputs = [legal.names[name] for name in graph.outputs]
    names = legal.names | dict(zip(given.outputs, outputs, strict=True))
    return Legal(legal.builder.build(outputs, graph.uncalibrated), names)
