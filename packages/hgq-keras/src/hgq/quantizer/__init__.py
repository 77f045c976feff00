"""Quantizers and their configuration; everything lives in hgq_keras."""

from hgq_keras._quantizer import Quantizer
from hgq_keras.config import QuantizerConfig

__all__ = ["Quantizer", "QuantizerConfig"]
