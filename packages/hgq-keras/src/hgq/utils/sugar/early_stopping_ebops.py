"""Early stopping below a limit of EBOPs; everything lives in hgq_keras."""

from hgq_keras.callbacks import EarlyStoppingWithEbopsThres

__all__ = ["EarlyStoppingWithEbopsThres"]
