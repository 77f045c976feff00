"""Patterns of steps that run as one step, in training as one autograd node, wherever they stand in a program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from hgq_core.graph.ops import Add, Contract, Relu
from hgq_core.layers import Values, attribute_of
from hgq_core.layers.program import Program, last_uses
from hgq_core.layers.steps import Feed, Quantized, Step, Stored
from hgq_torch._ops import TORCH
from hgq_torch._slots import ModuleSlots
from hgq_torch.kernels.linear import fused_linear
from hgq_torch.kernels.plan import Plan, plan_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from hgq_torch._quantizer import Quantizer
    from hgq_torch.nn._base import QModule

__all__ = ["FusedValues", "Pattern", "fused", "sole_pattern"]


@dataclass(eq=False)
class Pattern:
    """Quantized data, its product with a quantized kernel stored ``(out, in)``, a quantized bias, and ReLU: one step.

    Attributes:
        names: attributes of the quantizers of data, kernel and bias, the last one None without bias.
        weights: attributes of kernel and bias.
        relu: whether a ReLU is the last step.
        features: sizes of input and output.
        plan: for the quantizers that were there last; None if they are no such ones.
    """

    names: tuple[str, str, str | None]
    weights: tuple[str, str | None]
    relu: bool
    features: tuple[int, int]
    plan: Plan | None = None

    def quantizers(self, module: QModule) -> tuple[Quantizer, Quantizer, Quantizer | None]:
        """Those of data, kernel and bias."""
        inside: dict[str, Any] = module._modules
        iq, kq, bq = self.names
        return inside[iq], inside[kq], None if bq is None else inside[bq]

    def read_plan(self, module: QModule) -> Plan | None:
        """Take the plan for the present quantizers."""
        self.plan = plan_of(*self.quantizers(module), relu=self.relu, features=self.features)
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
            trained = all(q is None or (q.training and not q.calibrating and q.is_plain) for q in quantizers)
            y = None if plan is None or not trained else fused_linear(plan, quantizers, x, w, b)
            if y is not None:
                return y
        iq, kq, bq = quantizers
        offset = None if bq is None or b is None else bq.weight_at_hand(b)
        y = torch.nn.functional.linear(iq(x), kq.weight_at_hand(w), offset)
        return torch.relu(y) if self.relu else y


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
        if isinstance(step.kind, Contract):
            chain = _chain(program, module, number, uses)
            if chain is not None:
                return fused(_replaced(program, module, chain), module)
    return program


@dataclass(frozen=True, slots=True)
class _Chain:
    """Numbers of the steps of a pattern."""

    data: int
    kernel: int
    product: int
    bias: int | None
    relu: int | None

    def members(self, program: Program) -> tuple[int, ...]:
        """All of them in order, the stored weights too."""
        weights = [n for n in (self.kernel, self.bias) if n is not None]
        stored = [argument for n in weights for argument in program.steps[n].args]
        sums = [self.bias + 1] if self.bias is not None else []
        ends = [n for n in (self.relu,) if n is not None]
        return tuple(sorted({self.data, self.product, *weights, *stored, *sums, *ends}))


def _chain(program: Program, module: QModule, product: int, uses: Mapping[int, int]) -> _Chain | None:
    steps = program.steps
    contract: Any = steps[product].kind
    data, kernel = steps[product].args
    rows, columns, result = contract.terms
    last_axis = len(columns) == 2 and rows[-1:] == columns[0] and result == rows[:-1] + columns[1]
    if not last_axis or not _is_weight(steps, kernel) or not isinstance(steps[data].kind, Quantized):
        return None
    stored: Any = steps[steps[kernel].args[0]].kind
    turn = module.made.storage[stored.slot].turn
    if steps[data].constant or turn is None or turn.axes != (1, 0):
        return None
    if any(uses[n] != 1 for n in (data, kernel, *steps[kernel].args)):
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
    return _Chain(data, kernel, product, bias, relu)


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
        (steps[chain.kernel].shape[0], steps[chain.kernel].shape[1]),
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
