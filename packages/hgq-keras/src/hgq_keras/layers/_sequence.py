"""What layers that step through a sequence have in common: states, masks, and how they are called."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_core.errors import ShapeError, UnsupportedError
from hgq_core.layers import OneStep, Recurrent, check_factor
from hgq_keras.kernels.fuse import fused
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.graph import GraphBuilder
    from hgq_core.layers import Cell, Declaration, Program

__all__ = ["CellLayer", "SequenceLayer"]


class SequenceLayer(QLayer):
    """Abstract over the cell: a layer that takes ``(batch, steps, features)`` step by step.

    Args:
        options: ``return_sequences, return_state, go_backwards, stateful, unroll, parallelization_factor``.
        base: arguments of `QLayer`.
    """

    input_in_table = True
    dropout = 0.0

    def __init__(self, options: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        super().__init__(**base)
        self.return_sequences, self.return_state = bool(options["return_sequences"]), bool(options["return_state"])
        self.go_backwards, self.stateful = bool(options["go_backwards"]), bool(options["stateful"])
        self.unroll = options["unroll"]
        self.unrolled = bool(self.unroll)
        check_factor(options["parallelization_factor"])
        self.parallelization_factor = int(options["parallelization_factor"])
        self.states: list[Any] = []
        self._variants: dict[tuple[bool, bool], tuple[Program, Program]] = {}

    @abstractmethod
    def cell(self) -> Cell:
        """What one step computes."""

    def declaration(self) -> Declaration:
        return self._declared(masked=False)

    def _declared(self, *, masked: bool) -> Declaration:
        return Recurrent(
            self.cell(),
            return_sequences=self.return_sequences,
            return_state=self.return_state or self.stateful,
            go_backwards=self.go_backwards,
            masked=masked,
            dropout=self.dropout,
            parallelization_factor=self.parallelization_factor,
            enable_iq=self.enable_iq,
        )

    def build(self, sequence_shape: Any, initial_state_shape: Any = None) -> None:  # noqa: ARG002 (Keras gives both)
        """As of `QLayer`; raises ShapeError for a layer that keeps its states and does not know the batch."""
        if self.stateful and not self.states:
            batch = sequence_shape[0]
            if batch is None:
                message = (
                    f"layer {self.name!r} keeps its states (stateful=True), one for each row of the batch, and the "
                    "size of the batch is not known; give keras.Input(batch_shape=(rows, steps, features))"
                )
                raise ShapeError(message)
            self.states = [
                self.add_weight(name=f"state_{n}", shape=(batch, size), initializer="zeros", trainable=False)
                for n, size in enumerate(self.cell().states)
            ]
        super().build(sequence_shape)

    def _variant(self, given: bool, masked: bool) -> tuple[Program, Program]:
        """The program with first states or a mask among its inputs; as it was traced, and as it runs."""
        if not (given or masked):
            return self.program, self._running
        if (given, masked) not in self._variants:
            sequence = self.input_shapes[0]
            shapes = [sequence, *([(None, sequence[1])] if masked else [])]
            shapes += [(None, size) for size in self.cell().states] if given else []
            program = self._traced(shapes, self._declared(masked=masked))
            self._variants[given, masked] = program, fused(program)
        return self._variants[given, masked]

    def call(  # type: ignore[override]
        self, sequence: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None
    ) -> Any:
        """Final: the outputs, and the states after the last step where ``return_state`` asks for them.

        Args:
            sequence: ``(batch, steps, features)``.
            initial_state: the first states, a tensor ``(batch, units)`` for each; None: zeros, or those that are kept.
            mask: ``(batch, steps)``; a step where it is False changes nothing, and gives the output before it again.
            training: as of every Keras layer.
        """
        states = self._first(initial_state)
        program = self._variant(bool(states), mask is not None)[1]
        masks = [] if mask is None else [ops.cast(mask, sequence.dtype)]
        results = self.run(program, [sequence, *masks, *states], training)
        if not self.stateful:
            return results
        y, *last = results
        for variable, state in zip(self.states, last, strict=True):
            variable.assign(state)
        return results if self.return_state else y

    def _first(self, given: Any) -> list[Any]:
        """The first states as tensors; none where they are zeros."""
        if given is None:
            return [ops.convert_to_tensor(state) for state in self.states]
        states = [ops.convert_to_tensor(state) for state in keras.tree.flatten(given)]
        expected = self.cell().states
        received = [tuple(state.shape)[1:] for state in states]
        if received != [(size,) for size in expected]:
            message = (
                f"layer {self.name!r}: initial_state: received rows of shapes {received}, expected "
                f"{[(size,) for size in expected]}"
            )
            raise ShapeError(message)
        return states

    def reset_state(self) -> None:
        """Set the states that are kept between batches to zero."""
        for state in self.states:
            state.assign(ops.zeros(state.shape, dtype=state.dtype))

    def reset_states(self) -> None:
        """As `reset_state`, under the name that Keras has too."""
        self.reset_state()

    def compute_output_shape(self, sequence_shape: Any, initial_state_shape: Any = None) -> Any:  # noqa: ARG002
        shapes = [(sequence_shape[0], *shape) for shape in self._program_for([tuple(sequence_shape)]).output_shapes]
        return shapes if self.return_state else shapes[0]

    def compute_mask(self, sequence: Any, previous_mask: Any) -> Any:  # noqa: ARG002 (Keras gives both)
        """The mask of the sequence, of an output for each step."""
        mask = keras.tree.flatten(previous_mask)[0] if self.return_sequences and previous_mask is not None else None
        return [mask, *([None] * len(self.cell().states))] if self.return_state else mask

    def emit(self, builder: GraphBuilder, label: str, inputs: Sequence[str]) -> tuple[str, ...]:
        """Append the layer to a Graph; raises UnsupportedError for one that keeps its states."""
        self.check_call(SequenceLayer.call, label)
        if self.stateful:
            message = (
                f"layer {label!r} keeps its states between calls (stateful=True), and a graph has no memory; make the "
                "states inputs and outputs of the model: initial_state=..., return_state=True"
            )
            raise UnsupportedError(message)
        return self.append(self._variant(len(inputs) > 1, masked=False)[0], builder, label, inputs)

    def get_config(self) -> dict[str, Any]:
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "parallelization_factor")
        return super().get_config() | {name: getattr(self, name) for name in names}


class CellLayer(QLayer):
    """Abstract over the cell: a layer that is one step, for loops of a user's own.

    It is called as a cell of Keras, ``y, states = cell(x, states)``, with ``x`` of shape ``(batch, features)``. In
    training its quantizers follow the data of every call, so that a loop that is compiled as one step, that of
    `keras.layers.RNN` on JAX and TensorFlow, cannot train it; use the layer of the same name without ``Cell`` there.
    """

    input_in_table = True
    dropout = 0.0

    @abstractmethod
    def cell(self) -> Cell:
        """What the step computes."""

    @property
    def state_size(self) -> Any:
        """Sizes of the states, a number of one."""
        sizes = list(self.cell().states)
        return sizes[0] if len(sizes) == 1 else sizes

    @property
    def output_size(self) -> int:
        """Size of the output."""
        return self.cell().units

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for each state."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.cell().states]

    def declaration(self) -> Declaration:
        return OneStep(self.cell(), self.dropout, self.enable_iq)

    def _shapes(self, given: Any) -> list[Any]:
        return [given, *((None, size) for size in self.cell().states)]

    def build(self, inputs_shape: Any, states_shape: Any = None) -> None:  # noqa: ARG002 (Keras gives both)
        """As of `QLayer`."""
        super().build(inputs_shape)

    def _make_input_quantizers(self, number: int) -> None:  # noqa: ARG002 (states have quantizers of their own)
        super()._make_input_quantizers(1)

    def call(self, inputs: Any, states: Any, training: bool | None = None) -> Any:  # type: ignore[override]
        """Final: the output, and the next states as they were given, a list or a tensor."""
        given = keras.tree.flatten(states)
        y, *following = self.run(self._running, [inputs, *given], training)
        return y, keras.tree.pack_sequence_as(states, following)

    def compute_output_shape(self, inputs_shape: Any, states_shape: Any = None) -> Any:
        states = [(inputs_shape[0], size) for size in self.cell().states]
        alone = states_shape is not None and isinstance(states_shape[0], int | None)
        return (inputs_shape[0], self.cell().units), states[0] if alone else states

    def emit(self, builder: GraphBuilder, label: str, inputs: Sequence[str]) -> tuple[str, ...]:
        """Append the step to a Graph."""
        self.check_call(CellLayer.call, label)
        return self.append(self.program, builder, label, inputs)
