"""Defaults for layers and quantizers; everything lives in hgq_keras."""

from hgq_keras._defaults import default_configs, global_config
from hgq_keras.config import HardSigmoidConfig, HardTanhConfig, LayerConfigScope, QuantizerConfig, QuantizerConfigScope

__all__ = [
    "HardSigmoidConfig",
    "HardTanhConfig",
    "LayerConfigScope",
    "QuantizerConfig",
    "QuantizerConfigScope",
    "default_configs",
    "global_config",
]
