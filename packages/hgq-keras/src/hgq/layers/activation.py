"""Functions as tables; everything lives in hgq_keras."""

from hgq_keras.layers import QAffinedUnaryFunctionLUT, QUnaryFunctionLUT

__all__ = ["QAffinedUnaryFunctionLUT", "QUnaryFunctionLUT"]
