"""Whether attention keeps the order of a set out of its numbers: which granularity its data have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import Contract, Quantize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hgq_core.graph import Graph, Node

__all__ = ["granularities"]

_BEHIND = {"query/iq": 1, "key/iq": 1, "value/iq": 1, "query/oq": 2, "key/oq": 2, "value/oq": 2, "output/iq": 2}
"""For the quantizers of attention, how many axes are behind those of the positions."""


def granularities(graph: Graph) -> Iterator[tuple[str, list[str]]]:
    """Each attention of a graph, by label, with its quantizers whose widths differ from position to position."""
    # The two contractions of data carry the label of the attention itself.
    labels = {n.label: None for n in graph if isinstance(n.op, Contract) and n.composite == "attention"}
    for label in labels:
        names = {f"{label}/{slot}" if label else slot: slot for slot in _BEHIND}
        own = [(node, names[node.name]) for node in graph if node.name in names and isinstance(node.op, Quantize)]
        if any(slot == "output/iq" for _, slot in own):
            yield label, [slot for node, slot in own if _differs(node, _BEHIND[slot])]


def _differs(node: Node, behind: int) -> bool:
    """Whether formats of a quantizer differ along an axis of positions."""
    formats = node.op.formats.broadcast_to(node.shape)  # type: ignore[union-attr]
    positions = range(len(node.shape) - behind)
    parts = (formats.k, formats.i, formats.f)
    return any(bool(np.any(part != np.take(part, [0], axis))) for part in parts for axis in positions)
