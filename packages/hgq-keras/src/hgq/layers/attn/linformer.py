"""Attention to fewer positions; everything lives in hgq_keras."""

from hgq_keras.layers import QLinformerAttention, QLinformerAttentionT

__all__ = ["QLinformerAttention", "QLinformerAttentionT"]
