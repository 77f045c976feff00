"""Softmax; everything lives in hgq_keras."""

from hgq_keras.layers import QSoftmax

__all__ = ["QSoftmax"]
