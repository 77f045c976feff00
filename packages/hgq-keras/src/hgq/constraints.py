"""Limits of trained widths; everything lives in hgq_keras."""

from hgq_keras.constraints import Constant, Max, Min, MinMax

__all__ = ["Constant", "Max", "Min", "MinMax"]
