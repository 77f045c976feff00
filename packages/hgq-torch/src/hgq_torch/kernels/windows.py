"""The training step of a convolution, bias and ReLU as one autograd node; see `linear`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.autograd.function import once_differentiable

from hgq_core.modes import Round
from hgq_torch._reduce import summed_to
from hgq_torch.kernels.bias import quantized_bias
from hgq_torch.kernels.data import data_grid
from hgq_torch.kernels.kernel import kernel_gradients, quantized_kernel
from hgq_torch.kernels.steps import LN2, round_, truncate_

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.linear import Convolve
    from hgq_torch._quantizer import Quantizer
    from hgq_torch.kernels.plan import Plan

__all__ = ["Windows", "fused_windows"]


@dataclass(frozen=True, slots=True)
class Windows:
    """A convolution in PyTorch's layout.

    Attributes:
        operation: of the program.
        data: the axis of the quantized data at each place of ``(batch, channels, *spatial)``.
        kernel: the stored axis at each place of ``(channels out, channels in / groups, *window)``.
    """

    operation: Convolve
    data: tuple[int, ...]
    kernel: tuple[int, ...]

    def pads(self) -> list[int]:
        """For `torch.nn.functional.pad`."""
        return [n for pair in reversed(self.operation.pads) for n in pair]

    def arguments(self) -> dict[str, Any]:
        """Of a convolution of padded data."""
        op = self.operation
        return {"stride": op.strides, "dilation": op.dilation, "groups": op.groups}

    def padded(self, x: Tensor) -> Tensor:
        """The quantized data, channels first, with zeros around them."""
        first = x.permute(self.data)
        return torch.nn.functional.pad(first, self.pads()) if any(self.pads()) else first.contiguous()

    def result(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """Of quantized tensors, the kernel as it is stored; channels last."""
        return self.convolve(x, kernel, bias).movedim(1, -1)

    def convolve(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """The same, channels first."""
        function = _CONVOLUTION[len(self.operation.strides)]
        result: Tensor = function(self.padded(x), kernel.permute(self.kernel), bias, **self.arguments())
        return result

    def gradient_of_data(self, padded: Tensor) -> Tensor:
        """The gradient of the quantized data, in their layout, of that of `padded`."""
        cut = (slice(a, n - b) for n, (a, b) in zip(padded.shape[2:], self.operation.pads, strict=True))
        return padded[(slice(None), slice(None), *cut)].permute(_inverse(self.data))


_CONVOLUTION: dict[int, Any] = {
    1: torch.nn.functional.conv1d,
    2: torch.nn.functional.conv2d,
    3: torch.nn.functional.conv3d,
}


def _inverse(order: tuple[int, ...]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


class WindowsFunction(torch.autograd.Function):
    """``relu(convolve(iq(x), kq(W)) + bq(b))`` in TRAIN mode."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        windows: Windows,
        quantizers: tuple[Quantizer, Quantizer, Quantizer | None],
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        kernel_b: Tensor,
        kernel_i: Tensor,
        bias_b: Tensor | None,
        data_f: Tensor,
    ) -> Tensor:
        """The output, channels first, with the ranges of input and bias followed."""
        iq, kq, bq = quantizers
        grid = data_grid(x, data_f, iq, plan)
        wq, *kernel = quantized_kernel(weight, kernel_b, kernel_i, kq.k, plan.kernel)
        offset = None
        if bias is not None and bias_b is not None and bq is not None and plan.bias is not None:
            offset = quantized_bias(bias, bias_b, bq, plan.bias)
        xq = _on_grid(x, grid, plan.data.round_mode) if grid else iq(x)
        y = windows.convolve(xq, wq, offset)
        if plan.relu:
            y.relu_()
        residual = None if offset is None or bias is None else bias - offset
        ctx.save_for_backward(x, xq, y if plan.relu else None, residual, wq, *kernel)
        ctx.windows = windows
        ctx.shapes = data_f.shape, kernel_b.shape, kernel_i.shape
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Gradients of input, weight, bias and every width."""
        x, xq, y, residual, stored, *kernel = ctx.saved_tensors
        data_shape, b_shape, i_shape = ctx.shapes
        windows: Windows = ctx.windows
        g = grads[0] if y is None else torch.ops.aten.threshold_backward(grads[0], y, 0)
        wq, op = stored.permute(windows.kernel), windows.operation
        rank = len(op.strides)
        wants_x, wants_f = ctx.needs_input_grad[3], ctx.needs_input_grad[9]
        mask = [wants_x or wants_f, True, residual is not None]
        g_padded, g_weight, g_bias = torch.ops.aten.convolution_backward(
            g.contiguous(), windows.padded(xq), wq, [wq.shape[0]], op.strides, [0] * rank, op.dilation,
            False, [0] * rank, op.groups, mask,
        )  # fmt: skip
        ln2 = LN2[stored.dtype]
        gx = g_f = None
        if mask[0]:
            gx = windows.gradient_of_data(g_padded)
            g_f = summed_to((x - xq).mul_(gx), data_shape).mul_(ln2) if wants_f else None
        total = g_weight.permute(_inverse(windows.kernel))
        weights = kernel_gradients(total, kernel, b_shape, i_shape)
        g_bias_b = None if residual is None else (residual * g_bias).mul_(ln2)
        given_bias = g_bias if residual is not None else None
        return None, None, None, gx if wants_x else None, weights[0], given_bias, *weights[1:], g_bias_b, g_f


def _on_grid(x: Tensor, grid: tuple[Tensor, Tensor], mode: Round) -> Tensor:
    xq = round_(x * grid[0], mode)
    if mode is Round.TRN:
        truncate_(xq, x)
    return xq.mul_(grid[1])


def fused_windows(
    plan: Plan,
    windows: Windows,
    quantizers: tuple[Quantizer, Quantizer, Quantizer | None],
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """``relu(convolve(iq(x), kq(W)) + bq(b))`` in TRAIN mode, of widths that are all trained; channels first.

    Args:
        plan: for the quantizers.
        windows: the convolution.
        quantizers: of input, weight and bias.
        x: the input.
        weight: as it is stored.
        bias: as it is stored.
    """
    iq, kq, bq = quantizers
    bias_b = None if bq is None else bq.b
    result = WindowsFunction.apply(plan, windows, quantizers, x, weight, bias, kq.b, kq.i, bias_b, iq.f)
    return cast("Tensor", result)
