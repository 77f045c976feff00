"""Convolutions; everything lives in hgq_keras."""

from hgq_keras.layers import QConv1D, QConv1DBatchNorm, QConv2D, QConv2DBatchNorm, QConv3D, QConv3DBatchNorm

__all__ = [
    "QConv1D",
    "QConv1DBatchNorm",
    "QConv2D",
    "QConv2DBatchNorm",
    "QConv3D",
    "QConv3DBatchNorm",
]
