"""Quantizers by the numbers of their type alone; everything lives in hgq_keras."""

from hgq_keras._made import DummyQuantizer, FixedPointQuantizerKBI, FixedPointQuantizerKIF, FloatPointQuantizer

__all__ = ["DummyQuantizer", "FixedPointQuantizerKBI", "FixedPointQuantizerKIF", "FloatPointQuantizer"]
