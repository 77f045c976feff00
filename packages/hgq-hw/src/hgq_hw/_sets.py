"""Whether attention keeps the order of a set out of its numbers: which granularity its data have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import Constant, Contract, Quantize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hgq_core.graph import Graph, Node

__all__ = ["granularities"]

_SLOTS = ("query/iq", "key/iq", "value/iq", "query/oq", "key/oq", "value/oq", "output/iq")


def granularities(graph: Graph) -> Iterator[tuple[str, list[str]]]:
    """Each attention of a graph, by label, with its quantizers whose widths differ from position to position."""
    # The contractions of data carry the label of the attention itself. The first one reads the queries, ``(batch,
    # *positions, heads, key_dim)``; every quantizer has the positions first.
    constants = {node.name for node in graph if isinstance(node.op, Constant)}
    labels: dict[str, int] = {}
    for node in graph:
        if isinstance(node.op, Contract) and node.composite == "attention" and not constants & set(node.inputs):
            labels.setdefault(node.label, len(node.op.terms[0]) - 3)
    for label, number in labels.items():
        names = {f"{label}/{slot}" if label else slot: slot for slot in _SLOTS}
        own = [(node, names[node.name]) for node in graph if node.name in names and isinstance(node.op, Quantize)]
        if any(slot == "output/iq" for _, slot in own):
            yield label, [slot for node, slot in own if _differs(node, number)]


def _differs(node: Node, number: int) -> bool:
    """Whether formats of a quantizer differ along an axis of so many positions."""
    formats = node.op.formats.broadcast_to(node.shape)  # type: ignore[union-attr]
    parts = (formats.k, formats.i, formats.f)
    return any(bool(np.any(part != np.take(part, [0], axis))) for part in parts for axis in range(number))
