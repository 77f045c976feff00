"""Calibration, batches and callbacks; everything lives in hgq_keras."""

from hgq.utils import dataset, minmax_trace, sugar
from hgq_keras._calibrate import trace_minmax

__all__ = ["dataset", "minmax_trace", "sugar", "trace_minmax"]
