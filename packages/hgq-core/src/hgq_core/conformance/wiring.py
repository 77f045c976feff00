"""Which layer of a case is applied to what: a case is a graph of layers, given as a list in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hgq_core.conformance.backend import Layer

__all__ = ["Call", "calls_of", "evaluated", "input_count"]


@dataclass(frozen=True, slots=True)
class Call:
    """One application of a layer.

    Attributes:
        layer: its position in the list; that of the first mention for a layer that is applied again.
        operands: positions of the calls whose results it takes; ``-1 - n`` is the n-th input of the model.
    """

    layer: int
    operands: tuple[int, ...]


def calls_of(layers: Sequence[Layer]) -> list[Call]:
    """The applications, in order; the last one gives the output of the model."""
    calls = []
    for number, layer in enumerate(layers):
        operands = layer.inputs
        if operands is None:
            first = (-1, -2) if layer.kind == "add" else (-1,)
            operands = (number - 1,) if number else first
        calls.append(Call(number if layer.again is None else layer.again, operands))
    return calls


def input_count(layers: Sequence[Layer]) -> int:
    """How many inputs the model has."""
    return max(-operand for call in calls_of(layers) for operand in call.operands)


def evaluated(layers: Sequence[Layer], inputs: Sequence[Any], apply: Callable[[int, list[Any]], Any]) -> Any:
    """The output of the model; ``apply(position, operands)`` gives the result of a layer."""
    results: list[Any] = []
    for call in calls_of(layers):
        operands = [results[n] if n >= 0 else inputs[-1 - n] for n in call.operands]
        results.append(apply(call.layer, operands))
    return results[-1]
