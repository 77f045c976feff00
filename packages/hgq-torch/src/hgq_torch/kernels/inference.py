"""The quantizer at inference on a processor: the numbers of the shared body, written in place, widths prepared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hgq_core.modes import Overflow, Round
from hgq_core.quantize import Grid, on_grid
from hgq_torch._ops import TORCH

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["InferenceGrid", "infer"]


# As a tensor: PyTorch converts a Python number to a tensor on every call, which costs as much as the operation.
_ZERO, _MINUS_ONE = torch.tensor(0.0), torch.tensor(-1.0)


@dataclass(frozen=True, slots=True)
class InferenceGrid:
    """The grid of `hgq_core.quantize`, and what WRAP needs of it in units of the step.

    Attributes:
        grid: of whole widths.
        wrap: whether numbers beyond the range wrap; else they only round, or are clipped.
        low: lowest number that rounding sees: the range, or under WRAP what is so far away that it is 0 after it.
        high: highest one.
        tops: ``2**-(i + f)``: from units to what the highest number lies below.
        share: ``1 / (1 + k)``.
        span: ``-2**(k + i + f)``: with the sign in which it is taken away.
    """

    grid: Grid
    wrap: bool
    low: Tensor
    high: Tensor
    tops: Tensor
    share: Tensor
    span: Tensor

    @classmethod
    def of(
        cls, k: Tensor, i: Tensor, f: Tensor, *, round_mode: Round, overflow_mode: Overflow, wrap: bool
    ) -> InferenceGrid:
        """For whole widths."""
        grid = Grid.of(TORCH, k, i, f, round_mode=round_mode, overflow_mode=overflow_mode)
        signs = 1.0 + k
        top = grid.top / grid.step
        low, high = grid.lowest, grid.highest
        if overflow_mode is Overflow.WRAP:
            high = grid.top * signs * 2.0 ** TORCH.significand_bits(k)
            low = -high
        return cls(grid, wrap, low, high, 1.0 / top, 1.0 / signs, -top * signs)


def infer(x: Tensor, prepared: InferenceGrid) -> Tensor:
    """X quantized, without gradient: what `hgq_core.quantize.on_grid` gives."""
    grid = prepared.grid
    in_place = grid.round_mode in (Round.RND, Round.TRN, Round.RND_CONV)
    if not in_place or (grid.overflow_mode is Overflow.WRAP and not prepared.wrap):
        result: Tensor = on_grid(TORCH, x, grid, wrap=prepared.wrap)
        return result
    y = torch.clamp(x, prepared.low, prepared.high)
    # A number so small that it is 0 in units of the step is below 0 all the same.
    negative = y.lt(_ZERO) if grid.round_mode is Round.TRN else None
    y.mul_(grid.scale)
    if negative is not None:
        y.floor_().masked_fill_(y.eq(_ZERO).logical_and_(negative), _MINUS_ONE)
    elif grid.round_mode is Round.RND:
        y.floor_().mul_(0.5).ceil_()
    else:
        y.round_()
    if prepared.wrap:
        spans = torch.mul(y, prepared.tops).floor_().mul_(prepared.share).ceil_()
        y.addcmul_(spans, prepared.span)
    return y.div_(grid.units)
