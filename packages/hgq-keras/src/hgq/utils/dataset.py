"""Arrays as a dataset; everything lives in hgq_keras."""

from hgq_keras._dataset import Dataset

__all__ = ["Dataset"]
