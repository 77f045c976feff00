"""Layers by the module that users know; everything lives in hgq_keras."""

from hgq_keras.layers import QEinsumDenseBatchnorm

__all__ = ["QEinsumDenseBatchnorm"]
