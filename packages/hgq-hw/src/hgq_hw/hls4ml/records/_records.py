"""The loop over a legal graph that writes its records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.graph.ops import Constant
from hgq_hw.hls4ml.records._layers import output_layer
from hgq_hw.hls4ml.records._rules import LAYERS
from hgq_hw.hls4ml.records._writer import Options, Records, Writer

if TYPE_CHECKING:
    from hgq_core.graph import Graph

__all__ = ["records"]


def records(graph: Graph, options: Options) -> Records:
    """Write a legal graph as layer records.

    Args:
        graph: the graph of `hgq_hw.hls4ml.legal.legalize`.
        options: see `Options`.

    Raises:
        UnsupportedError: a node that the back end or the io type cannot take.
    """
    writer = Writer(graph, options)
    for node in graph:
        if not isinstance(node.op, Constant) and node.name not in writer.absorbed:
            if type(node.op) not in LAYERS:
                raise writer.refused(node, "has no layer", "legalize the graph first")
            LAYERS[type(node.op)](node.op, writer, node)
    for name in graph.outputs:
        writer.out.outputs.append(output_layer(writer, graph[name]))
    return writer.out
