"""Layers of tables; everything lives in hgq_keras."""

from hgq_keras.layers import QDenseT, QEinsumDenseT

__all__ = ["QDenseT", "QEinsumDenseT"]
