"""Dense layers; everything lives in hgq_keras."""

from hgq_keras.layers import QDense, QEinsumDense

__all__ = ["QDense", "QEinsumDense"]
