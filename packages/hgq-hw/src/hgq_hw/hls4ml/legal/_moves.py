"""Rules for moves: matrices of zeros and ones, which are wires in hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hgq_core.graph.ops import Broadcast, Concatenate, Gather, Pad, Repeat, Reshape, Slice, Transpose
    from hgq_hw.hls4ml.legal._legalizer import Legalizer

__all__ = ["broadcast", "concatenate", "gather", "pad", "repeat", "reshape", "slice_", "transpose"]


def reshape(op: Reshape, legal: Legalizer, x: str) -> str:
    return legal.reshape(x, op.shape)


def transpose(op: Transpose, legal: Legalizer, x: str) -> str:
    return legal.transpose(x, op.axes)


def concatenate(op: Concatenate, legal: Legalizer, *inputs: str) -> str:
    if any(legal.constant_values(x) is not None for x in inputs):
        raise legal.refused("joins data with a constant", "add the constant elements behind the model instead")
    return legal.concatenate(inputs, op.axis)


def slice_(op: Slice, legal: Legalizer, x: str) -> str:
    for axis, part in enumerate(zip(op.start, op.stop, op.step, strict=True)):
        x = legal.take(x, axis, np.arange(legal.shape(x)[axis])[slice(*part)])
    return x


def pad(op: Pad, legal: Legalizer, x: str) -> str:
    for axis, (before, after) in enumerate(op.pads):
        x = legal.take(x, axis, np.pad(np.arange(legal.shape(x)[axis]), (before, after), constant_values=-1))
    return x


def broadcast(op: Broadcast, legal: Legalizer, x: str) -> str:
    return legal.broadcast(x, op.shape)


def repeat(op: Repeat, legal: Legalizer, x: str) -> str:
    return legal.take(x, op.axis, np.repeat(np.arange(legal.shape(x)[op.axis]), op.times))


def gather(op: Gather, legal: Legalizer, x: str) -> str:
    size = legal.shape(x)[op.axis]
    return legal.take(x, op.axis, np.asarray(op.indices) % size)
