"""Batches of arrays; everything lives in hgq_keras."""

from hgq_keras import Dataset

__all__ = ["Dataset"]
