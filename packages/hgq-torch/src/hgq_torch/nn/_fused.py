"""The training step of a dense layer as one autograd node: the numbers of the composed path in a fraction of its calls.

`LinearFunction` quantizes input, weight and bias, multiplies, and applies ReLU; its backward pass is in closed form
(specification, numbers, section 5). On a processor a call of a tensor library costs as much as a few thousand numbers,
so that the calls are what is saved here: results are written in place, widths meet the data as powers of two that are
already taken, rows are handled in blocks that stay in the cache. Tests hold it equal to the composed path bit for bit.
"""

from __future__ import annotations

from math import inf, isfinite, log
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.autograd.function import once_differentiable

from hgq_core.modes import Round
from hgq_core.ops import EMPTY
from hgq_torch._range import TRACKER
from hgq_torch._reduce import check_not_empty, extremes, rows_of_a_block, summed_to
from hgq_torch.ops import power_of_two

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.spec import KBI, KIF, Bounds
    from hgq_torch.nn._linear import QLinear
    from hgq_torch.nn._plan import Plan
    from hgq_torch.quantizer import Quantizer

__all__ = ["fused_step"]

# Numbers as tensors: PyTorch converts a Python number to a tensor on every call, which costs as much as the operation.
_ZERO, _QUARTER, _HALF, _ONE, _MINUS_ONE = (torch.tensor(n) for n in (0.0, 0.25, 0.5, 1.0, -1.0))
_LN2 = {dtype: torch.tensor(log(2.0), dtype=dtype) for dtype in (torch.float32, torch.float64)}


def _clamp_(width: Tensor, bounds: Bounds | None) -> Tensor:
    """The stored width, moved into its bounds."""
    if bounds is not None and (bounds.low > -inf or bounds.high < inf):
        width.clamp_(bounds.low, bounds.high)
    return width


def _round_(y: Tensor, mode: Round) -> Tensor:
    """Round in place; y is twice the number for RND."""
    if mode is Round.RND:
        y.floor_()
        return y.sub_(y, alpha=0.5).ceil_()
    return y.floor_() if mode is Round.TRN else y.round_()


def _truncate_(y: Tensor, x: Tensor) -> Tensor:
    """TRN of x below 0 is at most -1, also where x in units of the step is so small that it became 0."""
    return y.masked_fill_(y.eq(_ZERO).logical_and_(x.lt(_ZERO)), _MINUS_ONE)


def _followed(i: Tensor, needed: Tensor, spec: KIF | KBI, q: Quantizer) -> Tensor:
    """Store what the batch needs, down by at most ``i_decay_speed`` a step; returns whole bits."""
    q.reduce_max(needed)
    # The forward pass that activation checkpointing repeats is not another step.
    torch.maximum(i if TRACKER.is_bw else i.sub_(_ONE, alpha=spec.i_decay_speed), needed, out=i)
    return torch.round(_clamp_(i, spec.ic))


def _data_grid(x: Tensor, stored: Tensor, q: Quantizer, plan: Plan) -> tuple[Tensor, Tensor] | None:
    """What to multiply by before rounding and after it, after the input's ``i`` has followed the batch.

    In units of the step, a positive extreme H needs bit_length(H) bits and a negative one L needs bit_length(-L - 1).
    None, with nothing done, if numbers are so huge that they overflow in these units. That is looked for where looking
    waits for nobody, on a processor; on an accelerator such numbers become NaN.
    """
    check_not_empty(x)
    f = torch.round(_clamp_(stored, plan.data.fc))
    scale = power_of_two(f)
    step = scale.reciprocal()
    mode = plan.data.round_mode
    if mode is Round.RND:
        scale.add_(scale)
    low, high = extremes(x, plan.axes)
    high, low = _round_(high * scale, mode), _round_(low * scale, mode)
    units = torch.maximum(high, torch.sub(_MINUS_ONE, low))
    if x.device.type == "cpu" and not isfinite(units.sum().item()):
        return None
    i = _followed(q.i, torch.frexp(units)[1] - f, plan.data, q)
    # The step is 0 where no bit is left.
    return scale, step.mul_(i.add_(f).add_(q.k).clamp_(0, 1))


def _quantized_bias(x: Tensor, stored: Tensor, q: Quantizer, spec: KBI) -> Tensor:
    """A bias with one width per element, rounded by RND, after its ``i`` has followed it.

    With ``x = m 2**e`` and ``B = 2**b`` the candidates for i are e - 1, e and e + 1: a positive ``m B`` needs one bit
    more if it rounds to B, a negative one needs one bit less if its double rounds to -B. Zero needs `EMPTY`.
    """
    b = torch.round(_clamp_(stored, spec.bc))
    mantissa, exponent = torch.frexp(x)
    span = power_of_two(b)
    v = mantissa * span
    fits = v.add(span, alpha=0.5).abs_().le_(_QUARTER)
    needed = span.sub_(_HALF).le_(v).sub_(fits).sub_(mantissa.eq_(_ZERO), alpha=-EMPTY).add_(exponent)
    scale = power_of_two(b - _followed(q.i, needed, spec, q))
    y = x * scale
    return _round_(y.add_(y), Round.RND).div_(scale).mul_(b.add_(q.k).clamp_(0, 1))


def _quantized_kernel(
    w: Tensor, stored_b: Tensor, stored_i: Tensor, k: Tensor, spec: KBI
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The weight in SAT_SYM, where it is not clipped, its scale, and the factors of its gradients in units of the step.

    With ``u = w 2**f`` and ``L = 2**b - 1``, over ln2: ``db = u - uq = -di`` inside the range, and ``db = ±1, di = ±L``
    where clipped.
    """
    b, i = torch.round(_clamp_(stored_b, spec.bc)), torch.round(_clamp_(stored_i, spec.ic))
    limit = power_of_two(b).sub_(_ONE)
    scale = power_of_two(b.sub_(i))
    sign = -k
    u = w * scale
    clipped = torch.clamp(u, limit * sign, limit)
    inside = clipped == u
    uq = _round_(clipped + clipped if spec.round_mode is Round.RND else clipped.clone(), spec.round_mode)
    if spec.round_mode is Round.TRN:
        _truncate_(uq, torch.maximum(w, limit * sign))
    side = torch.maximum(u.sub_(clipped).sign_(), sign)
    residual = clipped.sub_(uq)
    return uq.div_(scale), inside, scale, residual + side, side.mul_(limit).sub_(residual)


class LinearFunction(torch.autograd.Function):
    """``relu(iq(x) kq(W)^T + bq(b))`` in TRAIN mode; see the module."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        quantizers: tuple[Quantizer, Quantizer, Quantizer | None],
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        kernel_b: Tensor,
        kernel_i: Tensor,
        bias_b: Tensor | None,
        data_f: Tensor,
    ) -> Tensor:
        """The output, with the ranges of input and bias followed."""
        iq, kq, bq = quantizers
        grid = _data_grid(x, data_f, iq, plan)
        wq, *kernel = _quantized_kernel(weight, kernel_b, kernel_i, kq.k, plan.kernel)
        offset = None
        if bias is not None and bias_b is not None and bq is not None and plan.bias is not None:
            offset = _quantized_bias(bias, bias_b, bq, plan.bias)
        n_out, n_in = wq.shape
        transposed = wq.t()
        xq = torch.empty_like(x, memory_format=torch.contiguous_format) if grid else iq(x).contiguous()
        y = x.new_empty((*x.shape[:-1], n_out))
        rows = rows_of_a_block(x, n_out)
        mode = plan.data.round_mode
        whole = rows >= x.shape[0]
        for x_, xq_, y_ in [(x, xq, y)] if whole else zip(x.split(rows), xq.split(rows), y.split(rows), strict=True):
            if grid:
                torch.mul(x_, grid[0], out=xq_)
                _round_(xq_, mode)
                if mode is Round.TRN:
                    _truncate_(xq_, x_)
                xq_.mul_(grid[1])
            flat, out = (xq_, y_) if x.ndim == 2 else (xq_.view(-1, n_in), y_.view(-1, n_out))
            if offset is None:
                torch.mm(flat, transposed, out=out)
            else:
                torch.addmm(offset, flat, transposed, out=out)
            if plan.relu:
                y_.relu_()
        residual = None if offset is None or bias is None else bias - offset
        ctx.save_for_backward(x, xq, y if plan.relu else None, residual, wq, *kernel)
        ctx.plan, ctx.rows = plan, rows
        ctx.shapes = data_f.shape, kernel_b.shape, kernel_i.shape
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Gradients of input, weight, bias and every width."""
        x, xq, y, residual, wq, inside, scale, db, di = ctx.saved_tensors
        wants_x, wants_f = ctx.needs_input_grad[2], ctx.needs_input_grad[8]
        data_shape, b_shape, i_shape = ctx.shapes
        n_out, n_in = wq.shape
        ln2 = _LN2[wq.dtype]
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
        total_weight = cast("Tensor", g_weight)
        scaled = (total_weight / scale).mul_(ln2)
        return (
            None,
            None,
            gx if wants_x else None,
            total_weight * inside,
            g_bias,
            summed_to(db * scaled, b_shape),
            summed_to(di * scaled, i_shape),
            None if g_bias is None else (residual * g_bias).mul_(ln2),
            g_f,
        )


def fused_step(
    layer: QLinear, plan: Plan, quantizers: tuple[Quantizer, Quantizer, Quantizer | None], x: Tensor
) -> Tensor | None:
    """The layer's output in TRAIN mode, without the output quantizer; quantizers are those of input, weight, bias.

    None where widths are not trained, as a quantizer then acts as at inference.
    """
    iq, kq, bq = quantizers
    bias, bias_b = (None, None) if bq is None else (layer.bias, bq.b)
    data_f, kernel_b, kernel_i = iq.f, kq.b, kq.i
    trained = data_f.requires_grad and (kernel_b.requires_grad or kernel_i.requires_grad)
    if not trained or (bias_b is not None and not bias_b.requires_grad):
        return None
    result = LinearFunction.apply(plan, quantizers, x, layer.weight, bias, kernel_b, kernel_i, bias_b, data_f)
    return cast("Tensor", result)
