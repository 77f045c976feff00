"""The training step of a convolution, bias and ReLU as one autograd node; see `linear`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.function import once_differentiable

from hgq_torch._ops import CONVOLUTION
from hgq_torch._reduce import summed_to
from hgq_torch.kernels.data import data_grid, put_on_grid
from hgq_torch.kernels.steps import LN2
from hgq_torch.kernels.weights import applied, quantized_weights, weight_gradients

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.linear import Convolve
    from hgq_torch.kernels.plan import Plan
    from hgq_torch.kernels.weights import Quantizers

__all__ = ["Windows"]


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

    def padded(self, x: Tensor) -> Tensor:
        """The quantized data, channels first, with zeros around them."""
        first = x.permute(self.data)
        return torch.nn.functional.pad(first, self.pads()) if any(self.pads()) else first.contiguous()

    def result(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """Of quantized tensors, the kernel as it is stored; channels last."""
        return self.convolve(x, kernel, bias).movedim(1, -1)

    def train(self, plan: Plan, quantizers: Quantizers, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The training step, channels last; see `hgq_torch.kernels.weights.applied`."""
        return applied(WindowsFunction, plan, self, quantizers, x, weight, bias).movedim(1, -1)

    def convolve(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """The same, channels first."""
        op = self.operation
        function = CONVOLUTION[len(op.strides)]
        sizes: dict[str, Any] = {"stride": op.strides, "dilation": op.dilation, "groups": op.groups}
        result: Tensor = function(self.padded(x), kernel.permute(self.kernel), bias, **sizes)
        return result

    def gradient_of_data(self, padded: Tensor) -> Tensor:
        """The gradient of the quantized data, in their layout, of that of `padded`."""
        cut = (slice(a, n - b) for n, (a, b) in zip(padded.shape[2:], self.operation.pads, strict=True))
        return padded[(slice(None), slice(None), *cut)].permute(_inverse(self.data))


def _inverse(order: tuple[int, ...]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


class WindowsFunction(torch.autograd.Function):
    """``relu(convolve(iq(x), kq(W)) + bq(b))`` in TRAIN mode."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        form: Windows,
        quantizers: Quantizers,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        kernel_b: Tensor,
        kernel_i: Tensor,
        bias_b: Tensor | None,
        data_f: Tensor,
    ) -> Tensor:
        """The output, channels first, with the ranges of input and bias followed."""
        iq = quantizers[0]
        grid = data_grid(x, data_f, iq, plan)
        weights = quantized_weights(plan, quantizers, weight, bias, kernel_b, kernel_i, bias_b)
        wq, kernel, offset, residual = weights
        xq = put_on_grid(x, grid, plan.data.round_mode, torch.empty_like(x)) if grid else iq(x)
        y = form.convolve(xq, wq, offset)
        if plan.relu:
            y.relu_()
        ctx.save_for_backward(x, xq, y if plan.relu else None, residual, wq, *kernel)
        ctx.windows = form
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
        gx = g_f = None
        if mask[0]:
            gx = windows.gradient_of_data(g_padded)
            g_f = summed_to((x - xq).mul_(gx), data_shape).mul_(LN2[xq.dtype]) if wants_f else None
        total = g_weight.permute(_inverse(windows.kernel))
        weights = weight_gradients(total, g_bias, kernel, residual, (b_shape, i_shape))
        return None, None, None, gx if wants_x else None, *weights, g_f
