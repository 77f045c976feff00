"""Tables of functions; everything lives in hgq_keras."""

from hgq_keras.layers import QUnaryFunctionLUT

__all__ = ["QUnaryFunctionLUT"]
