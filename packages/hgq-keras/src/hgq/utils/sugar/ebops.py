"""EBOPs in the logs; everything lives in hgq_keras."""

from hgq_keras.callbacks import FreeEBOPs

__all__ = ["FreeEBOPs"]
