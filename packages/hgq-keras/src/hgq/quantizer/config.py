"""Configurations of quantizers; everything lives in hgq_keras."""

from hgq_keras.config import QuantizerConfig, QuantizerConfigScope

__all__ = ["QuantizerConfig", "QuantizerConfigScope"]
