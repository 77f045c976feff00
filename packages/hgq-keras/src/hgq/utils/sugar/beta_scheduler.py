"""Schedules of beta; everything lives in hgq_keras."""

from hgq_keras.callbacks import BetaScheduler, PieceWiseSchedule

__all__ = ["BetaScheduler", "PieceWiseSchedule"]
