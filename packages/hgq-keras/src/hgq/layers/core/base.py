"""What layers are made of; everything lives in hgq_keras."""

from hgq_keras._quantizer import Quantizer
from hgq_keras.layers import QLayer

__all__ = ["QLayer", "Quantizer"]
