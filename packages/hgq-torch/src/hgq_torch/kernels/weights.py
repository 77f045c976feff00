"""Kernel and bias of a chain in its training step, whatever it computes with them: call, values, gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hgq_torch.kernels.bias import quantized_bias
from hgq_torch.kernels.kernel import kernel_gradients, quantized_kernel
from hgq_torch.kernels.steps import LN2

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

    from hgq_torch._quantizer import Quantizer
    from hgq_torch.kernels.plan import Plan

    Quantizers = tuple[Quantizer, Quantizer, Quantizer | None]

__all__ = ["applied", "quantized_weights", "weight_gradients"]


def applied(
    function: type[torch.autograd.Function],
    plan: Plan,
    form: object,
    quantizers: Quantizers,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """The result of a chain as one autograd node, in TRAIN mode, of widths that are all trained.

    Args:
        function: the node.
        plan: for the quantizers.
        form: what is computed, in PyTorch's layouts.
        quantizers: of input, weight and bias.
        x: the input.
        weight: as it is stored.
        bias: as it is stored.
    """
    iq, kq, bq = quantizers
    bias_b = None if bq is None else bq.b
    result: Any = function.apply(plan, form, quantizers, x, weight, bias, kq.b, kq.i, bias_b, iq.f)
    return cast("Tensor", result)


def quantized_weights(
    plan: Plan,
    quantizers: Quantizers,
    weight: Tensor,
    bias: Tensor | None,
    kernel_b: Tensor,
    kernel_i: Tensor,
    bias_b: Tensor | None,
) -> tuple[Tensor, Sequence[Tensor], Tensor | None, Tensor | None]:
    """The quantized weight as it is stored, what its gradients need, the quantized bias, and what that lost."""
    _, kq, bq = quantizers
    wq, *kernel = quantized_kernel(weight, kernel_b, kernel_i, kq.k, plan.kernel)
    if bias is None or bias_b is None or bq is None or plan.bias is None:
        return wq, kernel, None, None
    offset = quantized_bias(bias, bias_b, bq, plan.bias)
    return wq, kernel, offset, bias - offset


def weight_gradients(
    total: Tensor,
    g_bias: Tensor | None,
    kernel: Sequence[Tensor],
    residual: Tensor | None,
    shapes: tuple[torch.Size, torch.Size],
) -> tuple[Tensor, Tensor | None, Tensor, Tensor, Tensor | None]:
    """Gradients of weight, bias, the weight's b and i, and the bias' b.

    Args:
        total: gradient of the quantized weight as it is stored.
        g_bias: that of the quantized bias; not used without one.
        kernel: see `quantized_weights`.
        residual: what the bias lost; None without one.
        shapes: of the weight's b and i.
    """
    g_weight, g_b, g_i = kernel_gradients(total, kernel, *shapes)
    if residual is None or g_bias is None:
        return g_weight, None, g_b, g_i, None
    return g_weight, g_bias, g_b, g_i, (residual * g_bias).mul_(LN2[residual.dtype])
