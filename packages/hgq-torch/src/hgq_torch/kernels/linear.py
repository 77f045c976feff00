"""The training step of a contraction over the last axis, bias and ReLU as one autograd node.

The numbers are those of the composed steps, in a fraction of their calls. `LinearFunction` quantizes input, weight and
bias, multiplies, and applies ReLU; its backward pass is in closed form (specification, numbers, section 5). On a
processor a call of a tensor library costs as much as a few thousand numbers, so that the calls are what is saved here:
results are written in place, widths meet the data as powers of two that are already taken, rows are handled in blocks
that stay in the cache. Tests hold it equal to the composed path bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.autograd.function import once_differentiable

from hgq_torch._reduce import rows_of_a_block, summed_to
from hgq_torch.kernels.data import data_grid, put_on_grid
from hgq_torch.kernels.steps import LN2
from hgq_torch.kernels.weights import applied, quantized_weights, weight_gradients

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_torch.kernels.plan import Plan
    from hgq_torch.kernels.weights import Quantizers

__all__ = ["Product"]


@dataclass(frozen=True, slots=True)
class Product:
    """A product with a matrix.

    Attributes:
        kernel: the stored axis at each place of the matrix ``(out, in)``.
    """

    kernel: tuple[int, ...]

    def result(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """Of quantized tensors, the kernel as it is stored."""
        return torch.nn.functional.linear(x, kernel.permute(self.kernel), bias)

    def train(self, plan: Plan, quantizers: Quantizers, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The training step; see `hgq_torch.kernels.weights.applied`."""
        return applied(LinearFunction, plan, self, quantizers, x, weight, bias)


class LinearFunction(torch.autograd.Function):
    """``relu(iq(x) kq(W)^T + bq(b))`` in TRAIN mode; see the module."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        form: Product,
        quantizers: Quantizers,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        kernel_b: Tensor,
        kernel_i: Tensor,
        bias_b: Tensor | None,
        data_f: Tensor,
    ) -> Tensor:
        """The output, with the ranges of input and bias followed."""
        iq = quantizers[0]
        grid = data_grid(x, data_f, iq, plan)
        weights = quantized_weights(plan, quantizers, weight, bias, kernel_b, kernel_i, bias_b)
        wq, kernel, offset, residual = weights
        matrix = wq.permute(form.kernel)
        n_out, n_in = matrix.shape
        transposed = matrix.t()
        xq = torch.empty_like(x, memory_format=torch.contiguous_format) if grid else iq(x).contiguous()
        y = x.new_empty((*x.shape[:-1], n_out))
        rows = rows_of_a_block(x, n_out)
        mode = plan.data.round_mode
        whole = rows >= x.shape[0]
        for x_, xq_, y_ in [(x, xq, y)] if whole else zip(x.split(rows), xq.split(rows), y.split(rows), strict=True):
            if grid:
                put_on_grid(x_, grid, mode, xq_)
            flat, out = (xq_, y_) if x.ndim == 2 else (xq_.view(-1, n_in), y_.view(-1, n_out))
            if offset is None:
                torch.mm(flat, transposed, out=out)
            else:
                torch.addmm(offset, flat, transposed, out=out)
            if plan.relu:
                y_.relu_()
        ctx.save_for_backward(x, xq, y if plan.relu else None, residual, wq, *kernel)
        ctx.plan, ctx.order, ctx.rows = plan, form.kernel, rows
        ctx.shapes = data_f.shape, kernel_b.shape, kernel_i.shape
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Gradients of input, weight, bias and every width."""
        x, xq, y, residual, stored, *kernel = ctx.saved_tensors
        wants_x, wants_f = ctx.needs_input_grad[3], ctx.needs_input_grad[9]
        data_shape, b_shape, i_shape = ctx.shapes
        wq = stored.permute(ctx.order)
        n_out, n_in = wq.shape
        ln2 = LN2[wq.dtype]
        # sum_n gx r = sum_o wq (gy^T r): the input's own gradient is not needed where nobody asks for it.
        through_weight = ctx.plan.by_feature and not wants_x
        gx = None if through_weight else torch.empty_like(xq)
        totals: list[Tensor | None] = [None, None, None]
        gy = grads[0]
        whole = ctx.rows >= x.shape[0]
        for n, g in enumerate([gy] if whole else gy.split(ctx.rows)):
            span = slice(n * ctx.rows, (n + 1) * ctx.rows)
            x_, xq_ = (x, xq) if whole else (x[span], xq[span])
            if y is not None:
                g = torch.ops.aten.threshold_backward(g, y if whole else y[span], 0)  # noqa: PLW2901
            flat = g if g.ndim == 2 else g.reshape(-1, n_out)
            turned = flat.t()
            parts = [torch.mm(turned, xq_.view(-1, n_in)), None if residual is None else flat.sum(0), None]
            if gx is not None:
                gx_ = gx if whole else gx[span]
                torch.mm(flat, wq, out=gx_.view(-1, n_in))
                if wants_f:
                    parts[2] = summed_to(torch.sub(x_, xq_).mul_(gx_), data_shape)
            elif wants_f:
                parts[2] = torch.mm(turned, torch.sub(x_, xq_).view(-1, n_in))
            totals = [
                part if total is None or part is None else total.add_(part)
                for total, part in zip(totals, parts, strict=True)
            ]
        g_weight, g_bias, g_f = totals
        if g_f is not None:
            if through_weight:
                g_f = summed_to(g_f.mul_(wq).sum(0).view((1,) * (x.ndim - 1) + (n_in,)), data_shape)
            g_f = g_f.mul_(ln2)
        # A permutation of two axes is its own inverse.
        total = cast("Tensor", g_weight).permute(ctx.order)
        weights = weight_gradients(total, g_bias, kernel, residual, (b_shape, i_shape))
        return None, None, None, gx if wants_x else None, *weights, g_f
