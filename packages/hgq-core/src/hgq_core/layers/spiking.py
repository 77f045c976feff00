"""Spiking cells: a membrane that integrates its input, fires above a threshold, and is reset."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add, Compare, Multiply, Reduce, Select, Subtract

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["RESETS", "ArcTangent", "SpikingCell", "check_reset"]

RESETS = ("subtract", "zero", "none")


@dataclass(frozen=True)
class ArcTangent:
    r"""The derivative of a spike in training, as if it were :math:`\arctan(\pi \alpha d / 2) / \pi`, d above threshold.

    .. math:: \frac{\alpha / 2}{1 + (\pi \alpha d / 2)^2}

    Attributes:
        alpha: how steep it is; the derivative is ``alpha / 2`` at the threshold.
    """

    alpha: float = 2.0

    def __call__(self, ops: Any, membrane: Any, threshold: Any) -> Any:
        distance = membrane - threshold
        steep = distance * (pi / 2 * self.alpha)
        return ops.stop_gradient((self.alpha / 2) / (1.0 + steep * steep)) * distance


def check_reset(mechanism: str, title: str) -> None:
    """Raise ConfigError for a reset that there is not."""
    if mechanism not in RESETS:
        message = f"{title}: reset_mechanism: received {mechanism!r}, expected one of {RESETS}"
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class SpikingCell:
    r"""A membrane for each input: it leaks, integrates, fires, and is reset at the step after it fired.

    .. math::
        r_t &= [u_{t-1} > \theta] \\
        u_t &= Q_s(\beta u_{t-1} + Q_i(x_t) - \theta r_t) \quad \text{(subtract)} \\
        u_t &= Q_s((1 - r_t)(\beta u_{t-1} + Q_i(x_t))) \quad \text{(zero)} \\
        y_t &= g [u_t > \theta]

    With inhibition a membrane fires only if none is higher; those that are equal fire together. The numbers
    :math:`\beta, \theta, g` are weights of one element, ``leak, level, grade``, with the quantizers ``lkq, thq, grq``.

    EBOPs are those of the product with the leak, of the comparison of membrane and threshold, and, without a leak, of
    the sum with the input; spikes are wires.

    Attributes:
        units: membranes, as many as features.
        leaks: whether the membrane is multiplied by ``leak``, else it keeps everything.
        grades: whether spikes are multiplied by ``grade``, else they are 1.
        learns: which of the three weights are trained.
        inhibition: whether only the highest membranes fire.
        reset_mechanism: ``"subtract"``, ``"zero"`` or ``"none"``.
        detach_reset: whether no gradient flows through the reset.
        surrogate: ``function(ops, membrane, threshold)`` whose derivative is that of a spike; None: there is none.
        enable_sq: whether the membrane has a quantizer, as the Graph needs it.
        known_input: whether the data are in the formats of ``iq``.
    """

    gives_state: ClassVar[bool] = False
    units: int
    leaks: bool = True
    grades: bool = False
    learns: tuple[str, ...] = ()
    inhibition: bool = False
    reset_mechanism: str = "subtract"
    detach_reset: bool = True
    surrogate: Callable[..., Any] | None = ArcTangent()
    enable_sq: bool = True
    known_input: bool = True

    @property
    def states(self) -> tuple[int, ...]:
        """The membrane."""
        return (self.units,)

    def enter(self, t: Trace, x: Value) -> Value:
        """The data; raises ShapeError unless there is a membrane for each feature."""
        if t.shape(x)[-1] != self.units:
            message = f"received {t.shape(x)[-1]} features, expected {self.units}, a membrane for each"
            raise ShapeError(message)
        return x

    def first(self, t: Trace, state: Value, number: int) -> Value:  # noqa: ARG002 (it has one)
        """In its formats."""
        return t.again("sq", state) if self.enable_sq else state

    def step(self, t: Trace, x: Value, *states: Value) -> tuple[Value, ...]:
        """See the class."""
        (membrane,) = states
        membrane = t.known("sq", membrane) if self.enable_sq else membrane
        x = t.known("iq", x) if self.known_input else x
        level = self._weight(t, "level", "thq")
        kept = t.op(Multiply(), membrane, self._weight(t, "leak", "lkq")) if self.leaks else membrane
        membrane = self._reset(t, t.op(Add(), kept, x), membrane, level)
        membrane = t.quantized("sq", membrane) if self.enable_sq else membrane
        spikes = self._fired(t, membrane, level, smooth=True, share=1.0)
        y = t.op(Multiply(), spikes, self._weight(t, "grade", "grq"), share=0.0) if self.grades else spikes
        return y, membrane

    def _weight(self, t: Trace, slot: str, quantizer: str) -> Value:
        stored = t.stored(slot, (1,), start="ones", trainable=slot in self.learns)
        return t.quantized(quantizer, stored, place="weight", name=slot)

    def _reset(self, t: Trace, integrated: Value, before: Value, level: Value) -> Value:
        """What is left of a membrane that fired at the step before."""
        if self.reset_mechanism == "none":
            return integrated
        fired = self._fired(t, before, level, smooth=not self.detach_reset, share=0.0)
        if self.reset_mechanism == "subtract":
            lower = t.op(Subtract(), integrated, level, share=0.0)
        else:
            lower = t.constant(np.zeros(self.units), name="zero")
        if self.detach_reset:
            return t.op(Select(), fired, lower, integrated)
        return t.surrogate(Select(), _between, fired, lower, integrated)

    def _fired(self, t: Trace, membrane: Value, level: Value, *, smooth: bool, share: float) -> Value:
        """1 for each membrane that fires, else 0."""
        if smooth and self.surrogate is not None:
            spikes = t.surrogate(Compare(">"), self.surrogate, membrane, level, share=share)
        else:
            spikes = t.op(Compare(">"), membrane, level, share=share)
        if not self.inhibition:
            return spikes
        highest = t.op(Reduce("max", (0,), keepdims=True), membrane, share=share)
        winners = t.op(Compare(">="), membrane, highest, share=share)
        return t.op(Multiply(), spikes, winners, share=0.0)


def _between(ops: Any, fired: Any, lower: Any, integrated: Any) -> Any:  # noqa: ARG001 (as of every surrogate)
    """A choice as a line, which has a derivative by what chooses."""
    return integrated + fired * (lower - integrated)
