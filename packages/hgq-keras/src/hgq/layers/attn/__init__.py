"""Attention; everything lives in hgq_keras."""

from hgq_keras.layers import QLinformerAttention, QMultiHeadAttention

__all__ = ["QLinformerAttention", "QMultiHeadAttention"]
