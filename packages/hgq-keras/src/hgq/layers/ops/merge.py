"""Merges of tensors; everything lives in hgq_keras."""

from hgq_keras.layers import QAdd, QAveragePow2, QDot, QMaximum, QMinimum, QMultiply, QSubtract

__all__ = ["QAdd", "QAveragePow2", "QDot", "QMaximum", "QMinimum", "QMultiply", "QSubtract"]
