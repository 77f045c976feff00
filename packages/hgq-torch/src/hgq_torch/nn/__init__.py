"""Layers whose bit-widths are trained: quantizers around one declared operation."""

from hgq_torch.nn._base import QModule
from hgq_torch.nn._linear import QLinear

__all__ = ["QLinear", "QModule"]
