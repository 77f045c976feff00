"""Contractions of data; everything lives in hgq_keras."""

from hgq_keras.layers import QEinsum

__all__ = ["QEinsum"]
