"""Quantizers as nodes of the Graph."""

from __future__ import annotations

from math import frexp
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import ops as op
from hgq_core.spec import KBI, KIF, Dummy, Float

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.graph import GraphBuilder
    from hgq_torch.quantizer import Quantizer

__all__ = ["constant_bits", "quantize"]


def quantize(builder: GraphBuilder, quantizer: Quantizer, x: str, label: str, role: str) -> str:
    """Add a data quantizer to the graph; returns the name of its output.

    A scaler that is a power of two moves the binary point; an affine map becomes a product and a sum.

    Raises:
        UnsupportedError: a minifloat, or a scaler that is not a positive power of two.
    """
    spec = quantizer.spec
    name = f"{label}/{role}" if label else role
    if isinstance(spec, KIF | KBI):
        formats = quantizer.formats()
        parts = [part[0] if part.ndim else part for part in (formats.k, formats.i, formats.f)]
        shift = 0
        if quantizer.scaler is not None:
            mantissa, exponent = frexp(quantizer.scaler)
            if mantissa != 0.5:
                message = f"{name}: a graph takes a scaler of 2**n, received {quantizer.scaler}"
                raise UnsupportedError(message)
            shift = exponent - 1
        moved = Formats.of(parts[0], parts[1] + shift, parts[2] - shift)
        x = builder.add(op.Quantize(moved, spec.round_mode, spec.overflow_mode), x, name=name, label=label)
    elif isinstance(spec, Float):
        message = f"{name}: a graph holds fixed-point numbers, received a minifloat quantizer; use 'kif' or 'kbi'"
        raise UnsupportedError(message)
    if quantizer.affine is not None:
        scale, offset = (
            builder.add(op.Constant.of(np.array([n], dtype=np.float32)), label=label) for n in quantizer.affine
        )
        x = builder.add(op.Multiply(), x, scale, label=label, ebops_factor=0.0)
        x = builder.add(op.Add(), x, offset, label=label, ebops_factor=0.0)
    return x


def constant_bits(quantizer: Quantizer, values: Tensor) -> Any:
    """The widths that EBOPs counts for a weight, of its shape; None for a weight without widths."""
    if isinstance(quantizer.spec, Dummy):
        return None
    with torch.no_grad():
        bits = quantizer.counted_bits(values).broadcast_to(values.shape)
    return bits.cpu().numpy().astype(np.int64)
