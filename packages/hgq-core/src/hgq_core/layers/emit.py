"""The third reading of a program: its nodes in the Graph, the same whichever framework trained the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hgq_core.errors import DataError, UnsupportedError
from hgq_core.graph.emit import add_quantizer
from hgq_core.graph.ir import GraphBuilder
from hgq_core.graph.ops import Add, Constant, Input, Operation, Scan
from hgq_core.layers.readings import Reading
from hgq_core.layers.tables import tabulated
from hgq_core.spec import KBI, KIF, Dummy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph.ops import Shape
    from hgq_core.layers.program import Program
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
    from hgq_core.spec import Spec

__all__ = ["Emit", "Exported", "ExportedSlots", "append_quantizer"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A quantizer as it stands, for the Graph.

    Attributes:
        spec: what it is.
        formats: at inference, broadcastable to the tensor without a batch axis; None where it has none.
        scaler: see `hgq_core.graph.emit.add_quantizer`.
        affine: likewise, as the arithmetic of the model holds these numbers.
    """

    spec: Spec
    formats: Formats | None
    scaler: float | None
    affine: tuple[float, float] | None


class ExportedSlots(Protocol):
    """What the Graph asks of a framework."""

    def exported(self, slot: str, shape: Shape, /) -> Exported:
        """The quantizer of a slot, for tensors of this shape without the batch axis."""

    def weight(self, slot: str, /) -> NDArray[np.float64]:
        """The tensor of a weight quantizer as hardware has it: quantized, at inference."""

    def counted(self, slot: str, /) -> NDArray[np.float64] | None:
        """Widths that EBOPs counts, as of `hgq_core.layers.counting.CountedSlots.bits`, as an array."""

    def counted_with_sign(self, slot: str, /) -> NDArray[np.float64] | None:
        """Widths with their sign, likewise."""

    def tabulate(
        self, function: Any, weights: Sequence[int], /
    ) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        """The function of a table on an array, in the numerics of the framework at inference.

        With weights, which are numbers of steps, arrays have the axes of the tensor behind the first one.
        """

    def refusal(self, function: Any, label: str, /) -> str:
        """Why a function of the framework has no node, and what to do."""

    def emit_nested(self, builder: GraphBuilder, name: str, layer: Any, label: str, args: Sequence[str], /) -> str:
        """Append a layer inside of this one, under this label; returns the name of its output."""


def append_quantizer(builder: GraphBuilder, exported: Exported, x: str, *, title: str, name: str, label: str) -> str:
    """Append a quantizer of data to a Graph; returns the name of its output.

    Args:
        builder: the graph.
        exported: the quantizer as it stands.
        x: name of what is quantized.
        title: of the quantizer, in messages.
        name: of the Quantize node.
        label: the layer that it comes from.

    Raises:
        UnsupportedError: a minifloat, or a scaler that is no power of two.
    """
    spec = exported.spec
    if isinstance(spec, Dummy):
        modes: dict[str, Any] = {"round_mode": "TRN", "overflow_mode": "WRAP", "scaler": None}
    elif isinstance(spec, KIF | KBI):
        modes = {"round_mode": spec.round_mode, "overflow_mode": spec.overflow_mode, "scaler": exported.scaler}
    else:
        message = f"{title} is a minifloat; hardware needs 'kif' or 'kbi'"
        raise UnsupportedError(message)
    return add_quantizer(builder, x, formats=exported.formats, affine=exported.affine, name=name, label=label, **modes)


class Emit(Reading):
    """Appends the nodes of a layer to a Graph; a value is the name of a node, None of a weight not quantized yet.

    Args:
        builder: the graph.
        slots: of the layer.
        label: the layer, in the user's words.
        factor: of its EBOPs; 0 if it does not count them.
    """

    def __init__(self, builder: GraphBuilder, slots: ExportedSlots, label: str, factor: float) -> None:
        self.builder = builder
        self.slots = slots
        self.label = label
        self.factor = factor
        self._formatless: set[str] = set()

    def append(self, program: Program, inputs: Sequence[str]) -> tuple[str, ...]:
        """Append the nodes of a layer; returns the names of its results.

        Formats that another layer gave its inputs are not counted by this one.
        """
        self._formatless.update(inputs)
        return self.read_all(program, inputs)

    def step(self, program: Program, step: Step, args: list[Any]) -> Any:
        """The name of the result; a constant of a loop is a node of its body, and None here."""
        return None if step.in_loop else super().step(program, step, args)

    def _under(self, step: Step) -> str:
        return "/".join(part for part in (self.label, step.label) if part)

    def _named(self, name: str) -> str:
        return "/".join(part for part in (self.label, name) if part)

    def _own(self, step: Step) -> str:
        """The name that a step says for its node; empty if it says none."""
        return "/".join(part for part in (self._under(step), step.name) if part) if step.name else ""

    def _add(self, step: Step, operation: Operation, *args: str, factor: float = 0.0, name: str = "") -> str:
        name, label = self._own(step) or name, self._under(step)
        return self.builder.add(operation, *args, name=name, label=label, composite=step.composite, ebops_factor=factor)

    def quantized(self, program: Program, step: Step, kind: Quantized, args: list[Any]) -> str:  # noqa: ARG002
        return self._weight(step, kind) if step.constant else self._of_slot(step, kind.slot, args[0])

    def known(self, step: Step, kind: Known, args: list[Any]) -> str:
        return self._of_slot(step, kind.slot, args[0])

    def _of_slot(self, step: Step, slot: str, x: str) -> str:
        """Data by the quantizer of a slot."""
        exported = self.slots.exported(slot, step.shape)
        y = append_quantizer(
            self.builder,
            exported,
            x,
            title=f"quantizer {slot!r} of layer {self.label!r}",
            name=self._own(step) or self._named(slot),
            label=self._under(step),
        )
        if isinstance(exported.spec, Dummy):
            self._formatless.add(y)
        return y

    def _weight(self, step: Step, kind: Quantized) -> str:
        values = self.slots.weight(kind.slot)
        if not np.all(np.isfinite(values)):
            message = (
                f"layer {self.label!r}: its {kind.name} contains NaN or infinity; the training diverged: lower the "
                "learning rate or restore an earlier checkpoint"
            )
            raise DataError(message)
        counted = self.slots.counted(kind.slot)
        bits = None if counted is None else np.broadcast_to(np.rint(counted).astype(np.int64), step.shape)
        return self._add(step, Constant.of(values, bits), name=self._named(_beside(kind.slot, kind.name)))

    def unquantized(self, step: Step, kind: Stored | Statistics | Computed, args: list[Any]) -> None:
        """A weight enters the Graph where it is quantized."""

    def table(self, program: Program, step: Step, kind: Table, args: list[Any]) -> str:
        source = program.steps[step.args[0]].kind
        slot = getattr(source, "slot", None)
        if slot is None:
            message = f"layer {self.label!r}: a table needs enable_iq=True and enable_oq=True to be exported"
            raise UnsupportedError(message)
        lookup = tabulated(
            self.slots.tabulate(kind.function, step.args[1:]),
            self.slots.exported(slot, step.shape),
            self.slots.exported(kind.slot, step.shape),
            step.shape,
            self.slots.counted(kind.slot) if kind.table_idxs is None else self.slots.counted_with_sign(kind.slot),
            self._under(step),
            each=len(step.args) > 1 or getattr(kind.function, "each", False),
            table_idxs=kind.table_idxs,
        )
        return self._add(step, lookup, args[0], factor=self.factor * step.share)

    def applied(self, step: Step, kind: Applied, args: list[Any]) -> str:  # noqa: ARG002
        raise UnsupportedError(self.slots.refusal(kind.function, self._under(step)))

    def nested(self, step: Step, kind: Nested, args: list[Any]) -> str:  # noqa: ARG002
        return self.slots.emit_nested(self.builder, kind.name, kind.layer, self._named(kind.name), args)

    def scanned(self, program: Program, step: Step, kind: Scanned, args: list[Any]) -> str:
        """A Scan, whose body has a graph of its own with the constants of a step."""
        inner = Emit(GraphBuilder(), self.slots, self.label, self.factor)
        data = len(kind.body.outputs)
        entering = [inner.builder.add(Input(kind.body.steps[n].shape)) for n in kind.body.inputs[:data]]
        # Nothing has counted what enters: the cell quantizes what it computes with.
        inner._formatless.update(entering)
        made: dict[int, Any] = {}

        def constant(number: int) -> Any:
            if number not in made:
                outside = program.steps[number]
                made[number] = super(Emit, inner).step(program, outside, [constant(n) for n in outside.args])
            return made[number]

        # What is no constant are factors of dropout, of which hardware has nothing.
        shared = [constant(n) if program.steps[n].constant else None for n in step.args[data:]]
        body = inner.builder.build(inner.read_all(kind.body, [*entering, *shared]))
        return self._add(step, Scan(body, kind.steps, kind.reverse), *args[:data], factor=step.share)

    def operation(self, program: Program, step: Step, kind: Operation, args: list[Any]) -> str:
        if isinstance(kind, Constant):
            return self._add(step, kind, factor=step.share)
        data = [arg for arg, number in zip(args, step.args, strict=True) if not program.steps[number].constant]
        # Neither an input nor a dummy has bits that this layer counts, though the edge may; a bias counts by its own.
        biased = isinstance(kind, Add) and len(data) == 1 and len(args) > 1
        known = self._formatless.isdisjoint(data)
        y = self._add(step, kind, *args, factor=self.factor * step.share if biased or known else 0.0)
        if not known:
            self._formatless.add(y)
        return y


def _beside(slot: str, name: str) -> str:
    """The path of a constant beside its quantizer: ``query/kq`` and ``kernel`` give ``query/kernel``."""
    return "/".join([*slot.split("/")[:-1], name or slot.rsplit("/", maxsplit=1)[-1]])
