"""Attention; everything lives in hgq_keras."""

from hgq_keras.layers import QMultiHeadAttention

__all__ = ["QMultiHeadAttention"]
