"""Attention of several heads; everything lives in hgq_keras."""

from hgq_keras.layers import QMultiHeadAttention, QMultiHeadAttentionT

__all__ = ["QMultiHeadAttention", "QMultiHeadAttentionT"]
