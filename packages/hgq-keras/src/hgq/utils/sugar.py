"""Keras callbacks; everything lives in hgq_keras."""

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
    "EarlyStoppingWithEbopsThres",
    "FreeEBOPs",
    "PBar",
    "ParetoFront",
    "PieceWiseSchedule",
    "StopIf",
]
