"""Layers by the module that users know; everything lives in hgq_keras."""

from hgq_keras.layers import QConv1D, QConv2D, QConv3D

__all__ = ["QConv1D", "QConv2D", "QConv3D"]
