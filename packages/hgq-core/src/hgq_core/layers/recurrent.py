"""Recurrent layers: a cell with quantizers of its own, in a loop over a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import ShapeError
from hgq_core.graph.ops import Concatenate, Gather, Reshape, Select, Slice
from hgq_core.layers.instances import parallel_share
from hgq_core.layers.tracing import checked
from hgq_core.linear import Contract

if TYPE_CHECKING:
    from hgq_core.layers.cells import Cell
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["OneStep", "Recurrent", "StackedRecurrent"]


@dataclass(frozen=True)
class Recurrent:
    """A cell along the first axis of a sequence: ``y_t, states_t = cell(iq(x_t), states_{t-1})``.

    The input quantizer has one width for each feature, which all steps share, as one circuit serves them. What a cell
    does to its input alone stands before the loop.

    Operands are the sequence ``(steps, features)``; then, where they are given, a mask ``(steps,)``, 0 at the steps
    that change nothing and repeat the output before, and the first states, else zeros.

    Attributes:
        cell: one step.
        return_sequences: whether the outputs of all steps are the result, else that of the last.
        return_state: whether the states after the last step are results too.
        go_backwards: whether the sequence is read from its last step, and outputs are in that order, as in Keras.
        masked: whether the second operand is a mask.
        dropout: rate of dropout of the input, the same features in all steps.
        parallelization_factor: steps that are built in hardware, -1 for all.
        enable_iq: whether the sequence is quantized here.
    """

    cell: Cell
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    masked: bool = False
    dropout: float = 0.0
    parallelization_factor: int = -1
    enable_iq: bool = True

    def __call__(self, t: Trace, x: Value, *others: Value) -> Value | tuple[Value, ...]:
        shape = t.shape(x)
        if len(shape) != 2 or not shape[0]:
            message = f"a recurrent layer received rows of shape {shape}, expected (steps, features), one step or more"
            raise ShapeError(message)
        steps = shape[0]
        mask, given = (others[0], others[1:]) if self.masked else (None, others)
        self._check(t, steps, mask, given)
        share = parallel_share(self.parallelization_factor, steps)
        if self.go_backwards:
            order = np.arange(steps - 1, -1, -1)
            x = t.op(Gather(order, 0), x)
            mask = None if mask is None else t.op(Gather(order, 0), mask)
        if self.enable_iq:
            x = t.quantized("iq", x, rows=1)
        entering = self.cell.enter(t.part(share=share), t.dropped(self.dropout, x, rows=1))
        states = tuple(self.cell.first(t, state, n) for n, state in enumerate(given))
        if not states:
            states = tuple(_zeros(t, x, size) for size in self.cell.states)
        # Where a mask holds the first output back, it is no longer the state.
        hidden = int(self.cell.gives_state and mask is None)
        step = _Step(
            self.cell, states=slice(hidden if self.return_state else len(states), None), masked=mask is not None
        )
        if mask is not None:
            entering = t.op(Concatenate(1), entering, t.op(Reshape((steps, 1)), mask))
            states = (_zeros(t, x, self.cell.units), *states)
        ys = t.scan("", step, entering, *states, share=share)
        return self._results(t, ys, steps, hidden)

    def _check(self, t: Trace, steps: int, mask: Value | None, given: tuple[Value, ...]) -> None:
        if mask is not None and t.shape(mask) != (steps,):
            message = f"mask: received rows of shape {t.shape(mask)}, expected ({steps},), a number for each step"
            raise ShapeError(message)
        received, expected = [t.shape(state) for state in given], [(size,) for size in self.cell.states]
        if given and received != expected:
            message = f"initial_state: received rows of shapes {received}, expected {expected}"
            raise ShapeError(message)

    def _results(self, t: Trace, ys: Value, steps: int, hidden: int) -> Value | tuple[Value, ...]:
        """The outputs, and the states behind them, of what the steps gave, side by side."""
        width, units = t.shape(ys)[1], self.cell.units
        last = t.op(Reshape((width,)), t.op(Slice((steps - 1, 0), (steps, width), (1, 1)), ys))
        outputs = ys if width == units else t.op(Slice((0, 0), (steps, units), (1, 1)), ys)
        y = outputs if self.return_sequences else _part(t, last, 0, units)
        if not self.return_state:
            return y
        states, start = [_part(t, last, 0, units)] * hidden, units
        for size in self.cell.states[hidden:]:
            states.append(_part(t, last, start, size))
            start += size
        return (y, *states)


@dataclass(frozen=True)
class OneStep:
    """One step of a cell: the output and the next states, for data ``(features,)`` and the states.

    Attributes:
        cell: the step.
        dropout: rate of dropout of the data.
        enable_iq: whether the data are quantized here.
    """

    cell: Cell
    dropout: float = 0.0
    enable_iq: bool = True

    def __call__(self, t: Trace, x: Value, *states: Value) -> tuple[Value, ...]:
        shape, received = t.shape(x), [t.shape(state) for state in states]
        if len(shape) != 1:
            message = f"a recurrent cell received rows of shape {shape}, expected (features,), one step"
            raise ShapeError(message)
        if received != [(size,) for size in self.cell.states]:
            message = f"states: received rows of shapes {received}, expected {[(size,) for size in self.cell.states]}"
            raise ShapeError(message)
        x = t.op(Reshape((1, *shape)), x)
        if self.enable_iq:
            x = t.quantized("iq", x, rows=1)
        x = self.cell.enter(t, t.dropped(self.dropout, x, rows=1))
        x = t.op(Reshape(t.shape(x)[1:]), x)
        return self.cell.step(t, x, *(self.cell.first(t, state, n) for n, state in enumerate(states)))


@dataclass(frozen=True)
class StackedRecurrent:
    """Recurrent layers one behind the other, each of one direction or of two side by side, as PyTorch's.

    Operands are the sequence, then the first states where they are given; the results are the outputs of all steps and
    the last states. States stand in the order of the layers, each forward and backward: the outputs first, then, of
    cells that have another state, those.

    Slots are under ``l0/``, ``l0_reverse/``, ``l1/`` and so on; of one layer with one direction they are its own.

    Attributes:
        layers: the directions of each layer, forward first.
        dropout: rate of dropout between layers.
    """

    layers: tuple[tuple[Recurrent, ...], ...]
    dropout: float = 0.0

    def __call__(self, t: Trace, x: Value, *given: Value) -> tuple[Value, ...]:
        number = sum(map(len, self.layers))
        kinds = len(self.layers[0][0].cell.states)
        firsts = [given[n::number] for n in range(number)] if given else [()] * number
        if len(given) not in (0, number * kinds):
            message = f"first states: received {len(given)}, expected {number * kinds}"
            raise ShapeError(message)
        lasts: list[list[Value]] = [[] for _ in range(kinds)]
        for depth, directions in enumerate(self.layers):
            x = t.dropped(self.dropout, x) if depth else x
            ys = []
            for layer in directions:
                name = f"l{depth}_reverse" if layer.go_backwards else f"l{depth}"
                own = firsts.pop(0)
                y, *states = checked(t.call(name, layer, x, *own) if number > 1 else layer(t, x, *own))
                ys.append(t.op(Gather(np.arange(t.shape(y)[0] - 1, -1, -1), 0), y) if layer.go_backwards else y)
                for kind, state in zip(lasts, states, strict=True):
                    kind.append(state)
            x = ys[0] if len(ys) == 1 else t.op(Concatenate(1), *ys)
        return (x, *(state for kind in lasts for state in kind))


@dataclass(frozen=True)
class _Step:
    """One step as the loop runs it.

    Attributes:
        cell: what it runs.
        states: those that stand beside the output.
        masked: whether the last number that enters says if anything happens; the first state is the output before.
    """

    cell: Cell
    states: slice
    masked: bool

    def __call__(self, t: Trace, x: Value, *states: Value) -> tuple[Value, ...]:
        if not self.masked:
            y, *following = self.cell.step(t, x, *states)
            return self._beside(t, y, following), *following
        size = t.shape(x)[0] - 1
        enters, keep = _part(t, x, 0, size), t.op(Slice((size,), (size + 1,), (1,)), x)
        y, *following = self.cell.step(t, enters, *states[1:])
        y, *following = (t.op(Select(), keep, new, old) for new, old in zip((y, *following), states, strict=True))
        return self._beside(t, y, following), y, *following

    def _beside(self, t: Trace, y: Value, states: list[Value]) -> Value:
        beside = states[self.states]
        return t.op(Concatenate(0), y, *beside) if beside else y


def _part(t: Trace, y: Value, start: int, size: int) -> Value:
    """So many numbers of a row."""
    return y if t.shape(y) == (size,) else t.op(Slice((start,), (start + size,), (1,)), y)


def _zeros(t: Trace, x: Value, size: int) -> Value:
    """Zeros for each row of the batch, which only what follows the data has."""
    features = t.shape(x)[1]
    first = t.op(Reshape((features,)), t.op(Slice((0, 0), (1, features), (1, 1)), x))
    return t.op(Contract("bi,io->bo"), first, t.constant(np.zeros((features, size)), name="rest"), share=0.0)
