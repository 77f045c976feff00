"""Configurations of quantizers; everything lives in hgq_keras."""

from hgq_keras.config import HardSigmoidConfig, HardTanhConfig, QuantizerConfig, QuantizerConfigScope

__all__ = ["HardSigmoidConfig", "HardTanhConfig", "QuantizerConfig", "QuantizerConfigScope"]
