"""Quantizers as the Graph has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.formats import Formats
from hgq_core.layers import Exported, append_quantizer
from hgq_core.spec import KBI, KIF

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.graph import GraphBuilder
    from hgq_core.graph.ops import Shape
    from hgq_torch._quantizer import Quantizer

__all__ = ["data_quantizer", "emit_quantizer"]


def data_quantizer(quantizer: Quantizer, shape: Shape, like: Tensor) -> Exported:
    """A quantizer of data of this shape, without batch axis, in a model whose arithmetic is that of ``like``."""
    formats = None
    if isinstance(quantizer.spec, KIF | KBI):
        whole = quantizer.formats()
        formats = Formats.of(*(part[0] if part.ndim else part for part in (whole.k, whole.i, whole.f)))
        formats = formats.broadcast_to(shape)
    return Exported(quantizer.spec, formats, quantizer.scaler, _affine(quantizer, like))


def _affine(quantizer: Quantizer, like: Tensor) -> tuple[float, float] | None:
    """The affine map, as the arithmetic of the model has its numbers."""
    if quantizer.affine is None:
        return None
    scale, shift = (float(like.new_tensor(number)) for number in quantizer.affine)
    return scale, shift


def emit_quantizer(builder: GraphBuilder, quantizer: Quantizer, x: str, label: str, like: Tensor) -> str:
    """Append a quantizer that stands by itself; returns the name of its output.

    Raises:
        UnsupportedError: a minifloat, or a scaler that is no power of two.
    """
    name = f"{label}/quantizer" if label else "quantizer"
    exported = data_quantizer(quantizer, builder.shape(x), like)
    return append_quantizer(builder, exported, x, title=f"quantizer {label!r}", name=name, label=label)
