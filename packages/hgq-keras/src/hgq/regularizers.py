"""Pressure on trained widths; everything lives in hgq_keras."""

from hgq_keras.regularizers import MonoL1

__all__ = ["MonoL1"]
