"""One rule for each kind of node: how it is written with what hls4ml has."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from hgq_core.graph import ops as op
from hgq_hw.hls4ml.legal import _choice, _elementwise, _linear, _lookup, _moves, _quantize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RULES"]

RULES: Mapping[type, Callable[..., str]] = MappingProxyType(
    {
        op.Input: _elementwise.as_it_is,
        op.Constant: _elementwise.as_it_is,
        op.Quantize: _quantize.quantize,
        op.Contract: _linear.contract,
        op.Convolve: _linear.convolve,
        op.Pool: _linear.pool,
        op.Add: _elementwise.combine,
        op.Subtract: _elementwise.subtract,
        op.Multiply: _elementwise.combine,
        op.Maximum: _elementwise.combine,
        op.Minimum: _elementwise.combine,
        op.Negate: _elementwise.negate,
        op.Reduce: _elementwise.reduce,
        op.Relu: _elementwise.as_it_is,
        op.Clip: _elementwise.clip,
        op.Compare: _choice.compare,
        op.Select: _choice.select,
        op.Lookup: _lookup.lookup,
        op.Reshape: _moves.reshape,
        op.Transpose: _moves.transpose,
        op.Concatenate: _moves.concatenate,
        op.Slice: _moves.slice_,
        op.Pad: _moves.pad,
        op.Broadcast: _moves.broadcast,
        op.Repeat: _moves.repeat,
        op.Gather: _moves.gather,
    }
)
"""The rule of each member of `Operation`; a Scan is unrolled before.

A rule ``(op, legal, *inputs)`` appends the operation on the tensors ``inputs`` to the legal graph and gives the name of
the result. It raises UnsupportedError where there is no exact way.
"""
