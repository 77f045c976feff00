"""Sums and means; everything lives in hgq_keras."""

from hgq_keras.layers import QMeanPow2, QSum

__all__ = ["QMeanPow2", "QSum"]
