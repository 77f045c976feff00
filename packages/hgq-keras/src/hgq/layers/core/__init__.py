"""Dense layers; everything lives in hgq_keras."""

from hgq_keras.layers import QBatchNormDense, QDense, QEinsumDense, QEinsumDenseBatchnorm

__all__ = [
    "QBatchNormDense",
    "QDense",
    "QEinsumDense",
    "QEinsumDenseBatchnorm",
]
