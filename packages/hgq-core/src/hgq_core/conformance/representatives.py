"""One case for each kind of layer, for groups whose tests take too long for every case; how it is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.cases_layers import NAMES, case
from hgq_core.formats import Formats
from hgq_core.graph import Graph, Node
from hgq_core.graph.ops import Quantize
from hgq_core.modes import Overflow
from hgq_core.spec import KIF

__all__ = ["only_rounding", "representatives", "standing_still"]


def representatives(wanted: Callable[[Layer], bool] = lambda layer: True) -> list[Any]:
    """The first case of each kind, by the kind, marked with the kinds of layers that it needs; each case once.

    Args:
        wanted: whether a layer is one that the test is about.
    """
    first: dict[str, str] = {}
    for name in NAMES:
        for layer in case(name).layers:
            if wanted(layer):
                first.setdefault(layer.kind, name)
    names = dict.fromkeys(first.values())
    return [
        pytest.param(name, marks=pytest.mark.kinds(*(layer.kind for layer in case(name).layers)), id=name)
        for name in names
    ]


def standing_still(layer: Layer) -> Layer:
    """The layer with ranges that do not follow the data, so that the step which is judged leaves them."""
    specs = {
        slot: replace(spec, overflow_mode=Overflow.SAT_SYM)
        if isinstance(spec, KIF) and spec.overflow_mode is Overflow.WRAP
        else spec
        for slot, spec in layer.quantizers.items()
    }
    return replace(layer, quantizers=specs)


def only_rounding(graph: Graph) -> Graph:
    """The graph with eight more integer bits, and a sign, for every living element that wraps."""

    def wider(node: Node) -> Node:
        if not isinstance(node.op, Quantize) or node.op.overflow is not Overflow.WRAP:
            return node
        k, i, f = node.op.formats.k, node.op.formats.i, node.op.formats.f
        living = k + i + f > 0
        formats = Formats.of(np.where(living, 1, k), np.where(living, i + 8, i), f)
        return replace(node, op=replace(node.op, formats=formats))

    return Graph(tuple(map(wider, graph)), graph.outputs, graph.uncalibrated)
