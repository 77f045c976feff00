"""The activation at the end of a layer: a node of the Graph, nothing, or a function that only trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.graph.ops import Clip, Relu
from hgq_core.layers.functions import FrameworkFunction

if TYPE_CHECKING:
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Activation", "activated"]

Activation = Relu | Clip | FrameworkFunction | None
"""ReLU or limits, a `FrameworkFunction`, which is not exported, or None."""


def activated(t: Trace, y: Value, activation: Activation) -> Value:
    """``activation(y)``; it costs no EBOPs."""
    if activation is None:
        return y
    if isinstance(activation, Relu | Clip):
        return t.op(activation, y, share=0.0)
    return t.applied(activation, y)
