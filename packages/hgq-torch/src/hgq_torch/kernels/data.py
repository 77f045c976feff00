"""Quantized data in the training step: what to multiply by before rounding and after it."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import torch

from hgq_core.modes import Round
from hgq_torch._ops import power_of_two
from hgq_torch._reduce import check_not_empty, extremes
from hgq_torch.kernels.steps import MINUS_ONE, clamp_, followed, round_, truncate_

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_torch._quantizer import Quantizer
    from hgq_torch.kernels.plan import Plan

__all__ = ["data_grid", "put_on_grid"]


def data_grid(x: Tensor, stored: Tensor, q: Quantizer, plan: Plan) -> tuple[Tensor, Tensor] | None:
    """What to multiply by before rounding and after it, after the input's ``i`` has followed the batch.

    In units of the step, a positive extreme H needs bit_length(H) bits and a negative one L needs bit_length(-L - 1).
    None, with nothing done, if numbers are so huge that they overflow in these units. That is looked for where looking
    waits for nobody, on a processor; on an accelerator such numbers become NaN.
    """
    check_not_empty(x)
    f = torch.round(clamp_(stored, plan.data.fc))
    scale = power_of_two(f)
    step = scale.reciprocal()
    mode = plan.data.round_mode
    if mode is Round.RND:
        scale.add_(scale)
    low, high = extremes(x, plan.axes)
    high, low = round_(high * scale, mode), round_(low * scale, mode)
    units = torch.maximum(high, torch.sub(MINUS_ONE, low))
    if x.device.type == "cpu" and not isfinite(units.sum().item()):
        return None
    i = followed(q.i, torch.frexp(units)[1] - f, plan.data, q)
    # The step is 0 where no bit is left.
    return scale, step.mul_(i.add_(f).add_(q.k).clamp_(0, 1))


def put_on_grid(x: Tensor, grid: tuple[Tensor, Tensor], mode: Round, out: Tensor) -> Tensor:
    """Write x, quantized, to ``out``; the grid is that of `data_grid`."""
    round_(torch.mul(x, grid[0], out=out), mode)
    if mode is Round.TRN:
        truncate_(out, x)
    return out.mul_(grid[1])
