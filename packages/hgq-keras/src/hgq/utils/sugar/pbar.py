"""A progress bar; everything lives in hgq_keras."""

from hgq_keras.callbacks import PBar

__all__ = ["PBar"]
