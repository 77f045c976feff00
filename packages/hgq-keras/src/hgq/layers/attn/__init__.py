"""Attention; everything lives in hgq_keras."""

from hgq_keras.layers import QLinformerAttention, QLinformerAttentionT, QMultiHeadAttention, QMultiHeadAttentionT

__all__ = ["QLinformerAttention", "QLinformerAttentionT", "QMultiHeadAttention", "QMultiHeadAttentionT"]
