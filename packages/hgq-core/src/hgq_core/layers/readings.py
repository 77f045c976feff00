"""The readings of a program, one loop over its steps: what they have in common, and what the program computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from hgq_core.errors import GraphError
from hgq_core.graph.kinds import evaluate_operation
from hgq_core.graph.ops import Operation
from hgq_core.layers.steps import (
    Applied,
    Computed,
    Drawn,
    Dropped,
    Feed,
    Known,
    Masked,
    Nested,
    Observed,
    Quantized,
    Scanned,
    Statistics,
    Step,
    Stored,
    Surrogate,
    Table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.layers.program import Program
    from hgq_core.ops import Ops

__all__ = [
    "Reading",
    "Slots",
    "Values",
    "WeightSlots",
    "constants_of",
    "weight_of",
]


class WeightSlots(Protocol):
    """What a framework holds for the weights of one layer."""

    def stored(self, slot: str, /) -> Any:
        """A weight, of the shape that the declaration gave it."""

    def statistics(self, kind: Statistics, data: Callable[[], Any] | None, /) -> tuple[Any, Any]:
        """Mean and variance: of the batch in training, which moves the averages, else the moving averages.

        ``data`` gives what they are of, which only training computes; None where there are no data.
        """


class Slots(WeightSlots, Protocol):
    """What a framework holds for the slots of one layer, and how it acts on them in one call."""

    def quantized(self, slot: str, x: Any, /) -> Any:
        """x by the quantizer of a slot."""

    def again(self, slot: str, x: Any, /) -> Any:
        """x by a quantizer that the same call uses elsewhere too: the range follows x and does not decay."""

    def function(self, function: Any, x: Any, /, *weights: Any) -> Any:
        """The function of a table; at inference the very numbers that the table holds."""

    def dropped(self, rate: float, x: Any, rows: int, /) -> Any:
        """In training x with elements dropped at random, all or none along ``rows`` axes behind the first, else x."""

    def drawn(self, rate: float, x: Any, shape: Sequence[int], /) -> Any:
        """In training the factors of dropout for data of this shape, as many rows as x has; else None."""

    def surrogate(self, y: Any, smooth: Callable[[], Any], /) -> Any:
        """In training y with the derivative of ``smooth()``, else y."""

    def nested(self, name: str, layer: Any, args: Sequence[Any], /) -> Any:
        """The output of a layer inside of this one."""

    def scan(self, step: Callable[..., tuple[Any, ...]], xs: Any, states: Sequence[Any], kind: Scanned, /) -> Any:
        """The outputs of ``step(x, *states) -> (y, *states)`` along axis 1 of xs, stacked there: the one loop."""


class Reading(ABC):
    """One walk over the steps of a program; a reading says what each kind of step means to it."""

    def read(self, program: Program, inputs: Sequence[Any]) -> Any:
        """The result of the program for its inputs; a tuple where it has several."""
        results = self.read_all(program, inputs)
        return results if len(results) > 1 else results[0]

    def read_all(self, program: Program, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """All results of the program for its inputs."""
        values: list[Any] = [None] * len(program.steps)
        feed = iter(inputs)
        for number, step in enumerate(program.steps):
            args = [values[n] for n in step.args]
            values[number] = next(feed) if isinstance(step.kind, Feed) else self.step(program, step, args)
            for done in program.last_use[number]:
                values[done] = None
        return tuple(values[n] for n in program.outputs)

    def step(self, program: Program, step: Step, args: list[Any]) -> Any:
        """The result of one step.

        Raises:
            GraphError: a kind of step that this reading has no rule for.
        """
        match step.kind:
            case Quantized():
                return self.quantized(program, step, step.kind, args)
            case Stored() | Statistics() | Computed():
                return self.unquantized(step, step.kind, args)
            case Table():
                return self.table(program, step, step.kind, args)
            case Observed() | Applied():
                kind = step.kind
                return self.observed(kind, args) if isinstance(kind, Observed) else self.applied(step, kind, args)
            case Known():
                return self.known(step, step.kind, args)
            case Dropped() | Drawn() | Masked():
                return self._dropout(step, step.kind, args)
            case Nested():
                return self.nested(step, step.kind, args)
            case Scanned():
                return self.scanned(program, step, step.kind, args)
            case Surrogate():
                return self.surrogate(program, step, step.kind, args)
        if isinstance(step.kind, Operation):
            return self.operation(program, step, step.kind, args)
        message = f"{type(step.kind).__name__} is no step that {type(self).__name__} knows; give it a rule there"
        raise GraphError(message)

    def _dropout(self, step: Step, kind: Dropped | Drawn | Masked, args: list[Any]) -> Any:
        if isinstance(kind, Dropped):
            return self.dropped(kind, args)
        return self.drawn(step, kind, args) if isinstance(kind, Drawn) else self.masked(args)

    @abstractmethod
    def quantized(self, program: Program, step: Step, kind: Quantized, args: list[Any]) -> Any:
        """Data or a weight in the formats of a slot."""

    @abstractmethod
    def unquantized(self, step: Step, kind: Stored | Statistics | Computed, args: list[Any]) -> Any:
        """A weight before it is quantized."""

    @abstractmethod
    def table(self, program: Program, step: Step, kind: Table, args: list[Any]) -> Any:
        """A function of one number, in the formats of a slot."""

    def observed(self, kind: Observed, args: list[Any]) -> Any:  # noqa: ARG002 (for the forward pass)
        """Data for statistics: nothing, in every reading but that of values."""
        return None

    @abstractmethod
    def applied(self, step: Step, kind: Applied, args: list[Any]) -> Any:
        """A function of the framework."""

    def dropped(self, kind: Dropped, args: list[Any]) -> Any:  # noqa: ARG002 (for the forward pass)
        """Dropout: what it is given, in every reading but that of values in training."""
        return args[0]

    def drawn(self, step: Step, kind: Drawn, args: list[Any]) -> Any:  # noqa: ARG002 (for the forward pass)
        """Factors of dropout: nothing, in every reading but that of values."""
        return None

    def masked(self, args: list[Any]) -> Any:
        """Dropout in a loop, likewise."""
        return args[0]

    def surrogate(self, program: Program, step: Step, kind: Surrogate, args: list[Any]) -> Any:
        """An operation with another derivative: that operation, in every reading but that of values."""
        return self.operation(program, step, kind.operation, args)

    @abstractmethod
    def known(self, step: Step, kind: Known, args: list[Any]) -> Any:
        """Data in the formats of a slot."""

    @abstractmethod
    def nested(self, step: Step, kind: Nested, args: list[Any]) -> Any:
        """A layer inside."""

    @abstractmethod
    def scanned(self, program: Program, step: Step, kind: Scanned, args: list[Any]) -> Any:
        """A loop over a sequence."""

    @abstractmethod
    def operation(self, program: Program, step: Step, kind: Operation, args: list[Any]) -> Any:
        """An operation of the Graph."""


class Values(Reading):
    """The forward pass: tensors in the array library of ``ops``."""

    def __init__(self, ops: Ops, slots: Slots) -> None:
        self.ops = ops
        self.slots = slots

    def quantized(self, program: Program, step: Step, kind: Quantized, args: list[Any]) -> Any:  # noqa: ARG002
        if kind.again:
            return self.slots.again(kind.slot, args[0])
        if not kind.rows:
            return self.slots.quantized(kind.slot, args[0])
        quantized = self.slots.quantized(kind.slot, self.ops.reshape(args[0], (-1, *step.shape[kind.rows :])))
        return self.ops.reshape(quantized, (-1, *step.shape))

    def known(self, step: Step, kind: Known, args: list[Any]) -> Any:  # noqa: ARG002
        return args[0]

    def unquantized(self, step: Step, kind: Stored | Statistics | Computed, args: list[Any]) -> Any:  # noqa: ARG002
        return _unquantized(self.ops, self.slots, kind, args)

    def table(self, program: Program, step: Step, kind: Table, args: list[Any]) -> Any:  # noqa: ARG002
        return self.slots.quantized(kind.slot, self.slots.function(kind.function, *args))

    def observed(self, kind: Observed, args: list[Any]) -> Any:
        # Only statistics read it, and only in training.
        return _Later(kind.function, self.ops, args)

    def applied(self, step: Step, kind: Applied, args: list[Any]) -> Any:  # noqa: ARG002
        return kind.function(self.ops, args[0])

    def dropped(self, kind: Dropped, args: list[Any]) -> Any:
        return self.slots.dropped(kind.rate, args[0], kind.rows)

    def drawn(self, step: Step, kind: Drawn, args: list[Any]) -> Any:
        return self.slots.drawn(kind.rate, args[0], step.shape)

    def masked(self, args: list[Any]) -> Any:
        return args[0] if args[1] is None else args[0] * args[1]

    def surrogate(self, program: Program, step: Step, kind: Surrogate, args: list[Any]) -> Any:  # noqa: ARG002
        y = evaluate_operation(self.ops, kind.operation, args)
        return self.slots.surrogate(y, lambda: kind.function(self.ops, *args))

    def nested(self, step: Step, kind: Nested, args: list[Any]) -> Any:  # noqa: ARG002
        return self.slots.nested(kind.name, kind.layer, args)

    def scanned(self, program: Program, step: Step, kind: Scanned, args: list[Any]) -> Any:  # noqa: ARG002
        data = len(kind.body.outputs)
        states, shared = args[1:data], args[data:]

        def one(x: Any, *states: Any) -> tuple[Any, ...]:
            return self.read_all(kind.body, [x, *states, *shared])

        return self.slots.scan(one, args[0], states, kind)

    def operation(self, program: Program, step: Step, kind: Operation, args: list[Any]) -> Any:  # noqa: ARG002
        return evaluate_operation(self.ops, kind, args)


def _unquantized(ops: Ops, slots: WeightSlots, kind: Stored | Statistics | Computed, args: Sequence[Any]) -> Any:
    match kind:
        case Stored(slot):
            return slots.stored(slot)
        case Statistics():
            return slots.statistics(kind, None if args[0] is None else _given(args[0]))
        case Computed(function):
            return function(ops, *args)


class _Later:
    """What is computed when it is called."""

    def __init__(self, function: Any, ops: Ops, args: Sequence[Any]) -> None:
        self._given = function, ops, args

    def __call__(self) -> Any:
        function, ops, args = self._given
        return function(ops, *args)


def _given(data: Any) -> Callable[[], Any]:
    """Data as statistics ask for them."""
    return data if isinstance(data, _Later) else lambda: data


def weight_of(ops: Ops, slots: WeightSlots, program: Program, slot: str) -> Any:
    """The tensor that a weight quantizer quantizes, before it does; statistics are asked for without data.

    Args:
        ops: the array library.
        slots: of the layer.
        program: of the layer.
        slot: of the weight quantizer.

    Raises:
        GraphError: a step on the way that no weight can be computed by.
    """
    needed = program.constant_steps(slot)
    return _computed(ops, slots, program, needed)[needed[-1]]


def constants_of(ops: Ops, slots: WeightSlots, program: Program, numbers: Sequence[int]) -> list[Any]:
    """The weights of these steps, not quantized; statistics are asked for without data."""
    results = _computed(ops, slots, program, program.constants_before(numbers))
    return [results[number] for number in numbers]


def _computed(ops: Ops, slots: WeightSlots, program: Program, needed: Sequence[int]) -> dict[int, Any]:
    results: dict[int, Any] = {}
    for number in needed:
        kind, args = program.steps[number].kind, [results.get(a) for a in program.steps[number].args]
        if not isinstance(kind, Stored | Statistics | Computed):
            message = f"a weight is computed by {type(kind).__name__}, which needs data; use Trace.computed for it"
            raise GraphError(message)
        results[number] = _unquantized(ops, slots, kind, args)
    return results
