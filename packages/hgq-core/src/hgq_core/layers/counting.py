"""What a program costs: the reading of its steps that counts EBOPs, differentiable in the widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hgq_core.cost import edge_cost, lookup_cost
from hgq_core.graph.kinds import Operand, cost_of, counted_of
from hgq_core.layers.readings import Reading
from hgq_core.layers.steps import (
    Applied,
    Computed,
    Known,
    Nested,
    Quantized,
    Scanned,
    Statistics,
    Step,
    Stored,
    Table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph.ops import Operation
    from hgq_core.layers.program import Program
    from hgq_core.ops import Ops

__all__ = ["Bits", "CountedSlots", "output_bits"]


class CountedSlots(Protocol):
    """What the cost asks of a framework."""

    def bits(self, slot: str, /) -> Any:
        """Widths that EBOPs counts, broadcastable to ``(1, *shape)`` for data; None without formats (a dummy)."""

    def full_width(self, slot: str, /) -> Any:
        """Widths with their sign, likewise, as the rule of layers of tables has them."""

    def nested_bits(self, name: str, layer: Any, args: Sequence[Any], /) -> Any:
        """Widths of the output of a layer inside; None if nothing has set them."""


def output_bits(ops: Ops, slots: CountedSlots, program: Program, args: Sequence[Any]) -> Any:
    """Widths of the output of a layer that EBOPs counts, for the layer around it.

    Args:
        ops: the array library.
        slots: of the layer.
        program: of the layer.
        args: widths of its inputs, None where nothing has set them.
    """
    last = program.steps[program.output].kind
    if isinstance(last, Quantized | Table):
        return slots.bits(last.slot)
    return Bits(ops, slots).read_all(program, args)[0]


class Bits(Reading):
    """EBOPs: the sum over the steps of what each costs, times its share, differentiable in the widths.

    A value is the tensor of widths that EBOPs counts, or None where no quantizer has set them.

    Attributes:
        total: of the steps that have been read, without those of layers inside, which count themselves.
    """

    def __init__(self, ops: Ops, slots: CountedSlots) -> None:
        self.ops = ops
        self.slots = slots
        self.total: Any = 0.0

    def count(self, program: Program) -> Any:
        """EBOPs of a layer, as a scalar in the array library; 0.0 if nothing in it costs."""
        self.read(program, [None] * len(program.inputs))
        return self.total

    def _add(self, step: Step, cost: Any) -> None:
        self.total = self.total + (cost if step.share == 1.0 else cost * step.share)

    def quantized(self, program: Program, step: Step, kind: Quantized, args: list[Any]) -> Any:  # noqa: ARG002
        bits = self.slots.bits(kind.slot)
        if not kind.rows or bits is None:
            return bits
        return self.ops.reshape(bits, (1, *[1] * kind.rows, *bits.shape[1:]))

    def known(self, step: Step, kind: Known, args: list[Any]) -> Any:  # noqa: ARG002
        return self.slots.bits(kind.slot)

    def unquantized(self, step: Step, kind: Stored | Statistics | Computed, args: list[Any]) -> Any:  # noqa: ARG002
        return None

    def table(self, program: Program, step: Step, kind: Table, args: list[Any]) -> Any:
        if kind.table_idxs is not None:
            return self._tables(program, step, kind, args)
        bits = self.slots.bits(kind.slot)
        if args[0] is not None and bits is not None and step.share:
            self._add(step, lookup_cost(self.ops, args[0], bits, step.shape))
        return bits

    def _tables(self, program: Program, step: Step, kind: Table, args: list[Any]) -> Any:
        source = program.steps[step.args[0]].kind
        bits = self.slots.full_width(kind.slot)
        if args[0] is not None and isinstance(source, Quantized) and bits is not None and step.share:
            width = self.slots.full_width(source.slot)
            self._add(step, edge_cost(self.ops, width, bits, step.shape, kind.table_idxs or (6, 5)))
        return bits

    def applied(self, step: Step, kind: Applied, args: list[Any]) -> Any:  # noqa: ARG002
        return None

    def nested(self, step: Step, kind: Nested, args: list[Any]) -> Any:  # noqa: ARG002
        return self.slots.nested_bits(kind.name, kind.layer, args)

    def scanned(self, program: Program, step: Step, kind: Scanned, args: list[Any]) -> None:  # noqa: ARG002
        """Each step costs the same, since its quantizers are; the widths of the outputs are not known, as of sums."""
        one = Bits(self.ops, self.slots)
        data = len(kind.body.outputs)
        one.read_all(kind.body, [*([None] * data), *args[data:]])
        self._add(step, one.total * kind.steps)

    def operation(self, program: Program, step: Step, kind: Operation, args: list[Any]) -> Any:
        operands = [Operand(program.steps[n].shape, program.steps[n].constant) for n in step.args]
        if step.share:
            self._add(step, cost_of(self.ops, kind, args, operands, step.shape))
        return counted_of(self.ops, kind, args, operands, step.shape)
