"""Batches of arrays and Keras callbacks; everything lives in hgq_keras."""

from hgq_keras import Dataset
from hgq_keras.callbacks import (
    BetaPID,
    BetaScheduler,
    EarlyStoppingWithEbopsThres,
    FreeEBOPs,
    ParetoFront,
    PBar,
    PieceWiseSchedule,
    StopIf,
)

__all__ = [
    "BetaPID",
    "BetaScheduler",
    "Dataset",
    "EarlyStoppingWithEbopsThres",
    "FreeEBOPs",
    "PBar",
    "ParetoFront",
    "PieceWiseSchedule",
    "StopIf",
]
