"""Calibration; everything lives in hgq_keras."""

from hgq_keras.calibrate import trace_minmax

__all__ = ["trace_minmax"]
