"""The autograd functions: quantization with its closed-form gradients, and whole bits from stored floats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.function import once_differentiable

from hgq_core.modes import Overflow, Round
from hgq_core.quantize import fixed_point, fixed_point_gradients, minifloat, minifloat_gradients
from hgq_torch._ops import TORCH
from hgq_torch._reduce import summed_to

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FixedPointFunction", "MiniFloatFunction", "StoredWidth"]


class StoredWidth(torch.autograd.Function):
    """``rint(clip(width, low, high))``, and the gradient of the identity: whole bits from a stored float."""

    @staticmethod
    def forward(ctx: Any, width: Tensor, low: float, high: float) -> Tensor:  # noqa: ARG004  # the name is expected
        """Whole bits."""
        return torch.round(torch.clamp(width, low, high))

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:  # noqa: ARG004  # by compilers
        """The gradient, unchanged."""
        return grads[0], None, None


class FixedPointFunction(torch.autograd.Function):
    """The core's `fixed_point` with the core's gradients, summed over the elements that share a width."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        k: Tensor,
        i: Tensor,
        f: Tensor,
        round_mode: Round,
        overflow_mode: Overflow,
        wrap: bool,
        noise: Tensor | None,
    ) -> Tensor:
        """``Q(x)``; with noise from U[0, 1) rounding is stochastic, ``floor(x 2**f + u) 2**-f``."""
        dithered, mode = x, round_mode
        if noise is not None:
            dithered, mode = x + noise * TORCH.power_of_two(-f), Round.TRN
        xq = fixed_point(TORCH, dithered, k, i, f, round_mode=mode, overflow_mode=overflow_mode, wrap=wrap)
        ctx.save_for_backward(x, xq, k, i, f)
        ctx.overflow_mode = overflow_mode
        return xq

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """The table of the specification (numbers, section 5)."""
        x, xq, k, i, f = ctx.saved_tensors
        dx, di, df = fixed_point_gradients(TORCH, grads[0], x, xq, k, i, f, overflow_mode=ctx.overflow_mode)
        wants = ctx.needs_input_grad
        return (
            dx if wants[0] else None,
            None,
            summed_to(di, i.shape) if wants[2] and di is not None else None,
            summed_to(df, f.shape) if wants[3] else None,
            *(None,) * 4,
        )


class MiniFloatFunction(torch.autograd.Function):
    """The core's `minifloat` with the core's gradients, summed over the elements that share a width."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, m: Tensor, e: Tensor, e0: Tensor) -> Tensor:
        """The nearest minifloat, ties to even, saturated."""
        xq = minifloat(TORCH, x, m, e, e0)
        ctx.save_for_backward(x, xq, m, e, e0)
        return xq

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """The surrogate gradients of `minifloat_gradients`."""
        x, xq, *widths = ctx.saved_tensors
        dx, *others = minifloat_gradients(TORCH, grads[0], x, xq, *widths)
        summed = (summed_to(other, width.shape) for other, width in zip(others, widths, strict=True))
        return (dx, *summed)
