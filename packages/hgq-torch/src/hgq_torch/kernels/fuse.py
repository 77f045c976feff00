"""Patterns of steps that run as one step, in training as one autograd node, wherever they stand in a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from hgq_core.graph.ops import Add, Contract, Convolve
from hgq_core.layers import Values, attribute_of
from hgq_core.layers.patterns import Chain, joined
from hgq_core.layers.steps import Feed, Quantized, Step
from hgq_torch._ops import TORCH
from hgq_torch._slots import ModuleSlots
from hgq_torch.kernels.linear import Product
from hgq_torch.kernels.plan import Plan, plan_of
from hgq_torch.kernels.windows import Windows

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.layers import Program
    from hgq_torch._quantizer import Quantizer
    from hgq_torch._slots import Layout, Turn
    from hgq_torch.nn._base import QModule

__all__ = ["FusedValues", "Pattern", "fused", "sole_pattern"]


@dataclass(eq=False)
class Pattern:
    """Quantized data, their product or convolution with a quantized kernel, a quantized bias, and ReLU: one step.

    Attributes:
        names: attributes of the quantizers of data, kernel and bias, the last one None without bias.
        weights: attributes of kernel and bias.
        relu: whether a ReLU is the last step.
        features: sizes of input and output.
        form: what is computed.
        plan: for the quantizers that were there last; None if they are no such ones.
    """

    names: tuple[str, str, str | None]
    weights: tuple[str, str | None]
    relu: bool
    features: tuple[int, int]
    form: Product | Windows
    plan: Plan | None = None

    def quantizers(self, module: QModule) -> tuple[Quantizer, Quantizer, Quantizer | None]:
        """Those of data, kernel and bias."""
        inside: dict[str, Any] = module._modules
        iq, kq, bq = self.names
        return inside[iq], inside[kq], None if bq is None else inside[bq]

    def read_plan(self, module: QModule) -> Plan | None:
        """Take the plan for the present quantizers."""
        of_rows = isinstance(self.form, Product) and self.form.kernel == (0, 1)
        self.plan = plan_of(*self.quantizers(module), relu=self.relu, features=self.features, counts=of_rows)
        return self.plan

    def step(self, module: QModule, x: Tensor) -> Tensor:
        """The result: in training as one autograd node, where the quantizers are those of the plan."""
        quantizers = self.quantizers(module)
        kernel, bias = self.weights
        w: Tensor = getattr(module, kernel)
        b: Tensor | None = None if bias is None else getattr(module, bias)
        # A compiler fuses the steps itself.
        if module.training and self.plan is not None and not torch.compiler.is_compiling():
            plan = self.plan if self.plan.holds(*quantizers) else self.read_plan(module)
            if plan is not None and _train(*quantizers):
                return self.form.train(plan, quantizers, x, w, b)
        iq, kq, bq = quantizers
        offset = None if bq is None or b is None else bq.weight_at_hand(b)
        y = self.form.result(iq(x), kq.weight_at_hand(w), offset)
        return torch.relu(y) if self.relu else y


def _train(iq: Quantizer, kq: Quantizer, bq: Quantizer | None) -> bool:
    """Whether all widths are being trained: a quantizer that is frozen acts as at inference."""
    if not iq.f.requires_grad or not (kq.b.requires_grad or kq.i.requires_grad):
        return False
    if bq is not None and not bq.b.requires_grad:
        return False
    return all(q is None or (q.training and not q.calibrating and q.is_plain) for q in (iq, kq, bq))


class FusedValues(Values):
    """The forward pass of a module whose program `fused` has looked through."""

    def __init__(self, module: QModule) -> None:
        super().__init__(TORCH, ModuleSlots(module))
        self.module = module

    def step(self, program: Program, step: Step, args: list[Any]) -> Any:
        """The result of one step."""
        kind: Any = step.kind
        if type(kind) is not Pattern:
            return super().step(program, step, args)
        return kind.step(self.module, args[0])


def sole_pattern(program: Program, running: Program) -> Pattern | None:
    """The pattern of a program in which nothing else costs EBOPs, and that counts in full.

    Args:
        program: as it was traced.
        running: the same, as `fused` has it.
    """
    kinds: list[Any] = [step.kind for step in running.steps]
    found = [kind for kind in kinds if isinstance(kind, Pattern)]
    others = [kind for kind in kinds if not isinstance(kind, Pattern | Feed | Quantized)]
    in_full = all(step.share == 1.0 for step in program.steps if isinstance(step.kind, Contract | Convolve | Add))
    alone = len(found) == 1 and not others and len(kinds) - len(running.inputs) <= 2
    return found[0] if alone and in_full else None


def fused(program: Program, module: QModule) -> Program:
    """The program with each pattern as one step."""

    def pattern_of(chain: Chain) -> Pattern:
        weights = [part if part is None else part[1] for part in (chain.kernel, chain.bias)]
        kernel, bias = (None if slot is None else module.made.storage[slot] for slot in weights)
        names = attribute_of(chain.data), attribute_of(chain.kernel[0])
        pattern = Pattern(
            (*names, None if chain.bias is None else attribute_of(chain.bias[0])),
            (cast("Layout", kernel).name, None if bias is None else bias.name),
            chain.relu,
            chain.features,
            _form(chain, cast("Layout", kernel).turn),
        )
        pattern.read_plan(module)
        return pattern

    return joined(program, pattern_of)


def _form(chain: Chain, turn: Turn | None) -> Product | Windows:
    """What a chain computes in PyTorch's layouts, with a kernel that is stored so."""
    operation = chain.operation
    if isinstance(operation, Contract):
        return Product((1, 0) if turn is None else (turn.back[1], turn.back[0]))
    rank = len(operation.strides)
    declared = (rank + 1, rank, *range(rank))
    kernel = declared if turn is None else tuple(turn.back[axis] for axis in declared)
    # The axes of the data, the batch axis among them, as the convolution of the program has them: channels last.
    axes = tuple(range(rank + 2)) if chain.moved is None else (0, *(axis + 1 for axis in chain.moved.axes))
    return Windows(operation, (axes[0], axes[-1], *axes[1:-1]), kernel)
