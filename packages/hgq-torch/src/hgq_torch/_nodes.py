"""Quantizers as nodes of the Graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph.emit import add_quantizer
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF, Dummy, Float

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.graph import GraphBuilder
    from hgq_torch.quantizer import Quantizer

__all__ = ["constant_bits", "quantize"]


def quantize(
    builder: GraphBuilder, quantizer: Quantizer, x: str, label: str, role: str, dtype: torch.dtype = torch.float32
) -> str:
    """Add a data quantizer, in a model of this type, to the graph; returns the name of its output.

    A scaler that is a power of two moves the binary point; an affine map becomes a product and a sum
    (`hgq_core.graph.emit.add_quantizer`).

    Raises:
        UnsupportedError: a minifloat, or a scaler that is no power of two.
    """
    spec = quantizer.spec
    name = f"{label}/{role}" if label else role
    if isinstance(spec, Float):
        message = f"{name}: a graph holds fixed-point numbers, received a minifloat quantizer; use 'kif' or 'kbi'"
        raise UnsupportedError(message)
    formats = None
    if isinstance(spec, KIF | KBI):
        whole = quantizer.formats()
        formats = Formats.of(*(part[0] if part.ndim else part for part in (whole.k, whole.i, whole.f)))
    affine = quantizer.affine
    if affine is not None:
        # As the arithmetic of the model has these numbers.
        affine = (float(torch.tensor(affine[0], dtype=dtype)), float(torch.tensor(affine[1], dtype=dtype)))
    return add_quantizer(
        builder,
        x,
        formats=formats,
        round_mode=spec.round_mode if isinstance(spec, KIF | KBI) else Round.RND,
        overflow_mode=spec.overflow_mode if isinstance(spec, KIF | KBI) else Overflow.WRAP,
        scaler=None if formats is None else quantizer.scaler,
        affine=affine,
        name=name,
        label=label,
    )


def constant_bits(quantizer: Quantizer, values: Tensor) -> Any:
    """The widths that EBOPs counts for a weight, of its shape; None for a weight without widths."""
    if isinstance(quantizer.spec, Dummy):
        return None
    with torch.no_grad():
        bits = quantizer.counted_bits(values).broadcast_to(values.shape)
    return bits.cpu().numpy().astype(np.int64)
