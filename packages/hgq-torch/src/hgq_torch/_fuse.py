"""Patterns of steps that run as one step, in training as one autograd node, wherever they stand in a program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from hgq_core.graph.ops import Add, Contract, Convolve, Relu, Transpose
from hgq_core.layers import Values, attribute_of
from hgq_core.layers.program import Program, last_uses
from hgq_core.layers.steps import Feed, Quantized, Step, Stored
from hgq_torch._ops import TORCH
from hgq_torch._slots import ModuleSlots
from hgq_torch.kernels.linear import fused_linear
from hgq_torch.kernels.plan import Plan, plan_of
from hgq_torch.kernels.windows import Windows, fused_windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from hgq_torch._quantizer import Quantizer
    from hgq_torch._slots import Turn
    from hgq_torch.nn._base import QModule

__all__ = ["FusedValues", "Pattern", "fused", "sole_pattern"]


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
        form = self.form
        # A compiler fuses the steps itself.
        if module.training and self.plan is not None and not torch.compiler.is_compiling():
            plan = self.plan if self.plan.holds(*quantizers) else self.read_plan(module)
            if plan is not None and _train(*quantizers):
                if isinstance(form, Product):
                    return fused_linear(plan, form.kernel, quantizers, x, w, b)
                return fused_windows(plan, form, quantizers, x, w, b).movedim(1, -1)
        iq, kq, bq = quantizers
        offset = None if bq is None or b is None else bq.weight_at_hand(b)
        y = form.result(iq(x), kq.weight_at_hand(w), offset)
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


def sole_pattern(program: Program) -> Pattern | None:
    """The pattern of a program in which nothing else costs EBOPs."""
    kinds: list[Any] = [step.kind for step in program.steps]
    found = [kind for kind in kinds if isinstance(kind, Pattern)]
    others = [kind for kind in kinds if not isinstance(kind, Pattern | Feed | Quantized)]
    return found[0] if len(found) == 1 and not others and len(kinds) - len(program.inputs) <= 2 else None


def fused(program: Program, module: QModule) -> Program:
    """The program with each pattern as one step."""
    uses = Counter(argument for step in program.steps for argument in step.args)
    uses[program.output] += 1
    for number, step in enumerate(program.steps):
        if isinstance(step.kind, Contract | Convolve):
            chain = _chain(program, module, number, uses)
            if chain is not None:
                return fused(_replaced(program, module, chain), module)
    return program


@dataclass(frozen=True, slots=True)
class _Chain:
    """Numbers of the steps of a pattern, and its form."""

    data: int
    moved: int | None
    kernel: int
    product: int
    bias: int | None
    relu: int | None
    form: Product | Windows

    def members(self, program: Program) -> tuple[int, ...]:
        """All of them in order, the stored weights too."""
        weights = [n for n in (self.kernel, self.bias) if n is not None]
        stored = [argument for n in weights for argument in program.steps[n].args]
        sums = [self.bias + 1] if self.bias is not None else []
        others = [n for n in (self.moved, self.relu) if n is not None]
        return tuple(sorted({self.data, self.product, *weights, *stored, *sums, *others}))


def _chain(program: Program, module: QModule, product: int, uses: Mapping[int, int]) -> _Chain | None:
    steps = program.steps
    data, kernel = steps[product].args
    if not _is_weight(steps, kernel):
        return None
    moved = None
    if isinstance(steps[product].kind, Convolve) and isinstance(steps[data].kind, Transpose):
        moved, data = data, steps[data].args[0]
    if not isinstance(steps[data].kind, Quantized) or steps[data].constant:
        return None
    if any(uses[n] != 1 for n in (data, kernel, *steps[kernel].args, *(() if moved is None else (moved,)))):
        return None
    stored: Any = steps[steps[kernel].args[0]].kind
    form = _form(steps, product, moved, module.made.storage[stored.slot].turn)
    if form is None:
        return None
    end, bias, relu = product, None, None
    following = _only_reader(program, end, uses)
    if following is not None and isinstance(steps[following].kind, Add) and len(steps[following].args) == 2:
        first, second = steps[following].args
        alone = first == end and following == second + 1 and _is_weight(steps, second)
        if alone and steps[second].shape == steps[end].shape[-1:] and uses[second] == uses[steps[second].args[0]] == 1:
            bias, end = second, following
            following = _only_reader(program, end, uses)
    if following is not None and isinstance(steps[following].kind, Relu):
        relu = following
    return _Chain(data, moved, kernel, product, bias, relu, form)


def _form(steps: Sequence[Step], product: int, moved: int | None, turn: Turn | None) -> Product | Windows | None:
    """What a contraction or convolution computes in PyTorch's layouts; None for another contraction."""
    operation: Any = steps[product].kind
    if isinstance(operation, Contract):
        rows, columns, result = operation.terms
        if len(columns) != 2 or rows[-1:] != columns[0] or result != rows[:-1] + columns[1]:
            return None
        return Product((1, 0) if turn is None else (turn.back[1], turn.back[0]))
    if operation.transposed:
        return None
    rank = len(operation.strides)
    declared = (rank + 1, rank, *range(rank))
    kernel = declared if turn is None else tuple(turn.back[axis] for axis in declared)
    # The axes of the data, the batch axis among them, as the convolution of the program has them: channels last.
    last: Any = None if moved is None else steps[moved].kind
    axes = tuple(range(rank + 2)) if last is None else (0, *(axis + 1 for axis in last.axes))
    return Windows(operation, (axes[0], axes[-1], *axes[1:-1]), kernel)


def _only_reader(program: Program, number: int, uses: Mapping[int, int]) -> int | None:
    """The step that reads this one, if nothing else does."""
    readers = [n for n, step in enumerate(program.steps) if number in step.args]
    return readers[0] if uses[number] == 1 and readers else None


def _is_weight(steps: Sequence[Step], number: int) -> bool:
    """Whether this is a quantized weight as it is stored."""
    step = steps[number]
    return step.constant and isinstance(step.kind, Quantized) and isinstance(steps[step.args[0]].kind, Stored)


def _replaced(program: Program, module: QModule, chain: _Chain) -> Program:
    """The program with this chain as one step."""
    steps = program.steps
    members = chain.members(program)
    source, end = steps[chain.data].args[0], members[-1]
    pattern = Pattern(
        (
            _slot(steps, chain.data),
            _slot(steps, chain.kernel),
            None if chain.bias is None else _slot(steps, chain.bias),
        ),
        (
            _stored(steps, module, chain.kernel),
            None if chain.bias is None else _stored(steps, module, chain.bias),
        ),
        chain.relu is not None,
        (steps[chain.kernel].shape[-2], steps[chain.kernel].shape[-1]),
        chain.form,
    )
    pattern.read_plan(module)
    one: Any = replace(steps[end], kind=pattern, args=(source,))  # type: ignore[arg-type]  # a kind of this reading
    kept = [(n, one if n == end else step) for n, step in enumerate(steps) if n == end or n not in members]
    return _renumbered(program, kept)


def _slot(steps: Sequence[Step], number: int) -> str:
    kind: Any = steps[number].kind
    return attribute_of(kind.slot)


def _stored(steps: Sequence[Step], module: QModule, number: int) -> str:
    kind: Any = steps[steps[number].args[0]].kind
    return module.made.storage[kind.slot].name


def _renumbered(program: Program, kept: Sequence[tuple[int, Step]]) -> Program:
    """The program of these steps, whose arguments are numbers of the old one."""
    places = {old: new for new, (old, _) in enumerate(kept)}
    steps = tuple(replace(step, args=tuple(places[a] for a in step.args)) for _, step in kept)
    output = places[program.output]
    inputs = tuple(places[n] for n in program.inputs)
    return replace(program, steps=steps, inputs=inputs, output=output, last_use=last_uses(steps, output))
