"""Batch normalisation; everything lives in hgq_keras."""

from hgq_keras.layers import QBatchNormalization

__all__ = ["QBatchNormalization"]
