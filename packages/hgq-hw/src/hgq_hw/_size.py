"""How large a graph becomes when every operation gets hardware of its own, estimated before anything is lowered.

Measured with da4ml 0.6.0 on one core (random weights, seconds of `da4ml.lower`):

| layer | weights | positions | EBOPs | seconds | cost |
|---|---|---|---|---|---|
| dense 32 x 32, 4 bits | 1,024 | 1 | 16,384 | 2.6 | 7,416 |
| dense 64 x 32, 4 bits | 2,048 | 1 | 32,768 | 13 | 14,265 |
| dense 64 x 64, 4 bits | 4,096 | 1 | 65,536 | 61 | 27,260 |
| dense 64 x 64, 8 bits | 4,096 | 1 | 262,144 | 102 | 71,626 |
| convolution 14 x 14 x 1, 3 x 3, 8 filters, 4 bits | 72 | 144 | 165,888 | 11 | 83,736 |
| convolution 14 x 14 x 4, 3 x 3, 8 filters, 4 bits | 288 | 144 | 663,552 | 95 | 326,664 |
| convolution 28 x 28 x 1, 3 x 3, 8 filters, 4 bits | 72 | 676 | 778,752 | 70 | 402,220 |

So a matrix of N weights takes about ``60 s * (N / 4096)**2.25`` at each position, everything else about 70 microseconds
for an EBOP, and the logic about one LUT for two EBOPs. A convolution of 11 million EBOPs, 14 times the largest that was
measured, did not return.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.cost import ebops_by_label
from hgq_core.graph import Graph
from hgq_core.graph.ops import Constant, Contract, Convolve

if TYPE_CHECKING:
    from hgq_core.graph import Node

__all__ = ["LARGEST", "NEVER", "REMEDY", "SLOW", "LayerSize", "size_problem", "sizes", "time_in_words"]

LARGEST = 1_000_000
"""EBOPs of a full unroll above which there is a warning: about half a million LUTs, where large FPGAs have 1.7 million.
"""

SLOW, NEVER = 60.0, 1800.0
"""Seconds of da4ml that are worth knowing of beforehand, and above which there is a warning."""

REMEDY = "use fewer filters, larger strides or pooling, train with a higher beta, or use hls4ml with io_stream"

_MATRIX, _WEIGHTS, _POWER, _EBOP = 60.0, 4096, 2.25, 7e-5


@dataclass(frozen=True, slots=True)
class LayerSize:
    """What one layer needs when it is fully unrolled.

    Attributes:
        label: the layer.
        ebops: EBOPs, every position counted, whatever the layer shares in time.
        products: multiplications by a weight that is not 0, or of two data.
        seconds: how long da4ml takes for it, roughly.
    """

    label: str
    ebops: float
    products: int
    seconds: float


def sizes(graph: Graph) -> list[LayerSize]:
    """Sizes of the layers that cost something, the largest first.

    >>> from hgq_core.formats import Formats
    >>> from hgq_core.graph import GraphBuilder
    >>> from hgq_core.graph.ops import Input
    >>> builder = GraphBuilder()
    >>> x = builder.add(Input((4,), Formats.of(1, 2, 3)))
    >>> kernel = builder.add(Constant.of(np.eye(4), np.full((4, 4), 2)))
    >>> sizes(builder.build([builder.add(Contract("bi,io->bo"), x, kernel, label="dense")]))[0].products
    4
    """
    # Its own factor says how often a layer is built when it is shared in time; here it is built at every position.
    whole = (replace(n, label=n.name, ebops_factor=float(n.ebops_factor > 0)) for n in graph)
    costs = ebops_by_label(Graph(tuple(whole), graph.outputs))
    layers: dict[str, LayerSize] = {}
    for node in graph:
        count, positions = _products(graph, node)
        cost = costs.get(node.name, 0.0)
        matrix = _MATRIX * (count / _WEIGHTS) ** _POWER if positions else 0.0
        label = node.label or node.name
        so_far = layers.get(label, LayerSize(label, 0.0, 0, 0.0))
        layers[label] = LayerSize(
            label,
            so_far.ebops + cost,
            so_far.products + count * max(positions, 1),
            so_far.seconds + positions * matrix + _EBOP * cost,
        )
    found = (layer for layer in layers.values() if layer.ebops or layer.products)
    return sorted(found, key=lambda layer: (-layer.ebops, -layer.products))


def _products(graph: Graph, node: Node) -> tuple[int, int]:
    """Multiplications at one position, and the number of positions; 0 positions for data times data."""
    if not isinstance(node.op, Contract | Convolve):
        return 0, 0
    kernels = [n for n, name in enumerate(node.inputs) if isinstance(graph[name].op, Constant)]
    if not kernels:
        letters = dict(zip("".join(_terms(node)), (n for x in node.inputs for n in (1, *graph[x].shape)), strict=True))
        return prod(letters.values()), 0
    kernel = graph[node.inputs[kernels[0]]]
    count = int(np.count_nonzero(kernel.op.integers)) if isinstance(kernel.op, Constant) else 0
    if isinstance(node.op, Convolve):
        return count, prod(node.shape[:-1])
    term, out = node.op.terms[kernels[0]], node.op.terms[2]
    return count, prod(n for letter, n in zip(out[1:], node.shape, strict=True) if letter not in term)


def _terms(node: Node) -> tuple[str, ...]:
    return node.op.terms[:2] if isinstance(node.op, Contract) else ()


def size_problem(graph: Graph, *, da4ml: bool) -> str:
    """Why a full unroll of the graph is too large, naming the layers; empty if it is not.

    Args:
        graph: a quantized graph.
        da4ml: whether da4ml's time counts.
    """
    layers = sizes(graph)
    total, seconds = sum(layer.ebops for layer in layers), sum(layer.seconds for layer in layers)
    slow = da4ml and seconds > NEVER
    if total <= LARGEST and not slow:
        return ""
    by = (lambda layer: layer.seconds) if slow and total <= LARGEST else (lambda layer: layer.ebops)
    named = [f"{layer.label} ({layer.ebops:,.0f})" for layer in sorted(layers, key=by, reverse=True)[:3]]
    time = f", and da4ml takes {time_in_words(seconds)}, if it returns" if slow else ""
    return (
        f"fully unrolled it has {total:,.0f} EBOPs, {sum(layer.products for layer in layers):,} multiplications and "
        f"about {total / 2:,.0f} LUTs{time}; the most by {', '.join(named)}"
    )


def time_in_words(seconds: float) -> str:
    """Roughly, as an estimate deserves.

    >>> time_in_words(100), time_in_words(9000)
    ('about 2 minutes', 'about 2.5 hours')
    """
    if seconds < 3600:
        return f"about {max(round(seconds / 60), 1):.0f} minute{'s' if seconds >= 90 else ''}"
    return f"about {seconds / 3600:,.1f} hours"
