"""What is fixed about a pattern of steps that the fused training step and cost cover, read once when it is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF, Bounds

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_torch._quantizer import Quantizer

__all__ = ["CostPlan", "Plan", "WidthPlan", "plan_of"]

_ROUNDS = (Round.TRN, Round.RND, Round.RND_CONV)


@dataclass(frozen=True, slots=True)
class WidthPlan:
    """Bounds and regulariser of one kind of width."""

    bounds: Bounds
    l1: float

    def bits(self, stored: Tensor) -> Tensor:
        """Whole bits, in memory of their own."""
        return stored.clamp(self.bounds.low, self.bounds.high).round_()


@dataclass(frozen=True, slots=True)
class CostPlan:
    """What layers whose costs are summed in one node have in common."""

    kernel: WidthPlan
    data: WidthPlan
    data_i: Bounds
    bias: WidthPlan | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fixed about a layer whose specifications are the defaults or their neighbours."""

    relu: bool
    axes: tuple[int, ...]
    data: KIF
    kernel: KBI
    bias: KBI | None
    by_feature: bool
    """Whether the input's widths differ along the last axis only, or not at all."""
    cost: CostPlan | None

    def holds(self, iq: Quantizer, kq: Quantizer, bq: Quantizer | None) -> bool:
        """Whether the quantizers are still what the plan was made for."""
        return self.data is iq.spec and self.kernel is kq.spec and self.bias is (None if bq is None else bq.spec)


def plan_of(
    iq: Quantizer, kq: Quantizer, bq: Quantizer | None, *, relu: bool, features: tuple[int, int], counts: bool
) -> Plan | None:
    """The plan for these quantizers of input, weight and bias, or None if their specifications are others.

    Args:
        iq: of the input.
        kq: of the weight, stored ``(out, in)``.
        bq: of the bias.
        relu: whether a ReLU follows.
        features: sizes of input and output.
        counts: whether the weight is stored ``(out, in)``, so that `kernels.cost` can count its bits.
    """
    if not _covered(iq, KIF, Overflow.WRAP, _ROUNDS) or not _covered(kq, KBI, Overflow.SAT_SYM, _ROUNDS):
        return None
    if bq is not None and (not _covered(bq, KBI, Overflow.WRAP, (Round.RND,)) or bq.b.shape != features[1:]):
        return None
    if not iq.built:
        return None
    return Plan(
        relu,
        iq.sharing.shared_axes,
        cast("KIF", iq.spec),
        cast("KBI", kq.spec),
        None if bq is None else cast("KBI", bq.spec),
        all(n == 1 for n in iq.f.shape[:-1]),
        _cost_of(iq, kq, bq, features) if counts else None,
    )


def _covered(quantizer: Quantizer, kind: type[Any], overflow: Overflow, rounds: tuple[Round, ...]) -> bool:
    spec = cast("KIF | KBI", quantizer.spec)
    return (
        isinstance(spec, kind)
        and spec.overflow_mode is overflow
        and spec.round_mode in rounds
        and spec.trainable
        and not spec.stochastic
        and not spec.blocks
        and (overflow is Overflow.SAT_SYM or not spec.is_weight)
        and (not isinstance(spec, KBI) or (isinstance(spec.bc, Bounds) and spec.bc.low >= 0))
    )


def _cost_of(iq: Quantizer, kq: Quantizer, bq: Quantizer | None, features: tuple[int, int]) -> CostPlan | None:
    """The plan of the cost, for data of one axis and one width per number; else None."""
    kernel, data = cast("KBI", kq.spec), cast("KIF", iq.spec)
    bias = None if bq is None else cast("KBI", bq.spec)
    if kq.b.shape != features[::-1] or iq.f.shape != (1, features[0]):
        return None
    if kernel.ir or any(callable(factor) for factor in (kernel.br, data.fr, None if bias is None else bias.br)):
        return None
    return CostPlan(
        WidthPlan(kq.bounds["b"], kernel.br or 0.0),
        WidthPlan(iq.bounds["f"], data.fr or 0.0),
        iq.bounds["i"],
        None if bq is None or bias is None else WidthPlan(bq.bounds["b"], bias.br or 0.0),
    )
