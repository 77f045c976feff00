"""Layers of tables; everything lives in hgq_keras."""

from hgq_keras.layers import QConvT1D, QConvT2D, QDenseT, QEinsumDenseT

__all__ = ["QConvT1D", "QConvT2D", "QDenseT", "QEinsumDenseT"]
