"""The front of metrics and EBOPs; everything lives in hgq_keras."""

from hgq_keras.callbacks import ParetoFront

__all__ = ["ParetoFront"]
