"""What a layer is once it has been traced: a flat list of steps, and the only list of its quantizers and weights.

A declaration is a function of a `Trace` and of values. Tracing it for fixed shapes gives a `Program`; what the program
computes, costs, and is in the Graph are readings of its steps (`hgq_core.layers.readings, counting, emit`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NewType

from hgq_core.errors import ConfigError
from hgq_core.layers.steps import Quantized, QuantizerSlot, Step, WeightSlot

if TYPE_CHECKING:
    from hgq_core.graph.ops import Shape

__all__ = ["Declaration", "Program", "Value", "last_uses"]

Value = NewType("Value", int)
"""A tensor inside a declaration: the number of the step that gives it."""
Declaration = Callable[..., Any]
"""``declaration(t, *values)``: what a layer computes, written to a `Trace`; returns its output, a `Value`."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The steps of a layer for inputs of fixed shapes, in an order in which each follows what it reads.

    Attributes:
        steps: what is done.
        inputs: numbers of the Feed steps.
        outputs: numbers of the steps that give the results, most often one.
        quantizers: the quantizers of the layer, by slot; what is inside of a declared part has its path, ``query/kq``.
        weights: the weights of the layer, likewise.
        nested: the layers inside that have slots of their own, by their place.
        last_use: for each step, the steps whose results nobody reads after it.

    >>> from hgq_core.layers import EinsumDense, Layered, trace
    >>> program = trace(Layered(EinsumDense("bi,io->bo", (4, 2), (2,))), (4,))
    >>> list(program.quantizers), list(program.weights), program.output_shape
    (['iq', 'kq', 'bq'], ['kernel', 'bias'], (2,))
    """

    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    quantizers: Mapping[str, QuantizerSlot]
    weights: Mapping[str, WeightSlot]
    nested: Mapping[str, Any]
    last_use: tuple[tuple[int, ...], ...]

    @property
    def output(self) -> int:
        """Number of the step that gives the result, the first one of several."""
        return self.outputs[0]

    @property
    def output_shape(self) -> Shape:
        """Shape of the result, the first one of several, without the batch axis."""
        return self.steps[self.output].shape

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        """Shapes of all results, without the batch axis."""
        return tuple(self.steps[number].shape for number in self.outputs)

    def constant_steps(self, slot: str) -> tuple[int, ...]:
        """The steps, in order, that the tensor of a weight quantizer is computed by, that of the slot left out.

        Raises:
            ConfigError: no weight is quantized by this slot.
        """
        found = [n for n, step in enumerate(self.steps) if isinstance(step.kind, Quantized) and step.kind.slot == slot]
        if not found or not self.steps[found[0]].constant:
            message = f"slot {slot!r} quantizes no weight; expected one of {self.weight_quantizers}"
            raise ConfigError(message)
        return self.constants_before(self.steps[found[0]].args)

    def constants_before(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """The constant steps, in order, that those of these numbers are computed by, they among them."""
        needed: set[int] = set()
        pending = list(numbers)
        while pending:
            number = pending.pop()
            if self.steps[number].constant and number not in needed:
                needed.add(number)
                pending.extend(self.steps[number].args)
        return tuple(sorted(needed))

    def gives_data_widths(self, inside: Callable[[Any], Program | None]) -> bool:
        """Whether something in the layer, or in a layer inside of it, quantizes data that it computes with.

        EBOPs count the widths of data; without any there is nothing to count but biases.

        Args:
            inside: the program of a layer inside; None before it is built.
        """
        if any(not slot.constant and name != "oq" for name, slot in self.quantizers.items()):
            return True
        programs = [inside(layer) for layer in self.nested.values()]
        return any(p is not None and ("oq" in p.quantizers or p.gives_data_widths(inside)) for p in programs)

    def check_data_widths(self, inside: Callable[[Any], Program | None]) -> None:
        """Raise ConfigError, of a layer that has to count EBOPs, unless it `gives_data_widths`."""
        if not self.gives_data_widths(inside):
            message = (
                "EBOPs count the bits of the input, and enable_iq=False leaves them unknown; enable the input "
                "quantizer, or give enable_ebops=False"
            )
            raise ConfigError(message)

    @property
    def weight_quantizers(self) -> tuple[str, ...]:
        """Slots that quantize a weight."""
        return tuple(name for name, slot in self.quantizers.items() if slot.constant)


def last_uses(steps: Sequence[Step], *outputs: int) -> tuple[tuple[int, ...], ...]:
    """For each step, the steps whose results nobody reads after it, but for the outputs."""
    last = {argument: number for number, step in enumerate(steps) for argument in step.args}
    freed: list[list[int]] = [[] for _ in steps]
    for argument, number in last.items():
        if argument not in outputs:
            freed[number].append(argument)
    return tuple(map(tuple, freed))
