"""The price of a bit by feedback: controllers that read the cost after each epoch and answer with the next beta."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, isnan, log10

from hgq_core.errors import ConfigError, DataError

__all__ = ["BudgetController", "Feasible", "PIDController"]

_SMALLEST_RATIO = 1e-9


class PIDController:
    """A PID controller that holds the cost (EBOPs) at a target.

    With ``e = log10(cost / target)``, ``beta = 10**u``, or without ``log`` ``e = cost / target - 1``, ``beta = u``::

        u = u0 + p * (e - e0) + i * (sum of e since then) + d * (change of e)

    where ``e0`` is the error at the first epoch after the warm-up and ``u0`` gives the initial beta there, so that the
    controller starts without a jump.

    Args:
        target: cost to reach, positive.
        initial_beta: beta during the warm-up; positive if ``log``.
        p: proportional gain.
        i: integral gain.
        d: derivative gain; EBOPs is noisy, so keep it small.
        warmup: number of epochs with the initial beta.
        log: work on logarithms of cost and beta.
        min_beta: smallest beta.
        max_beta: largest beta.
        damp_on_target: while the cost is below the target, beta is multiplied by ``1 - damp_on_target``.

    Raises:
        ConfigError: an argument out of range.

    >>> control = PIDController(1000, initial_beta=1e-6, warmup=1)
    >>> [f"{control.update(cost):.2e}" for cost in (4000, 4000, 4000, 2000)]
    ['1.00e-06', '1.00e-06', '1.00e-06', '5.02e-07']
    """

    def __init__(
        self,
        target: float,
        initial_beta: float,
        *,
        p: float = 1.0,
        i: float = 2e-3,
        d: float = 0.0,
        warmup: int = 10,
        log: bool = True,
        min_beta: float = 0.0,
        max_beta: float = inf,
        damp_on_target: float = 0.0,
    ) -> None:
        if not 0 < target < inf:
            message = f"target cost: received {target}, expected a positive number of EBOPs"
            raise ConfigError(message)
        if not 0 <= damp_on_target <= 1:
            message = f"damp_on_target: received {damp_on_target}, expected 0 to 1"
            raise ConfigError(message)
        if not all(isfinite(gain) for gain in (p, i, d)) or warmup < 0:
            message = f"received p={p}, i={i}, d={d}, warmup={warmup}; expected finite gains and warmup >= 0"
            raise ConfigError(message)
        _check_beta(initial_beta, min_beta, max_beta)
        if log and initial_beta == 0:
            message = "initial_beta=0 has no logarithm; give a small positive value such as 1e-7, or log=False"
            raise ConfigError(message)
        self.target = target
        self.beta = initial_beta
        self.epoch = 0
        self._gains = (p, i, d)
        self._warmup = warmup
        self._log = log
        self._limits = (min_beta, max_beta)
        self._damp = damp_on_target
        self._start = log10(initial_beta) if log else initial_beta
        self._first: float | None = None
        self._previous = 0.0
        self._integral = 0.0

    def update(self, cost: float) -> float:
        """beta of the coming epoch, for the cost measured last; call it once at the start of each epoch."""
        _check_cost(cost)
        self.epoch += 1
        if self.epoch <= self._warmup:
            return self.beta
        ratio = cost / self.target
        error = log10(max(ratio, _SMALLEST_RATIO)) if self._log else ratio - 1.0
        if self._first is None:
            self._first = self._previous = error
        else:
            self._integral += error
        p, i, d = self._gains
        output = self._start + p * (error - self._first) + i * self._integral + d * (error - self._previous)
        self._previous = error
        beta = 10.0 ** min(output, 300.0) if self._log else output
        if cost < self.target:
            beta *= 1.0 - self._damp
        self.beta = min(max(beta, self._limits[0]), self._limits[1])
        return self.beta


@dataclass(frozen=True, slots=True)
class Feasible:
    """An epoch whose cost was within the budget.

    Attributes:
        epoch: number of the observation, from 0.
        beta: beta that the epoch was trained with.
        cost: its cost.
        score: its quality, larger is better.
    """

    epoch: int
    beta: float
    cost: float
    score: float


class BudgetController:
    """Drives beta until the cost lands at or below a budget, and remembers the best epoch that did.

    Above the budget beta grows by ``(cost / budget)**gain``; below ``(1 - slack) * budget`` it shrinks likewise, so
    that quality can use what is left; in between it rests. One step changes beta at most by ``max_factor``, and always
    by at least ``min_factor`` while the cost is above the budget, so that it cannot come to rest just above.

    Args:
        budget: largest cost that is allowed (EBOPs).
        initial_beta: beta of the first epoch, positive.
        gain: exponent of the cost ratio.
        slack: part of the budget below it where beta rests, 0 to 1.
        min_factor: smallest growth of beta above the budget.
        max_factor: largest change of beta in one epoch.
        min_beta: smallest beta.
        max_beta: largest beta.

    Raises:
        ConfigError: an argument out of range.

    >>> control = BudgetController(1000, initial_beta=1e-6)
    >>> [f"{control.update(cost, score):.2e}" for cost, score in ((4000, 0.9), (1500, 0.8), (980, 0.7))]
    ['2.00e-06', '3.00e-06', '3.00e-06']
    >>> control.best
    Feasible(epoch=2, beta=3e-06, cost=980, score=0.7)
    """

    def __init__(
        self,
        budget: float,
        initial_beta: float,
        *,
        gain: float = 1.0,
        slack: float = 0.05,
        min_factor: float = 1.05,
        max_factor: float = 2.0,
        min_beta: float = 0.0,
        max_beta: float = inf,
    ) -> None:
        if not 0 < budget < inf:
            message = f"budget: received {budget}, expected a positive number of EBOPs"
            raise ConfigError(message)
        if not gain > 0 or not 0 <= slack < 1 or not 1 < min_factor <= max_factor < inf:
            message = (
                f"received gain={gain}, slack={slack}, min_factor={min_factor}, max_factor={max_factor}; "
                "expected gain > 0, 0 <= slack < 1 and 1 < min_factor <= max_factor"
            )
            raise ConfigError(message)
        _check_beta(initial_beta, min_beta, max_beta)
        if initial_beta == 0:
            message = "initial_beta=0 cannot grow by a factor; give a small positive value such as 1e-7"
            raise ConfigError(message)
        self.budget = budget
        self.beta = initial_beta
        self.epoch = 0
        self.best: Feasible | None = None
        self._gain = gain
        self._slack = slack
        self._factors = (min_factor, max_factor)
        self._limits = (min_beta, max_beta)

    def update(self, cost: float, score: float) -> float:
        """beta of the coming epoch; call it once at the end of each epoch.

        Args:
            cost: cost of the epoch that ended (EBOPs).
            score: its quality, larger is better; of two feasible epochs of equal score the cheaper one is kept.
        """
        _check_cost(cost)
        if cost <= self.budget and not isnan(score):
            better = self.best is None or (score, -cost) > (self.best.score, -self.best.cost)
            if better:
                self.best = Feasible(self.epoch, self.beta, cost, score)
        self.epoch += 1
        least, most = self._factors
        factor = min(max((cost / self.budget) ** self._gain, 1.0 / most), most)
        if cost > self.budget:
            factor = max(factor, least)
        elif cost >= (1.0 - self._slack) * self.budget:
            factor = 1.0
        self.beta = min(max(self.beta * factor, self._limits[0]), self._limits[1])
        return self.beta


def _check_beta(initial: float, lowest: float, highest: float) -> None:
    if not 0 <= lowest <= initial <= highest or not isfinite(initial):
        message = (
            f"received initial_beta={initial}, min_beta={lowest}, max_beta={highest}; "
            "expected 0 <= min_beta <= initial_beta <= max_beta"
        )
        raise ConfigError(message)


def _check_cost(cost: float) -> None:
    if not isfinite(cost) or cost < 0:
        message = f"cost of an epoch: received {cost}, expected a finite number >= 0; look for NaN among the widths"
        raise DataError(message)
