"""Quantizers and their configuration; everything lives in hgq_keras."""

from hgq_keras.config import QuantizerConfig
from hgq_keras.quantizer import Quantizer

__all__ = ["Quantizer", "QuantizerConfig"]
