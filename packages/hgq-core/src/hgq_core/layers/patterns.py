"""Quantized data that meet a quantized kernel, with bias and ReLU: steps that a front end may run as one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from hgq_core.graph.ops import Add, Contract, Convolve, Relu, Transpose
from hgq_core.layers.program import Program, last_uses
from hgq_core.layers.steps import Quantized, Step, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Chain", "joined"]


@dataclass(frozen=True, slots=True)
class Chain:
    """Data, their product over the last axis or their convolution with a kernel, a bias, and ReLU.

    Attributes:
        data: slot that quantizes the data.
        kernel: slot that quantizes the kernel, and that of the weight.
        bias: the same of a bias that is a vector along the last axis of the result; None without.
        operation: the product or convolution, of data whose channels are last.
        moved: permutation of the quantized data before a convolution; None without.
        relu: whether a ReLU is the last step.
        features: sizes of the last axis of data (for groups of channels, of one) and result.
    """

    data: str
    kernel: tuple[str, str]
    bias: tuple[str, str] | None
    operation: Contract | Convolve
    moved: Transpose | None
    relu: bool
    features: tuple[int, int]


def joined(program: Program, kind_of: Callable[[Chain], Any]) -> Program:
    """The program with chains as one step each, whose operand is the data before they are quantized.

    Args:
        program: as it was traced.
        kind_of: the kind of this step, which the reading of the front end knows; None leaves a chain as it is.

    >>> from hgq_core.graph.ops import Relu
    >>> from hgq_core.layers import Dense, Layered, trace
    >>> program = trace(Layered(Dense(3, activation=Relu())), (4,))
    >>> [type(step.kind).__name__ for step in joined(program, lambda chain: chain).steps]
    ['Feed', 'Chain']
    """
    while True:
        following = _next(program, kind_of)
        if following is None:
            return program
        program = following


def _next(program: Program, kind_of: Callable[[Chain], Any]) -> Program | None:
    """The program with its first chain as one step; None without any."""
    uses = Counter(argument for step in program.steps for argument in step.args)
    uses.update(program.outputs)
    for number, step in enumerate(program.steps):
        if not isinstance(step.kind, Contract | Convolve):
            continue
        found = _found(program.steps, number, uses)
        kind = None if found is None else kind_of(found.chain(program.steps))
        if found is not None and kind is not None:
            return _replaced(program, found, kind)
    return None


@dataclass(frozen=True, slots=True)
class _Found:
    """Numbers of the steps of a chain."""

    data: int
    moved: int | None
    kernel: int
    product: int
    bias: int | None
    relu: int | None

    def chain(self, steps: Sequence[Step]) -> Chain:
        """What these steps are."""
        return Chain(
            cast("Quantized", steps[self.data].kind).slot,
            _slots(steps, self.kernel),
            None if self.bias is None else _slots(steps, self.bias),
            cast("Contract | Convolve", steps[self.product].kind),
            None if self.moved is None else cast("Transpose", steps[self.moved].kind),
            self.relu is not None,
            (steps[self.kernel].shape[-2], steps[self.kernel].shape[-1]),
        )

    def members(self, steps: Sequence[Step]) -> tuple[int, ...]:
        """All of them in order, the stored weights too."""
        weights = [n for n in (self.kernel, self.bias) if n is not None]
        stored = [argument for n in weights for argument in steps[n].args]
        sums = [self.bias + 1] if self.bias is not None else []
        others = [n for n in (self.moved, self.relu) if n is not None]
        return tuple(sorted({self.data, self.product, *weights, *stored, *sums, *others}))


def _found(steps: Sequence[Step], product: int, uses: Mapping[int, int]) -> _Found | None:
    """The chain around this product or convolution, none of whose results is read by another step."""
    data, kernel = steps[product].args
    if not _is_weight(steps, kernel) or not _is_covered(steps[product].kind):
        return None
    moved = None
    if isinstance(steps[product].kind, Convolve) and isinstance(steps[data].kind, Transpose):
        moved, data = data, steps[data].args[0]
    source = steps[data].kind
    if not isinstance(source, Quantized) or source.rows or steps[data].constant:
        return None
    if any(uses[n] != 1 for n in (data, kernel, *steps[kernel].args, *(() if moved is None else (moved,)))):
        return None
    end, bias, relu = product, None, None
    following = _only_reader(steps, end, uses)
    if following is not None and isinstance(steps[following].kind, Add) and len(steps[following].args) == 2:
        first, second = steps[following].args
        alone = first == end and following == second + 1 and _is_weight(steps, second)
        if alone and steps[second].shape == steps[end].shape[-1:] and uses[second] == uses[steps[second].args[0]] == 1:
            bias, end = second, following
            following = _only_reader(steps, end, uses)
    if following is not None and isinstance(steps[following].kind, Relu):
        relu = following
    return _Found(data, moved, kernel, product, bias, relu)


def _is_covered(operation: Any) -> bool:
    """Whether it is a product of the last axis with a matrix, or a convolution that is not transposed."""
    if isinstance(operation, Convolve):
        return not operation.transposed
    rows, columns, result = operation.terms
    return len(columns) == 2 and rows[-1:] == columns[0] and result == rows[:-1] + columns[1]


def _only_reader(steps: Sequence[Step], number: int, uses: Mapping[int, int]) -> int | None:
    """The step that reads this one, if nothing else does."""
    readers = [n for n, step in enumerate(steps) if number in step.args]
    return readers[0] if uses[number] == 1 and readers else None


def _is_weight(steps: Sequence[Step], number: int) -> bool:
    """Whether this is a quantized weight as it is stored."""
    step = steps[number]
    return step.constant and isinstance(step.kind, Quantized) and isinstance(steps[step.args[0]].kind, Stored)


def _slots(steps: Sequence[Step], number: int) -> tuple[str, str]:
    """Slots of a quantized weight: of its quantizer and of the weight."""
    quantized, stored = steps[number].kind, steps[steps[number].args[0]].kind
    return cast("Quantized", quantized).slot, cast("Stored", stored).slot


def _replaced(program: Program, found: _Found, kind: Any) -> Program:
    """The program with these steps as one step of this kind."""
    steps = program.steps
    members = found.members(steps)
    source, end = steps[found.data].args[0], members[-1]
    one = replace(steps[end], kind=kind, args=(source,))
    kept = [(n, one if n == end else step) for n, step in enumerate(steps) if n == end or n not in members]
    places = {old: new for new, (old, _) in enumerate(kept)}
    fresh = tuple(replace(step, args=tuple(places[a] for a in step.args)) for _, step in kept)
    outputs = tuple(places[n] for n in program.outputs)
    inputs = tuple(places[n] for n in program.inputs)
    return replace(program, steps=fresh, inputs=inputs, outputs=outputs, last_use=last_uses(fresh, *outputs))
