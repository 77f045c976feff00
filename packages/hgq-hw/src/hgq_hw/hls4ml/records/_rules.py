"""One layer for each kind of node that a legal graph has; constants are part of the layers that read them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hgq_core.graph import ops as op
from hgq_hw.hls4ml.records import _layers, _windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hgq_core.graph import Node
    from hgq_hw.hls4ml.records._writer import Writer

__all__ = ["LAYERS"]

LAYERS: Mapping[type, Callable[[Any, Writer, Node], None]] = MappingProxyType(
    {
        op.Input: _layers.input_layer,
        op.Quantize: _layers.quantize,
        op.Contract: _layers.contract,
        op.Convolve: _windows.convolve,
        op.Pool: _windows.pool,
        op.Add: _layers.elementwise,
        op.Subtract: _layers.elementwise,
        op.Multiply: _layers.elementwise,
        op.Maximum: _layers.elementwise,
        op.Minimum: _layers.elementwise,
        op.Relu: _layers.relu,
        op.Lookup: _layers.lookup,
        op.Reshape: _layers.reshape,
        op.Transpose: _layers.transpose,
        op.Concatenate: _layers.concatenate,
    }
)
"""``(op, writer, node)`` writes the layer of a node; raises UnsupportedError where the target has none."""
