"""The dense layer by an equation with batch normalisation; everything lives in hgq_keras."""

from hgq_keras.layers import QEinsumDenseBatchnorm

__all__ = [
    "QEinsumDenseBatchnorm",
]
