"""Callbacks that set the price of a bit, `beta`, for each epoch."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, final

from hgq_core.controller import PIDController
from hgq_core.errors import ConfigError
from hgq_keras._beta import set_beta, with_ebops
from hgq_keras.callbacks._base import EpochCallback

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

__all__ = ["BetaPID", "BetaScheduler"]


@final
class BetaScheduler(EpochCallback):
    """Before each epoch, ``beta = beta_fn(epoch)`` for every layer that counts EBOPs; the logs tell it as ``beta``.

    Args:
        beta_fn: beta as a function of the epoch, counted from 0: a `PieceWiseSchedule` or any other.

    Raises:
        ConfigError: `beta_fn` cannot be called, or no layer counts EBOPs (said when training starts).

    >>> from hgq_core.schedule import PiecewiseSchedule
    >>> scheduler = BetaScheduler(PiecewiseSchedule([(0, 1e-7, "log"), (50, 1e-5, "constant")]))
    """

    def __init__(self, beta_fn: Callable[[int], float]) -> None:
        super().__init__()
        received: object = beta_fn  # users pass anything
        if not callable(received):
            message = (
                f"BetaScheduler: received {beta_fn!r}, expected a function of the epoch; "
                "write PieceWiseSchedule([(0, beta, 'constant')]) for a constant"
            )
            raise ConfigError(message)
        self.beta_fn = beta_fn
        self._beta = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Sets beta."""
        self._beta = _set_beta(self.model, self.beta_fn(epoch), f"beta_fn({epoch})")

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:  # noqa: ARG002
        """Writes ``logs["beta"]``."""
        logs["beta"] = self._beta


@final
class BetaPID(EpochCallback):
    """Steers beta by feedback, so that the model's EBOPs come to a target (`hgq_core.controller.PIDController`).

    Args:
        target_ebops: EBOPs to reach.
        init_beta: beta during the warm-up; the mean over the layers if None.
        p: proportional gain.
        i: integral gain.
        d: derivative gain.
        warmup: number of epochs with the initial beta.
        log: work on the logarithms of beta and EBOPs.
        max_beta: largest beta.
        min_beta: smallest beta.
        damp_beta_on_target: while EBOPs are below the target, beta is multiplied by 1 minus this.

    Raises:
        ConfigError: an argument out of range (said when training starts), or no layer counts EBOPs.
    """

    def __init__(
        self,
        target_ebops: float,
        init_beta: float | None = None,
        p: float = 1.0,
        i: float = 2e-3,
        d: float = 0.0,
        warmup: int = 10,
        log: bool = True,
        max_beta: float = inf,
        min_beta: float = 0.0,
        damp_beta_on_target: float = 0.0,
    ) -> None:
        super().__init__()
        self.target_ebops = target_ebops
        self.init_beta = init_beta
        self._options: dict[str, Any] = {"p": p, "i": i, "d": d, "warmup": warmup, "log": log}
        self._options |= {"max_beta": max_beta, "min_beta": min_beta, "damp_on_target": damp_beta_on_target}
        self._controller: PIDController | None = None
        self._beta = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Starts a new controller."""
        betas = [layer.beta for layer in with_ebops(self.model)]
        initial = sum(betas) / len(betas) if self.init_beta is None else self.init_beta
        self._controller = PIDController(self.target_ebops, initial, **self._options)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets beta from the EBOPs that the previous epoch left."""
        if self._controller is None:
            self.on_train_begin(logs)
        controller = self._controller
        if controller is not None:
            self._beta = _set_beta(self.model, controller.update(self.cost({})), f"BetaPID at epoch {epoch}")

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:  # noqa: ARG002
        """Writes ``logs["beta"]`` and ``logs["ebops"]``."""
        logs["beta"] = self._beta
        self.cost(logs)


def _set_beta(model: keras.Model, beta: Any, origin: str) -> float:
    """Gives every layer that counts EBOPs this beta, and returns it."""
    try:
        value = float(beta)
    except (TypeError, ValueError) as error:
        message = f"{origin}: received {beta!r}, expected a number"
        raise ConfigError(message) from error
    if not 0 <= value < inf:
        message = f"{origin}: received {value}, expected a finite beta >= 0"
        raise ConfigError(message)
    set_beta(model, value)
    return value
