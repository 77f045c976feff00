"""The quantizer; everything lives in hgq_keras."""

from hgq_keras._quantizer import Quantizer

__all__ = ["Quantizer"]
