"""What PyTorch's recurrent layers have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from hgq_core.errors import ConfigError, ShapeError, UnsupportedError
from hgq_core.layers import Recurrent, StackedRecurrent
from hgq_torch._prepare import prepared
from hgq_torch.nn._arguments import check_factor, positive
from hgq_torch.nn._gates import Gated, stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.graph import GraphBuilder
    from hgq_core.layers import Declaration, Program
    from hgq_torch._make import QuantizerLike
    from hgq_torch._slots import Layout

__all__ = ["RecurrentModule"]


class RecurrentModule(Gated):
    """Abstract: what PyTorch's recurrent layers have in common.

    Args:
        sizes: of input and state, and the number of layers.
        options: by name: ``bias, batch_first, dropout, bidirectional, recurrent_dropout, parallelization_factor``.
        quantizers: by the slot of one layer; each layer and direction has its own of these.
        base: arguments of `QModule`.
    """

    batch_first: bool
    shapes_from_arguments: ClassVar[bool] = False
    input_in_declaration: ClassVar[bool] = True

    def __init__(
        self,
        sizes: tuple[int, int, int],
        options: Mapping[str, Any],
        quantizers: Mapping[str, QuantizerLike],
        base: Mapping[str, Any],
    ) -> None:
        self._directions = 2 if options["bidirectional"] else 1
        number = positive(sizes[2], "num_layers")
        self._names = [f"l{n}{suffix}" for n in range(number) for suffix in ("", "_reverse")[: self._directions]]
        single = len(self._names) == 1
        given = {slot if single else f"{name}/{slot}": q for name in self._names for slot, q in quantizers.items()}
        if not single and any(hasattr(q, "sharing") for q in quantizers.values()):
            message = (
                f"{type(self).__name__}: received one Quantizer for several layers, whose widths it cannot hold; give "
                "a specification or a dict, of which each layer gets its own"
            )
            raise ConfigError(message)
        super().__init__(quantizers=given, **base)
        self.input_size, self.hidden_size = positive(sizes[0], "input_size"), positive(sizes[1], "hidden_size")
        self.num_layers, self.bidirectional = number, bool(options["bidirectional"])
        self.use_bias, self.batch_first = bool(options["bias"]), bool(options["batch_first"])
        self.dropout, self.recurrent_dropout = float(options["dropout"]), float(options["recurrent_dropout"])
        self.parallelization_factor = check_factor(options["parallelization_factor"])
        self._from_states: Program | None = None
        self.begin((max(1, self.parallelization_factor), self.input_size))

    @property
    def layouts(self) -> Mapping[str, Layout]:  # type: ignore[override]
        """Weights as PyTorch stores them, kernels transposed, by the names that it has for them."""
        layouts: dict[str, Layout] = {}
        for name in self._names:
            layouts |= stored("" if len(self._names) == 1 else f"{name}/", f"_{name}")
        return layouts

    @abstractmethod
    def cell(self) -> Any:
        """One step of a layer."""

    @property
    def shape_hint(self) -> str:  # type: ignore[override]
        """What a refusal of another shape ends with."""
        hint = "; a loop in hardware has one number of steps"
        return hint if self.batch_first else f"{hint}, here on axis 0: a graph needs batch_first=True"

    def declaration(self) -> Declaration:
        """The layers one behind the other."""
        layers = tuple(
            tuple(
                Recurrent(
                    self.cell(), return_sequences=True, return_state=True, go_backwards=reverse,
                    parallelization_factor=self.parallelization_factor, enable_iq=self.enable_iq,
                )
                for reverse in (False, True)[: self._directions]
            )
            for _ in range(self.num_layers)
        )  # fmt: skip
        return StackedRecurrent(layers, self.dropout)

    def retrace(self) -> None:
        """Read the declaration again after an option of it was changed; its slots stay."""
        super().retrace()
        self._from_states = None

    # --- forward --------------------------------------------------------------------------------------------------

    def forward(self, x: Any, hx: Any = None) -> tuple[Tensor, Any]:  # type: ignore[override]
        """The outputs of all steps, and the states after the last one.

        Args:
            x: ``(steps, batch, input_size)``, with ``batch_first`` ``(batch, steps, input_size)``, or
                ``(steps, input_size)`` for one example.
            hx: the first states, as PyTorch's layer takes them; zeros if not given.

        Returns:
            the outputs, ``directions * hidden_size`` numbers for each step, and the states ``(layers * directions,
            batch, hidden_size)``.

        Raises:
            UnsupportedError: a packed sequence.
            ShapeError: data or states of other shapes, or another number of steps than before.
        """
        if not isinstance(x, Tensor):
            message = (
                f"{self.title}: received a {type(x).__name__}, expected a tensor: hardware has sequences of one "
                "length; pad them, and take the output at the last item of each"
            )
            raise UnsupportedError(message)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            message = (
                f"{self.title}: received a tensor of shape {tuple(x.shape)}, expected 3 axes, or 2 for one example, "
                f"the last of size {self.input_size}"
            )
            raise ShapeError(message)
        if x.ndim == 2:
            states = None if hx is None else tuple(state.unsqueeze(1) for state in self._as_tuple(hx))
            y, last = self._batched(x.unsqueeze(0), states)
            return y.squeeze(0), self._packed([state.squeeze(1) for state in last])
        y, last = self._batched(
            x if self.batch_first else x.transpose(0, 1), None if hx is None else self._as_tuple(hx)
        )
        return y if self.batch_first else y.transpose(0, 1), self._packed(last)

    def _batched(self, x: Tensor, states: Sequence[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        if states is None:
            y, *last = super().forward(x)
        else:
            y, *last = self._continued(x, states)
        number = len(self._names)
        return y, [torch.stack(last[n : n + number]) for n in range(0, len(last), number)]

    def _continued(self, x: Tensor, states: Sequence[Tensor]) -> Any:
        """The results from first states."""
        rows, size = (len(self._names), x.shape[0], self.hidden_size), len(self.cell().states)
        if len(states) != size or any(tuple(state.shape) != rows for state in states):
            message = (
                f"{self.title}: received first states of {[tuple(state.shape) for state in states]}, expected {size} "
                f"of {rows}"
            )
            raise ShapeError(message)
        self.build(x.shape[1:])
        xs = (x, *(state for kind in states for state in kind.unbind(0)))
        if self._from_states is None:
            self._from_states = prepared(self._traced(tuple(x.shape[1:] for x in xs)), self, "continued")
        return self.run(self._from_states, xs)

    def _as_tuple(self, hx: Any) -> tuple[Tensor, ...]:
        return tuple(hx) if isinstance(hx, tuple | list) else (hx,)

    def _packed(self, states: list[Tensor]) -> Any:
        return tuple(states) if len(states) > 1 else states[0]

    def operands_of(self, given: Sequence[Any], title: str) -> Sequence[Any]:
        """The sequence; raises UnsupportedError where first states are given."""
        if len(given) > 1:
            message = (
                f"{title} is applied to first states, whose batch is on axis 1, and a graph has it on axis 0; leave "
                "them out, or step through the sequence by a cell, such as QGRUCell"
            )
            raise UnsupportedError(message)
        return given

    def results_of(self, returned: Any) -> Sequence[Any]:
        """The outputs, and each state by itself."""
        y, states = returned
        return [y, *(state for kind in self._as_tuple(states) for state in kind.unbind(0))]

    def emit(self, builder: GraphBuilder, label: str, inputs: Sequence[str]) -> tuple[str, ...]:
        """Append this layer's nodes to a Graph; raises UnsupportedError unless the batch is on axis 0."""
        if not self.batch_first:
            message = (
                f"{self.title} {label!r}: batch_first=False has the batch on axis 1, and a graph has it on axis 0; set "
                "batch_first=True and feed (batch, steps, features)"
            )
            raise UnsupportedError(message)
        return super().emit(builder, label, inputs)

    def extra_repr(self) -> str:
        """Sizes and options."""
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (("num_layers", 1), ("batch_first", False), ("bidirectional", False), ("dropout", 0.0)):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text if self.use_bias else text + ", bias=False"
