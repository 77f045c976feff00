"""EBOPs: one rule for each kind of operation, written against `Ops`, so that training layers and the Graph share them.

``bits`` are widths without the sign for WRAP and SAT_SYM and with it for SAT; width tensors have a leading batch axis
of size 1 for data. Which rule a kind of node follows says its row in `hgq_core.graph.kinds`. Source of the rules: the
project's specification of EBOPs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core._cost_rules import (
    ADDER,
    LOOKUP,
    bias_cost,
    contraction_cost,
    convolution_cost,
    edge_cost,
    lookup_cost,
    merge_cost,
    pooling_cost,
    product_cost,
    reduction_cost,
)
from hgq_core.graph.kinds import costs_of
from hgq_core.quantizer.bits import counted_bits

if TYPE_CHECKING:
    from hgq_core.graph.ir import Graph

__all__ = [
    "ADDER",
    "LOOKUP",
    "bias_cost",
    "contraction_cost",
    "convolution_cost",
    "counted_bits",
    "ebops",
    "ebops_by_label",
    "edge_cost",
    "lookup_cost",
    "merge_cost",
    "pooling_cost",
    "product_cost",
    "reduction_cost",
]


def ebops(graph: Graph) -> float:
    """EBOPs of a graph: every node by its rule, times the node's factor."""
    return float(sum(costs_of(graph).values()))


def ebops_by_label(graph: Graph) -> dict[str, float]:
    """EBOPs of each layer that costs something, by its label, in order."""
    result: dict[str, float] = {}
    for name, value in costs_of(graph).items():
        if value:
            result[graph[name].label] = result.get(graph[name].label, 0.0) + value
    return result
