"""EBOPs and regularisers of all dense layers of a model as one autograd node.

The same sum as ``beta * layer.ebops() + layer.regularization()`` over the layers, whose gradients are simple: that of
a kernel's bits is beta times the bits of the input that it meets, that of an input's bits beta times the sum of the
kernel bits that meet it, that of a bias' bits beta; halved where the bits are 0, as the derivative of ``max(bits, 0)``
is there. Each regulariser adds its factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.autograd.function import once_differentiable

from hgq_torch.nn._linear import QLinear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from hgq_core.spec import Bounds
    from hgq_torch.nn._base import QModule

__all__ = ["dense_costs"]


@dataclass(frozen=True, slots=True)
class _Width:
    """Bounds and regulariser of one kind of width, in all layers of a group."""

    bounds: Bounds
    l1: float

    def bits(self, stored: Tensor) -> Tensor:
        """Whole bits, in memory of their own."""
        return stored.clamp(self.bounds.low, self.bounds.high).round_()

    def add_to(self, loss: Tensor, stored: Tensor) -> Tensor:
        """The loss with the regulariser of these widths."""
        return torch.add(loss, stored.sum(), alpha=self.l1) if self.l1 else loss


@dataclass(frozen=True, slots=True)
class _Group:
    """What the layers that are summed in one node have in common."""

    kernel: _Width
    data: _Width
    data_i: Bounds
    bias: _Width | None


def dense_costs(layers: Sequence[QModule]) -> tuple[list[Tensor], list[QModule]]:
    """The cost terms of the layers that this file covers, and these layers."""
    groups: dict[_Group, list[QLinear]] = {}
    for layer in layers:
        group = _group_of(layer)
        if group is not None:
            groups.setdefault(group, []).append(cast("QLinear", layer))
    covered: list[QModule] = [layer for members in groups.values() for layer in members]
    return [_cost(group, members) for group, members in groups.items()], covered


def _group_of(layer: QModule) -> _Group | None:
    """The group of a layer with the default specifications, data of one axis and one width per number; else None."""
    if not isinstance(layer, QLinear) or layer.plan is None or not layer.enable_ebops or len(layer.input_shape) != 1:
        return None
    iq, kq, bq, plan = layer.iq, layer.kq, layer.bq, layer.plan
    if iq is None or kq.b.shape != layer.weight.shape or iq.f.shape != (1, layer.in_features):
        return None
    factors = [plan.kernel.br, plan.data.fr, *([] if plan.bias is None else [plan.bias.br])]
    if any(callable(factor) for factor in factors) or plan.kernel.ir:
        return None
    return _Group(
        _Width(kq.bounds["b"], plan.kernel.br or 0.0),
        _Width(iq.bounds["f"], plan.data.fr or 0.0),
        iq.bounds["i"],
        None if bq is None or plan.bias is None else _Width(bq.bounds["b"], plan.bias.br or 0.0),
    )


def _cost(group: _Group, layers: list[QLinear]) -> Tensor:
    data = [cast("Any", layer.iq) for layer in layers]
    buffers = ([layer.beta for layer in layers], [iq.i for iq in data])
    widths = [layer.kq.b for layer in layers] + [iq.f for iq in data]
    if group.bias is not None:
        widths += [cast("Any", layer.bq).b for layer in layers]
    return cast("Tensor", DenseCost.apply(group, buffers, *widths))


class DenseCost(torch.autograd.Function):
    """``sum of beta (kernel bits . input bits + bias bits) + l1 sum(widths)`` over the layers of a group."""

    @staticmethod
    def forward(ctx: Any, group: _Group, buffers: tuple[list[Tensor], list[Tensor]], *widths: Tensor) -> Tensor:
        """The sum, of shape ``()``."""
        betas, data_i = buffers
        n = len(betas)
        kernels, data, biases = widths[:n], widths[n : 2 * n], widths[2 * n :]
        stored = torch.cat([kernel.view(-1) for kernel in kernels])
        bits = group.kernel.bits(stored)
        by_layer = [
            part.view(k.shape) for part, k in zip(bits.split([k.numel() for k in kernels]), kernels, strict=True)
        ]
        columns = [part.sum(0) for part in by_layer]
        stored_f = torch.cat(data, 1).view(-1)
        whole_i = torch.cat(data_i, 1).view(-1).clamp(group.data_i.low, group.data_i.high).round_()
        data_bits = group.data.bits(stored_f).add_(whole_i)
        alive = data_bits.sign().add_(1.0).clamp_(min=0)
        by_input = data_bits.clamp_(min=0).split([f.shape[1] for f in data])
        costs = torch.stack([torch.dot(c, d) for c, d in zip(columns, by_input, strict=True)])
        beta = torch.stack(betas)
        stored_b, bias_bits = None, None
        if group.bias is not None:
            stored_b = torch.cat(biases)
            bias_bits = group.bias.bits(stored_b)
            costs += torch.stack([part.sum() for part in bias_bits.split([b.shape[0] for b in biases])])
            bias_bits.sign_().add_(1.0)
        loss = group.kernel.add_to(torch.dot(costs, beta), stored)
        loss = group.data.add_to(loss, stored_f)
        if group.bias is not None and stored_b is not None:
            loss = group.bias.add_to(loss, stored_b)
        bits.sign_().add_(1.0)
        ctx.save_for_backward(beta, alive, bias_bits, *by_layer, *columns, *by_input)
        ctx.group, ctx.n = group, n
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """The gradients to the stored widths; `alive` and its like are 2 for positive bits and 1 for none."""
        beta, alive, alive_bias, *saved = ctx.saved_tensors
        n, group = ctx.n, ctx.group
        by_layer, columns, by_input = saved[:n], saved[n : 2 * n], saved[2 * n :]
        each = (beta * grads[0]).mul_(0.5).unbind()
        kernels = [
            torch.addcmul(grads[0] * group.kernel.l1, kept, bits * half)
            for kept, bits, half in zip(by_layer, by_input, each, strict=True)
        ]
        g_data = torch.cat([column * half for column, half in zip(columns, each, strict=True)]).mul_(alive)
        g_data = torch.add(g_data, grads[0], alpha=group.data.l1)
        data = [part.view(1, -1) for part in g_data.split([bits.shape[0] for bits in by_input])]
        biases: list[Tensor] = []
        if alive_bias is not None:
            parts = alive_bias.split([kept.shape[0] for kept in by_layer])
            biases = [
                torch.add(part * half, grads[0], alpha=group.bias.l1) for part, half in zip(parts, each, strict=True)
            ]
        return (None, None, *kernels, *data, *biases)
