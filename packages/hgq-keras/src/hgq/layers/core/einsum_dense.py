"""The dense layer by an equation; everything lives in hgq_keras."""

from hgq_keras.layers import QEinsumDense

__all__ = ["QEinsumDense"]
