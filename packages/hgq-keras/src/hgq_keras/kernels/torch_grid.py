"""The body of the fixed-point quantizer on PyTorch, eager on a CPU: each step in the memory of the step before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_core import quantize
from hgq_core.modes import Overflow, Round
from hgq_keras.kernels.torch_blocks import blocks

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
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        # Blocks of rows, where all rows have the same widths.
        shared = grid.scale.ndim == x.ndim and grid.scale.shape[0] == 1
        total = sum(_one_on_grid(x_, y_, grid, wrap=wrap) for x_, y_ in (blocks(x, y) if shared else [(x, y)]))
        # Only x 2**f of a number beyond 2**100 steps can be infinite; everything else needs no care.
        if isinstance(total, torch.Tensor) and not torch.isfinite(total).item():
            return quantize.on_grid(ops, x, grid, wrap=wrap)
        return y


def _one_on_grid(x: torch.Tensor, y: torch.Tensor, grid: Grid, *, wrap: bool) -> torch.Tensor | float:
    """Write x on its grid to y; returns what is not finite if something overflowed."""
    if grid.overflow_mode is not Overflow.WRAP:
        torch.clamp(x, grid.lowest, grid.highest, out=y)
        _rounded_(y.mul_(grid.scale), grid.round_mode).div_(grid.units)
        return 0.0
    torch.mul(x, grid.scale, out=y)
    _rounded_(y, grid.round_mode).div_(grid.units)
    total = y.sum()
    if wrap:
        turns = (y / grid.top).floor_().div_(1.0 + grid.k).ceil_()
        y.sub_(turns.mul_(grid.top * (1.0 + grid.k)))
    return total


def _rounded_(y: torch.Tensor, mode: Round) -> torch.Tensor:
    """Rounded in place; for RND the scale is already doubled."""
    return y.floor_().mul_(0.5).ceil_() if mode is Round.RND else y.round_()
