"""Calibration; everything lives in hgq_keras."""

from hgq_keras._calibrate import trace_minmax

__all__ = ["trace_minmax"]
