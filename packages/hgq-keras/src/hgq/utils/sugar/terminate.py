"""Stopping on a condition; everything lives in hgq_keras."""

from hgq_keras.callbacks import StopIf

__all__ = ["StopIf"]
