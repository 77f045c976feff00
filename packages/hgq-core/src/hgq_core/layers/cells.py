"""The cells of recurrent layers: one step of a sequence, with the states that it hands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from hgq_core.graph.ops import Add, Concatenate, Multiply, Negate, Slice
from hgq_core.layers.activation import activated
from hgq_core.linear import Contract
from hgq_core.presets import HARD_SIGMOID_AFFINE, hard_sigmoid, hard_tanh

if TYPE_CHECKING:
    from hgq_core.layers.activation import Activation
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Cell", "GRUCell", "LSTMCell", "SimpleRNNCell"]


class Cell(Protocol):
    """One step of a recurrent layer, in two parts: what all steps can do at once, and what each hands to the next.

    Attributes:
        units: size of the output.
        gives_state: whether the output is the first state.
        states: sizes of the states.
    """

    gives_state: ClassVar[bool]

    @property
    def units(self) -> int: ...

    @property
    def states(self) -> tuple[int, ...]: ...

    def enter(self, t: Trace, x: Value) -> Value:
        """What enters the loop for a quantized sequence ``(steps, features)``: ``(steps, size)``."""

    def first(self, t: Trace, state: Value, number: int) -> Value:
        """A state that the user gives, as the loop takes it: the Graph lets no other number into a loop."""

    def step(self, t: Trace, x: Value, *states: Value) -> tuple[Value, ...]:
        """The output and the next states for what enters at one step."""


@dataclass(frozen=True, kw_only=True)
class _Gated:
    """What cells with kernels have in common: their products with the sequence, and with the state.

    Attributes:
        units: size of the state.
        use_bias: whether biases are added.
        activation: of what is a hard tanh by the widths of ``paq``; see `squashed`.
        enable_sq: whether the state has a quantizer of its own where it enters a step.
        recurrent_dropout: rate of dropout of the state, the same elements in all steps.
    """

    gives_state: ClassVar[bool] = True
    units: int
    use_bias: bool = True
    activation: Activation = None
    enable_sq: bool = True
    recurrent_dropout: float = 0.0

    def _project(self, t: Trace, x: Value, gates: int) -> Value:
        kernel = t.weight("kernel", "kq", (t.shape(x)[-1], gates * self.units))
        y = t.op(Contract("bti,io->bto"), x, kernel)
        if self.use_bias:
            y = t.op(Add(), y, t.weight("bias", "bq", (gates * self.units,), place="bias", start="zeros"))
        return y

    def _recur(self, t: Trace, h: Value, gates: int) -> Value:
        kernel = t.weight("recurrent_kernel", "rkq", (self.units, gates * self.units))
        return t.op(Contract("bi,io->bo"), h, kernel)

    def _gate(self, t: Trace, y: Value, number: int) -> Value:
        """One of the gates that stand side by side on the last axis."""
        start = number * self.units
        return t.op(Slice((start,), (start + self.units,), (1,)), y)


@dataclass(frozen=True)
class _Columns:
    """These columns of a matrix."""

    start: int
    stop: int

    def __call__(self, ops: Any, kernel: Any) -> Any:  # noqa: ARG002 (as of every computed weight)
        return kernel[:, self.start : self.stop]


def _first(t: Trace, y: Value, size: int) -> Value:
    return t.op(Slice((0,), (size,), (1,)), y)


def squashed(t: Trace, slot: str, y: Value, activation: Activation, preset: dict[str, Any]) -> Value:
    """``activation(quantizer(y))``; without activation the limits of the quantizer are one, by these parameters.

    A function that has no node of its own is a table with a quantizer of its own, ``paq_oq`` for ``paq``.
    """
    y = t.quantized(slot, y, **(preset if activation is None else {}))
    if activation is None:
        return y
    if hasattr(activation, "function"):
        return t.table(f"{slot}_oq", activation, y)
    return activated(t, y, activation)


def sigmoid() -> dict[str, Any]:
    """Parameters of a quantizer that is a hard sigmoid."""
    return {**hard_sigmoid(), "affine": HARD_SIGMOID_AFFINE}


@dataclass(frozen=True, kw_only=True)
class SimpleRNNCell(_Gated):
    """``h' = activation(paq(iq(x) @ kq(kernel) + sq(h) @ rkq(recurrent_kernel) + bq(bias)))``; the output is ``h'``.

    Without ``sq`` the state has the formats of ``paq``.
    """

    @property
    def states(self) -> tuple[int, ...]:
        """The output."""
        return (self.units,)

    @property
    def _output(self) -> str:
        """Slot of the formats of the output."""
        return "paq_oq" if hasattr(self.activation, "function") else "paq"

    def enter(self, t: Trace, x: Value) -> Value:
        """Products with the kernel."""
        return self._project(t, x, 1)

    def first(self, t: Trace, state: Value, number: int) -> Value:  # noqa: ARG002 (it has one)
        """In its formats, those of the output where it has none of its own."""
        return t.again("sq" if self.enable_sq else self._output, state)

    def step(self, t: Trace, x: Value, *states: Value) -> tuple[Value, ...]:
        """See the class."""
        (h,) = states
        state = t.quantized("sq", h) if self.enable_sq else t.known(self._output, h)
        y = t.op(Add(), x, self._recur(t, t.dropped(self.recurrent_dropout, state), 1), share=0.0)
        y = squashed(t, "paq", y, self.activation, hard_tanh())
        return y, y


@dataclass(frozen=True, kw_only=True)
class GRUCell(_Gated):
    r"""A gated recurrent unit; ``x``, ``h`` and the weights are quantized by ``iq, sq, kq, rkq, bq``.

    .. math::
        z &= \text{praq}(x W_z + h U_z + b_z), \quad r = \text{praq}(x W_r + h U_r + b_r) \\
        c &= \text{paq}(x W_c + b_c + r \cdot \text{rhq}(h U_c + b'_c)) \quad \text{(reset\_after)} \\
        c &= \text{paq}(x W_c + b_c + \text{rhq}(r \cdot h) U_c) \quad \text{(else)} \\
        h' &= z \cdot h + (1 - z) \cdot c

    Attributes:
        recurrent_activation: of the gates, a hard sigmoid by the widths of ``praq`` if None.
        reset_after: whether the reset gate acts behind the product with the recurrent kernel, which then has a bias.
        reset_first: whether the weights have the reset gate before the update gate, as PyTorch's.
    """

    recurrent_activation: Activation = None
    reset_after: bool = True
    reset_first: bool = False

    @property
    def states(self) -> tuple[int, ...]:
        """The output."""
        return (self.units,)

    def enter(self, t: Trace, x: Value) -> Value:
        """Products with the kernels of the gates."""
        return self._project(t, x, 3)

    def first(self, t: Trace, state: Value, number: int) -> Value:  # noqa: ARG002 (it has one)
        """In its formats."""
        return t.again("sq", state)

    def step(self, t: Trace, x: Value, *states: Value) -> tuple[Value, ...]:
        """See the class."""
        (h,) = states
        state = t.quantized("sq", h)
        dropped = t.dropped(self.recurrent_dropout, state)
        update, reset = (1, 0) if self.reset_first else (0, 1)
        if self.reset_after:
            again = self._recur(t, dropped, 3)
            if self.use_bias:
                bias = t.weight("recurrent_bias", "rbq", (3 * self.units,), place="bias", start="zeros")
                again = t.op(Add(), again, bias)
            z, r = self._both(t, x, again, update, reset)
            inner = t.op(Multiply(), r, t.quantized("rhq", self._gate(t, again, 2)))
        else:
            kernel = t.stored("recurrent_kernel", (self.units, 3 * self.units))
            gates = t.op(Contract("bi,io->bo"), dropped, self._part(t, kernel, "rkq", 0, 2))
            z, r = self._both(t, x, gates, update, reset)
            inner = t.quantized("rhq", t.op(Multiply(), r, dropped))
            inner = t.op(Contract("bi,io->bo"), inner, self._part(t, kernel, "rckq", 2, 1))
        y = t.op(Add(), self._gate(t, x, 2), inner, share=0.0)
        candidate = squashed(t, "paq", y, self.activation, hard_tanh())
        rest = t.op(Add(), t.op(Negate(), z), t.constant(np.ones(self.units), name="one"), share=0.0)
        y = t.op(Add(), t.op(Multiply(), z, state), t.op(Multiply(), rest, candidate), share=0.0)
        return y, y

    def _part(self, t: Trace, kernel: Value, slot: str, first: int, gates: int) -> Value:
        """The columns of some gates of the recurrent kernel, with a quantizer of their own."""
        start, size = first * self.units, gates * self.units
        part = t.computed(_Columns(start, start + size), kernel, shape=(self.units, size))
        return t.quantized(slot, part, place="weight", name="recurrent_kernel")

    def _both(self, t: Trace, x: Value, again: Value, update: int, reset: int) -> tuple[Value, Value]:
        """Update and reset gate: one quantizer of both, as they stand in the weights."""
        size = 2 * self.units
        both = t.op(Add(), _first(t, x, size), _first(t, again, size), share=0.0)
        gates = squashed(t, "praq", both, self.recurrent_activation, sigmoid())
        return self._gate(t, gates, update), self._gate(t, gates, reset)


@dataclass(frozen=True, kw_only=True)
class LSTMCell(_Gated):
    r"""A long short-term memory; ``x``, ``h``, ``c`` and the weights are quantized by ``iq, sq, csq, kq, rkq, bq``.

    .. math::
        i, f, o &= \text{praq}(x W + h U + b), \quad g = \text{paq}(x W_g + h U_g + b_g) \\
        c' &= f \cdot c + i \cdot g, \quad h' = o \cdot \text{caq}(c')

    The weights have the gates in the order ``i, f, g, o``; states are ``h`` and ``c``.

    Attributes:
        recurrent_activation: of the gates, a hard sigmoid by the widths of ``praq`` if None.
    """

    recurrent_activation: Activation = None

    @property
    def states(self) -> tuple[int, ...]:
        """The output and the cell state."""
        return (self.units, self.units)

    def enter(self, t: Trace, x: Value) -> Value:
        """Products with the kernels of the gates."""
        return self._project(t, x, 4)

    def first(self, t: Trace, state: Value, number: int) -> Value:
        """In its formats."""
        return t.again(("sq", "csq")[number], state)

    def step(self, t: Trace, x: Value, *states: Value) -> tuple[Value, ...]:
        """See the class."""
        h, c = states
        state = t.dropped(self.recurrent_dropout, t.quantized("sq", h))
        y = t.op(Add(), x, self._recur(t, state, 4), share=0.0)
        forgets = _first(t, y, 2 * self.units)
        gates = t.op(Concatenate(0), forgets, self._gate(t, y, 3))
        gates = squashed(t, "praq", gates, self.recurrent_activation, sigmoid())
        enters, keeps, leaves = (self._gate(t, gates, n) for n in range(3))
        candidate = squashed(t, "paq", self._gate(t, y, 2), self.activation, hard_tanh())
        kept = t.op(Multiply(), keeps, t.quantized("csq", c))
        c = t.op(Add(), kept, t.op(Multiply(), enters, candidate), share=0.0)
        y = t.op(Multiply(), leaves, squashed(t, "caq", c, self.activation, hard_tanh()))
        return y, y, c
