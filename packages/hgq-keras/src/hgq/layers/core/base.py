"""The base of layers; everything lives in hgq_keras."""

from hgq_keras.layers import QLayer

__all__ = ["QLayer"]
