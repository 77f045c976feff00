"""Dense layers; everything lives in hgq_keras."""

from hgq_keras.layers import QBatchNormDense, QDense

__all__ = [
    "QBatchNormDense",
    "QDense",
]
