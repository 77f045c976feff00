"""Configuration of quantizers; everything lives in hgq_keras."""

from hgq_keras._defaults import all_places, all_quantizer_types, default_configs, default_q_type
from hgq_keras.config import HardSigmoidConfig, HardTanhConfig, QuantizerConfig, QuantizerConfigScope

__all__ = [
    "HardSigmoidConfig",
    "HardTanhConfig",
    "QuantizerConfig",
    "QuantizerConfigScope",
    "all_places",
    "all_quantizer_types",
    "default_configs",
    "default_q_type",
]
