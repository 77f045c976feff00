"""What every callback here does at the end of an epoch."""

from __future__ import annotations

from abc import abstractmethod
from math import isfinite
from typing import Any, final

import keras

from hgq_keras._calls import ebops
from hgq_keras._health import warn_if_dead

__all__ = ["EpochCallback", "whole"]


class EpochCallback(keras.callbacks.Callback):
    """Warns of layers that have died, then does its own work in `epoch_ended`."""

    @final
    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras; what is put into `logs` is seen by the callbacks that follow and by the history."""
        warn_if_dead(self.model)
        self.epoch_ended(epoch, {} if logs is None else logs)

    @abstractmethod
    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:
        """The callback's work at the end of an epoch, counted from 0."""

    @final
    def cost(self, logs: dict[str, Any]) -> float:
        """EBOPs of the model, taken from the logs if a callback before this one has put them there."""
        if "ebops" not in logs:
            logs["ebops"] = whole(ebops(self.model))
        return float(logs["ebops"])


def whole(number: float) -> float:
    """EBOPs as logs have them: an integer, which file names and histories show without a fraction; NaN stays."""
    return round(number) if isfinite(number) else number
