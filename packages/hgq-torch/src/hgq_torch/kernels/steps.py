"""What the kernels share: numbers as tensors, bounds, rounding in place, and a range that follows the data."""

from __future__ import annotations

from math import inf, log
from typing import TYPE_CHECKING

import torch

from hgq_core.modes import Round
from hgq_torch._range import TRACKER

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.spec import KBI, KIF, Bounds
    from hgq_torch._quantizer import Quantizer

__all__ = ["HALF", "LN2", "MINUS_ONE", "ONE", "QUARTER", "ZERO", "clamp_", "followed", "round_", "truncate_"]

# Numbers as tensors: PyTorch converts a Python number to a tensor on every call, which costs as much as the operation.
ZERO, QUARTER, HALF, ONE, MINUS_ONE = (torch.tensor(n) for n in (0.0, 0.25, 0.5, 1.0, -1.0))
LN2 = {dtype: torch.tensor(log(2.0), dtype=dtype) for dtype in (torch.float32, torch.float64)}


def clamp_(width: Tensor, bounds: Bounds | None) -> Tensor:
    """The stored width, moved into its bounds."""
    if bounds is not None and (bounds.low > -inf or bounds.high < inf):
        width.clamp_(bounds.low, bounds.high)
    return width


def round_(y: Tensor, mode: Round) -> Tensor:
    """Round in place; y is twice the number for RND."""
    if mode is Round.RND:
        y.floor_()
        return y.sub_(y, alpha=0.5).ceil_()
    return y.floor_() if mode is Round.TRN else y.round_()


def truncate_(y: Tensor, x: Tensor) -> Tensor:
    """TRN of x below 0 is at most -1, also where x in units of the step is so small that it became 0."""
    return y.masked_fill_(y.eq(ZERO).logical_and_(x.lt(ZERO)), MINUS_ONE)


def followed(i: Tensor, needed: Tensor, spec: KIF | KBI, q: Quantizer) -> Tensor:
    """Store what the batch needs, down by at most ``i_decay_speed`` a step; returns whole bits."""
    q.reduce_max(needed)
    # The forward pass that activation checkpointing repeats is not another step.
    torch.maximum(i if TRACKER.is_bw else i.sub_(ONE, alpha=spec.i_decay_speed), needed, out=i)
    return torch.round(clamp_(i, spec.ic))
