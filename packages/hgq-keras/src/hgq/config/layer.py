"""Defaults for layers; everything lives in hgq_keras."""

from hgq_keras._defaults import global_config
from hgq_keras.config import LayerConfigScope

__all__ = ["LayerConfigScope", "global_config"]
