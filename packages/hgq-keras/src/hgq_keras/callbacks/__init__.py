"""Keras callbacks: the price of a bit, EBOPs in the logs, the Pareto front on disk, a live bar, when to stop."""

from hgq_core.schedule import PiecewiseSchedule as PieceWiseSchedule
from hgq_keras.callbacks._beta import BetaPID, BetaScheduler
from hgq_keras.callbacks._cost import FreeEBOPs
from hgq_keras.callbacks._front import ParetoFront
from hgq_keras.callbacks._progress import PBar
from hgq_keras.callbacks._stop import EarlyStoppingWithEbopsThres, StopIf

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
