"""Convolutions; everything lives in hgq_keras."""

from hgq_keras.layers import QConv1D, QConv2D

__all__ = ["QConv1D", "QConv2D"]
