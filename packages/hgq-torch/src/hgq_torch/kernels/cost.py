"""EBOPs and regularisers of all dense layers of a model as one autograd node.

The same sum as ``beta * layer.ebops() + layer.regularization()`` over the layers, whose gradients are simple: that of
a kernel's bits is beta times the bits of the input that it meets, that of an input's bits beta times the sum of the
kernel bits that meet it, that of a bias' bits beta; the derivative of bits to a stored width is 1 where they are 0 or
more, and 0 below (`hgq_core.cost.counted_bits`). Each regulariser adds its factor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from hgq_torch._quantizer import Quantizer
    from hgq_torch.kernels.plan import CostPlan
    from hgq_torch.nn._base import QModule

__all__ = ["dense_costs"]


def dense_costs(calls: Mapping[QModule, int]) -> tuple[list[Tensor], list[QModule], list[Quantizer]]:
    """The cost terms of the layers that this file covers, each times its number of calls; these layers; their widths.

    A quantizer that two layers share is left to the layers themselves, so that its regulariser counts once.
    """
    groups: dict[CostPlan, list[tuple[Any, ...]]] = {}
    covered: list[QModule] = []
    seen: set[Quantizer] = set()
    for layer, number in calls.items():
        pattern = layer.made.pattern
        if pattern is None or not layer.enable_ebops:
            continue
        iq, kq, bq = pattern.quantizers(layer)
        plan = pattern.plan
        if plan is None or plan.cost is None or not plan.holds(iq, kq, bq):
            continue
        mine = {q for q in (iq, kq, bq) if q is not None}
        if mine & seen:
            continue
        seen |= mine
        covered.append(layer)
        beta = layer.beta if number == 1 else layer.beta * number
        groups.setdefault(plan.cost, []).append((beta, iq, kq, bq))
    return [_cost(plan, members) for plan, members in groups.items()], covered, list(seen)


def _cost(plan: CostPlan, members: list[tuple[Any, ...]]) -> Tensor:
    betas, data, kernels, biases = zip(*members, strict=True)
    widths = [kq.b for kq in kernels] + [iq.f for iq in data]
    if plan.bias is not None:
        widths += [bq.b for bq in biases]
    return cast("Tensor", DenseCost.apply(plan, (betas, [iq.i for iq in data]), *widths))


class DenseCost(torch.autograd.Function):
    """``sum of beta (kernel bits . input bits + bias bits) + l1 sum(widths)`` over the layers of a plan."""

    @staticmethod
    def forward(
        ctx: Any, plan: CostPlan, buffers: tuple[Sequence[Tensor], Sequence[Tensor]], *widths: Tensor
    ) -> Tensor:
        """The sum, of shape ``()``."""
        betas, data_i = buffers
        n = len(betas)
        kernels, data, biases = widths[:n], widths[n : 2 * n], widths[2 * n :]
        stored = torch.cat([kernel.view(-1) for kernel in kernels])
        bits = plan.kernel.bits(stored)
        by_layer = [
            part.view(k.shape) for part, k in zip(bits.split([k.numel() for k in kernels]), kernels, strict=True)
        ]
        columns = [part.sum(0) for part in by_layer]
        stored_f = torch.cat(data, 1).view(-1)
        whole_i = torch.cat(tuple(data_i), 1).view(-1).clamp(plan.data_i.low, plan.data_i.high).round_()
        data_bits = plan.data.bits(stored_f).add_(whole_i)
        counted = data_bits.ge(0)
        by_input = data_bits.clamp_(min=0).split([f.shape[1] for f in data])
        costs = torch.stack([torch.dot(c, d) for c, d in zip(columns, by_input, strict=True)])
        beta = torch.stack(tuple(betas))
        stored_b = None
        if plan.bias is not None:
            stored_b = torch.cat(biases)
            bias_bits = plan.bias.bits(stored_b)
            costs += torch.stack([part.sum() for part in bias_bits.split([b.shape[0] for b in biases])])
        loss = torch.add(torch.dot(costs, beta), stored.sum(), alpha=plan.kernel.l1)
        loss = torch.add(loss, stored_f.sum(), alpha=plan.data.l1)
        if plan.bias is not None and stored_b is not None:
            loss = torch.add(loss, stored_b.sum(), alpha=plan.bias.l1)
        ctx.save_for_backward(beta, counted, *columns, *by_input)
        ctx.plan, ctx.n = plan, n
        ctx.shapes = [kernel.shape for kernel in kernels], [bias.shape for bias in biases]
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """The gradients to the stored widths."""
        beta, counted, *saved = ctx.saved_tensors
        n, plan = ctx.n, ctx.plan
        columns, by_input = saved[:n], saved[n:]
        kernel_shapes, bias_shapes = ctx.shapes
        each = (beta * grads[0]).unbind()
        kernels = [
            torch.add(bits * factor, grads[0], alpha=plan.kernel.l1).expand(shape).contiguous()
            for shape, bits, factor in zip(kernel_shapes, by_input, each, strict=True)
        ]
        g_data = torch.cat([column * factor for column, factor in zip(columns, each, strict=True)]).mul_(counted)
        g_data = torch.add(g_data, grads[0], alpha=plan.data.l1)
        data = [part.view(1, -1) for part in g_data.split([bits.shape[0] for bits in by_input])]
        biases: list[Tensor] = []
        if bias_shapes:
            biases = [
                torch.add(factor, grads[0], alpha=plan.bias.l1).expand(shape).contiguous()
                for shape, factor in zip(bias_shapes, each, strict=True)
            ]
        return (None, None, *kernels, *data, *biases)
