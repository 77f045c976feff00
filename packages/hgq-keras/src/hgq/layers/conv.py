"""Convolutions; everything lives in hgq_keras."""

from hgq_keras.layers import (
    QConv1D,
    QConv1DBatchNorm,
    QConv1DTranspose,
    QConv2D,
    QConv2DBatchNorm,
    QConv2DTranspose,
    QConv3D,
    QConv3DBatchNorm,
    QConv3DTranspose,
    QDepthwiseConv1D,
    QDepthwiseConv2D,
    QSeparableConv1D,
    QSeparableConv2D,
)

__all__ = [
    "QConv1D",
    "QConv1DBatchNorm",
    "QConv1DTranspose",
    "QConv2D",
    "QConv2DBatchNorm",
    "QConv2DTranspose",
    "QConv3D",
    "QConv3DBatchNorm",
    "QConv3DTranspose",
    "QDepthwiseConv1D",
    "QDepthwiseConv2D",
    "QSeparableConv1D",
    "QSeparableConv2D",
]
