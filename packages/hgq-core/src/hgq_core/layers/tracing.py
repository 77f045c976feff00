"""How a declaration becomes a program: what it writes its steps to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.kinds import kind_of
from hgq_core.graph.ops import Constant, Operation, Reshape, Shape
from hgq_core.graph.shapes import has_no_batch, output_shape
from hgq_core.layers.loop import apart, check_cell
from hgq_core.layers.program import Declaration, Program, Value, last_uses
from hgq_core.layers.steps import (
    Applied,
    Computed,
    Dropped,
    Feed,
    Known,
    Nested,
    Observed,
    Quantized,
    QuantizerSlot,
    Scanned,
    Statistics,
    Step,
    StepKind,
    Stored,
    Surrogate,
    Table,
    WeightSlot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Trace", "Traceable", "checked", "single", "trace"]


@runtime_checkable
class Traceable(Protocol):
    """A layer of a front end: it has slots of its own and can be a part of another one."""

    def traced_shape(self, *shapes: Shape) -> Shape:
        """Shape of its output for inputs of these shapes, batch axes left out."""


@dataclass
class _Record:
    """What the traces of one program write to."""

    steps: list[Step] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    quantizers: dict[str, QuantizerSlot] = field(default_factory=dict)
    weights: dict[str, WeightSlot] = field(default_factory=dict)
    nested: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """What a declaration writes to; each method appends a step and returns its `Value`. Shapes are static.

    Attributes:
        prefix: path of the part that is being declared, such as ``"query/"``; slots begin with it.
        share: see `Step`; that of the part times that of the step.
        composite: see `Step`.
        name: see `Step`; of a step that says none itself.
    """

    record: _Record = field(repr=False)
    prefix: str = ""
    share: float = 1.0
    composite: str = ""
    name: str = ""

    def shape(self, x: Value) -> Shape:
        """Shape of a value, without the batch axis for data."""
        return self.record.steps[x].shape

    def part(self, *, share: float = 1.0, composite: str = "") -> Trace:
        """The same trace, for steps with this share of instances and this composite."""
        return replace(self, share=self.share * share, composite=composite or self.composite)

    # --- steps of a layer ---

    def feed(self, shape: Sequence[int]) -> Value:
        """An input."""
        value = self._add(Feed(), (), tuple(shape), constant=False)
        self.record.inputs.append(value)
        return value

    def stored(self, slot: str, shape: Sequence[int], *, start: str = "kernel", trainable: bool = True) -> Value:
        """A weight as it is stored."""
        self._reserve(self.record.weights, slot, WeightSlot(tuple(shape), start, trainable))
        return self._add(Stored(self.prefix + slot), (), tuple(shape), constant=True)

    def statistics(self, x: Value, mean: str, variance: str, *, axes: Sequence[int]) -> Value:
        """Mean and variance of data over these axes, the batch axis 0 among them; see `Statistics`."""
        shape = tuple(n for axis, n in enumerate(self.shape(x), start=1) if axis not in axes)
        self._reserve(self.record.weights, mean, WeightSlot(shape, "zeros", trainable=False))
        self._reserve(self.record.weights, variance, WeightSlot(shape, "ones", trainable=False))
        kind = Statistics(self.prefix + mean, self.prefix + variance, tuple(axes))
        return self._add(kind, (x,), shape, constant=True)

    def computed(self, function: Callable[..., Any], *values: Value, shape: Sequence[int]) -> Value:
        """Numbers from weights, before they are quantized."""
        return self._add(Computed(function), values, tuple(shape), constant=True)

    def quantized(
        self, slot: str, x: Value, *, place: str = "datalane", name: str = "", rows: int = 0, **overrides: Any
    ) -> Value:
        """x in the formats of a slot.

        Args:
            slot: its name, such as ``"iq"``.
            x: data, or a weight.
            place: see `QuantizerSlot`.
            name: of the constant in the Graph, for a weight.
            rows: how many axes of data share their widths and are rows of the batch to the quantizer.
            **overrides: parameters that the default specification has otherwise here.
        """
        step = self.record.steps[x]
        self._reserve(self.record.quantizers, slot, QuantizerSlot(step.shape[rows:], place, step.constant, overrides))
        return self._add(Quantized(self.prefix + slot, name, rows), (x,), step.shape, constant=step.constant)

    def again(self, slot: str, x: Value) -> Value:
        """x by the quantizer of a slot whose range decays where it is used before or later, for the same shape."""
        return self._add(Quantized(self.prefix + slot, again=True), (x,), self.shape(x), constant=False)

    def known(self, slot: str, x: Value) -> Value:
        """Data that are in the formats of a slot already, as what enters a loop is: its widths count from here."""
        return self._add(Known(self.prefix + slot), (x,), self.shape(x), constant=False)

    def weight(
        self, slot: str, quantizer: str, shape: Sequence[int], *, place: str = "weight", start: str = "kernel"
    ) -> Value:
        """A quantized weight: `stored`, then `quantized`."""
        return self.quantized(quantizer, self.stored(slot, shape, start=start), place=place, name=slot)

    def table(
        self,
        slot: str,
        function: Any,
        x: Value,
        *weights: Value,
        table_idxs: tuple[int, int] | None = None,
        **overrides: Any,
    ) -> Value:
        """A function of one number, ``function(ops, x, *weights)``, quantized by a slot at the place ``table``."""
        what = QuantizerSlot(self.shape(x), "table", constant=False, overrides=overrides)
        self._reserve(self.record.quantizers, slot, what)
        kind = Table(self.prefix + slot, function, table_idxs)
        return self._add(kind, (x, *weights), self.shape(x), constant=False)

    def observed(self, function: Any, x: Value, *weights: Value, shape: Sequence[int] | None = None) -> Value:
        """Data for `statistics` alone, ``function(ops, x, *weights)``, which only training computes.

        Args:
            function: of the array library, of data and weights.
            x: the data.
            *weights: not quantized.
            shape: of the result without the batch axis; None: that of x.
        """
        of = self.shape(x) if shape is None else tuple(shape)
        return self._add(Observed(function), (x, *weights), of, constant=False)

    def applied(self, function: Any, x: Value) -> Value:
        """A function, ``function(ops, x)``, that keeps the shape and has no node of the Graph."""
        return self._add(Applied(function), (x,), self.shape(x), constant=self.record.steps[x].constant)

    def surrogate(self, operation: Operation, function: Callable[..., Any], *args: Value, share: float = 0.0) -> Value:
        """An operation of the Graph with the derivative of ``function(ops, *args)`` in training.

        Args:
            operation: exact; its own derivative is 0.
            function: a smooth one of the same operands.
            *args: the operands.
            share: part of its EBOPs that counts.
        """
        args = self._aligned(args)
        shape, _ = self._result(operation, args)
        return self._add(Surrogate(operation, function), args, shape, constant=False, share=share)

    def dropped(self, rate: float, x: Value, *, rows: int = 0) -> Value:
        """Dropout in training; nothing for a rate of 0, and nothing of it in the Graph.

        In the cell of a loop all steps drop the same.

        Args:
            rate: the probability.
            x: data.
            rows: axes of the data, from the first, along which all or none is dropped.

        Raises:
            ConfigError: a rate that is no probability below 1.
        """
        if not 0 <= rate < 1:
            message = f"dropout: received {rate!r}, expected a number from 0 to below 1"
            raise ConfigError(message)
        return x if rate == 0 else self._add(Dropped(rate, rows), (x,), self.shape(x), constant=False)

    def constant(self, values: Any, *, name: str = "") -> Value:
        """Exact numbers that are no weight and cost nothing; ``name`` is that of their node in the Graph."""
        operation = Constant.of(values)
        return self._add(operation, (), tuple(operation.integers.shape), constant=True, share=0.0, name=name)

    def op(self, operation: Operation, *args: Value, share: float = 1.0) -> Value:
        """An operation of the Graph.

        Raises:
            ShapeError: operands that do not fit.
        """
        if kind_of(operation).broadcasts:
            args = self._aligned(args)
        shape, constant = self._result(operation, args)
        return self._add(operation, args, shape, constant=constant, share=share)

    def _result(self, operation: Operation, args: Sequence[Value]) -> tuple[Shape, bool]:
        """Shape of the result of an operation, and whether it has no batch axis."""
        steps = [self.record.steps[a] for a in args]
        constant = [step.constant for step in steps]
        shape = output_shape(operation, [step.shape for step in steps], constant=constant)
        return shape, has_no_batch(operation, constant)

    def call(self, name: str, layer: Declaration | Traceable, *args: Value) -> Value:
        """A declared part, whose slots are this layer's under ``name/``; or another layer, with slots of its own."""
        if isinstance(layer, Traceable):
            if any(self.record.steps[a].constant for a in args):
                message = f"part {name!r}: received a weight, expected data; a layer inside has a batch axis"
                raise ConfigError(message)
            self._reserve(self.record.nested, name, layer)
            shape = layer.traced_shape(*(self.shape(a) for a in args))
            return self._add(Nested(self.prefix + name, layer), args, shape, constant=False)
        result: Value = layer(replace(self, prefix=f"{self.prefix}{name}/"), *args)
        return result

    def scan(
        self, name: str, cell: Declaration, xs: Value, *states: Value, share: float = 1.0, reverse: bool = False
    ) -> Value:
        """A declared part, ``cell(t, x, *states)``, that runs along the first axis of a sequence; the outputs, stacked.

        Weights of the cell are quantized once, before the loop. What the cell multiplies or adds it quantizes itself.

        Args:
            name: of the part, as of `call`; empty: slots of the cell are those of the layer.
            cell: gives its output and the next states, as a tuple.
            xs: the sequence, data.
            *states: the first states, data.
            share: part of the steps that is built in hardware.
            reverse: from the last item to the first; outputs stay at the place of their items.

        Raises:
            ConfigError: no data, or a cell that returns something else or has a layer or a loop inside.
            ShapeError: no axis to run along, or a state of another shape.
        """
        if any(self.record.steps[v].constant for v in (xs, *states)):
            message = f"part {name!r}: received a constant, expected data: a sequence and states have a batch axis"
            raise ConfigError(message)
        if not self.shape(xs) or not self.shape(xs)[0]:
            message = f"part {name!r}: received a sequence of shape {self.shape(xs)}, expected (steps, ...)"
            raise ShapeError(message)
        number, *item = self.shape(xs)
        given = [self.shape(state) for state in states]
        record = _Record(quantizers=self.record.quantizers, weights=self.record.weights)
        prefix = f"{self.prefix}{name}/" if name else self.prefix
        inner = replace(self, record=record, prefix=prefix, share=1.0, name="")
        returned = cell(inner, inner.feed(item), *map(inner.feed, given))
        returned = check_cell(name, record.steps, returned, given)
        steps, results, constants = apart(record.steps, returned, self._append, xs)
        feeds = tuple(n for n, step in enumerate(steps) if isinstance(step.kind, Feed))
        body = Program(tuple(steps), feeds, results, {}, {}, {}, last_uses(steps, *results))
        kind = Scanned(body, number, reverse)
        return self._add(kind, (xs, *states, *constants), (number, *body.output_shape), constant=False, share=share)

    # --- the record ---

    def _append(self, step: Step) -> int:
        self.record.steps.append(step)
        return len(self.record.steps) - 1

    def _add(
        self, kind: StepKind, args: Sequence[int], shape: Shape, *, constant: bool, share: float = 1.0, name: str = ""
    ) -> Value:
        label = self.prefix.rstrip("/")
        share *= self.share
        step = Step(kind, tuple(args), shape, constant, share, label, self.composite, name or self.name)
        self.record.steps.append(step)
        return Value(len(self.record.steps) - 1)

    def _reserve(self, slots: dict[str, Any], slot: str, what: Any) -> None:
        name = self.prefix + slot
        if slots.get(name, what) is not what:
            message = f"two parts of the layer are called {name!r}; give each quantizer, weight and part its own name"
            raise ConfigError(message)
        slots[name] = what

    def _aligned(self, args: Sequence[Value]) -> tuple[Value, ...]:
        """Data with as many axes as the widest operand: broadcasting must not meet the batch axis."""
        most = max(len(self.shape(a)) for a in args)
        return tuple(
            a
            if self.record.steps[a].constant or len(self.shape(a)) == most
            else self.op(Reshape((1,) * (most - len(self.shape(a))) + self.shape(a)), a)
            for a in args
        )


def trace(declaration: Declaration, *shapes: Sequence[int | None]) -> Program:
    """The program of a declaration for inputs of these shapes, batch axes left out.

    Raises:
        ShapeError: a size that is not fixed, or shapes that the declaration does not take.
        ConfigError: two slots of one name, or a result that is no value.
    """
    for shape in shapes:
        if any(n is None for n in shape):
            message = f"received shape {tuple(shape)}, expected fixed sizes, since hardware is built for one size"
            raise ShapeError(message)
    record = _Record()
    root = Trace(record)
    outputs = checked(declaration(root, *(root.feed([int(n) for n in shape if n is not None]) for shape in shapes)))
    return Program(
        tuple(record.steps),
        tuple(record.inputs),
        outputs,
        record.quantizers,
        record.weights,
        record.nested,
        last_uses(record.steps, *outputs),
    )


def checked(result: Any) -> tuple[Value, ...]:
    """What a declaration returned; raises ConfigError unless it is one value, or a tuple of values."""
    results = result if isinstance(result, tuple) and result else (result,)
    if not all(isinstance(value, int) for value in results):
        message = f"the declaration returned {result!r}, expected one value, such as t.op(Add(), x, y), or a tuple"
        raise ConfigError(message)
    return tuple(map(Value, results))


def single(result: Any) -> Value:
    """The one value that a declaration returned; raises ConfigError for anything else."""
    values = checked(result)
    if len(values) != 1:
        message = f"the declaration returned {len(values)} values, expected one value, such as t.op(Add(), x, y)"
        raise ConfigError(message)
    return values[0]
