"""Callbacks that end the training."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, final

import keras
from rich.console import Console

from hgq_core.errors import ConfigError
from hgq_keras.callbacks._base import EpochCallback

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EarlyStoppingWithEbopsThres", "StopIf"]


@final
class EarlyStoppingWithEbopsThres(EpochCallback):
    """`keras.callbacks.EarlyStopping` that looks only at epochs whose EBOPs are at or below a threshold.

    Args:
        ebops_threshold: largest EBOPs of an epoch that counts.
        monitor: as in `keras.callbacks.EarlyStopping`, like all that follow.
        min_delta: smallest change that is an improvement.
        patience: number of counted epochs without improvement after which training ends.
        verbose: 0 or 1.
        mode: ``auto``, ``min`` or ``max``.
        baseline: value to beat.
        restore_best_weights: go back to the weights of the best counted epoch.
        start_from_epoch: number of epochs to leave out at the start.

    Raises:
        ConfigError: the threshold is not positive.
    """

    def __init__(
        self,
        ebops_threshold: float,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        if not ebops_threshold > 0:
            message = f"ebops_threshold: received {ebops_threshold}, expected a positive number of EBOPs"
            raise ConfigError(message)
        self.ebops_threshold = ebops_threshold
        self._stopping = keras.callbacks.EarlyStopping(
            monitor=monitor,
            min_delta=min_delta,
            patience=patience,
            verbose=verbose,
            mode=mode,
            baseline=baseline,
            restore_best_weights=restore_best_weights,
            start_from_epoch=start_from_epoch,
        )

    def set_model(self, model: keras.Model) -> None:
        """Called by Keras."""
        super().set_model(model)
        self._stopping.set_model(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forgets what an earlier training left."""
        self._stopping.on_train_begin(logs)

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:
        """Lets the epoch count if it is cheap enough."""
        if self.cost(logs) <= self.ebops_threshold:
            self._stopping.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Says when training ended early, if `verbose`."""
        self._stopping.on_train_end(logs)


@final
class StopIf(EpochCallback):
    """Ends the training once a condition has held for a number of epochs, or of steps, in a row.

    Args:
        stop_condition: takes the logs, or the logs and the model, and returns True where training may end.
        patience_epochs: number of epochs that it must hold beyond the first one.
        patience_steps: the same in steps (batches); the condition is then asked after each step instead.
        verbose: 1 says when and why training ended.

    Raises:
        ConfigError: a negative patience, or a condition that cannot be called with one or two arguments.
    """

    def __init__(
        self,
        stop_condition: Callable[..., bool],
        patience_epochs: int = 0,
        patience_steps: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__()
        if patience_epochs < 0 or (patience_steps is not None and patience_steps < 0):
            message = (
                f"StopIf: received patience_epochs={patience_epochs}, patience_steps={patience_steps}; expected >= 0"
            )
            raise ConfigError(message)
        received: object = stop_condition  # users pass anything
        if not callable(received):
            message = (
                f"StopIf: received {stop_condition!r}, expected a function of the logs, or of the logs and the model"
            )
            raise ConfigError(message)
        self.stop_condition = stop_condition
        self.patience_epochs = patience_epochs
        self.patience_steps = patience_steps
        self.verbose = verbose
        self._takes_model = len(inspect.signature(stop_condition).parameters) > 1
        self._held = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Forgets what an earlier training left."""
        self._held = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Asks the condition after a step, if the patience is in steps."""
        if self.patience_steps is not None:
            self._ask({} if logs is None else logs, self.patience_steps, f"step {batch + 1}")

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:
        """Asks the condition after an epoch, if the patience is in epochs."""
        if self.patience_steps is None:
            self.cost(logs)
            self._ask(logs, self.patience_epochs, f"epoch {epoch + 1}")

    def _ask(self, logs: dict[str, Any], patience: int, when: str) -> None:
        arguments = (logs, self.model) if self._takes_model else (logs,)
        self._held = self._held + 1 if self.stop_condition(*arguments) else 0
        if self._held > patience:
            self.model.stop_training = True
            if self.verbose:
                Console().print(f"training ends at {when}: the condition has held {self._held} times in a row")
