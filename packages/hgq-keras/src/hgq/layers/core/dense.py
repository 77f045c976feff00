"""The dense layer; everything lives in hgq_keras."""

from hgq_keras.layers import QDense

__all__ = ["QDense"]
