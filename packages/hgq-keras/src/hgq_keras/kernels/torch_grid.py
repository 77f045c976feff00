"""The body of the fixed-point quantizer on PyTorch, eager on a CPU: each step in the memory of the step before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_core import quantize
from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from hgq_core.ops import Ops
    from hgq_core.quantize import Grid

__all__ = ["on_grid"]

_IN_PLACE = (Round.RND, Round.RND_CONV)


def on_grid(ops: Ops, x: Any, grid: Grid, *, wrap: bool = True) -> Any:
    """`hgq_core.quantize.on_grid` of a tensor, bit by bit; its result has no gradient."""
    eager = isinstance(x, torch.Tensor) and x.device.type == "cpu" and not torch.compiler.is_compiling()
    if not eager or grid.round_mode not in _IN_PLACE:
        return quantize.on_grid(ops, x, grid, wrap=wrap)
    with torch.no_grad():
        if grid.overflow_mode is not Overflow.WRAP:
            y = _rounded_(torch.clamp(x, grid.lowest, grid.highest).mul_(grid.scale), grid.round_mode)
            return y.div_(grid.units)
        y = _rounded_(x * grid.scale, grid.round_mode).div_(grid.units)
        # Only x 2**f of a number beyond 2**100 steps can be infinite; everything else needs no care.
        if not torch.isfinite(y.sum()).item():
            return quantize.on_grid(ops, x, grid, wrap=wrap)
        if wrap:
            turns = (y / grid.top).floor_().div_(1.0 + grid.k).ceil_()
            y.sub_(turns.mul_(grid.top * (1.0 + grid.k)))
        return y


def _rounded_(y: torch.Tensor, mode: Round) -> torch.Tensor:
    """Rounded in place; for RND the scale is already doubled."""
    return y.floor_().mul_(0.5).ceil_() if mode is Round.RND else y.round_()
