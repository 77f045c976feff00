"""The forward pass of a layer, with the chains that `hgq_keras.kernels` computes at once as one step each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.layers import Values
from hgq_core.layers.patterns import Chain, joined
from hgq_keras.kernels import chained

if TYPE_CHECKING:
    from hgq_core.layers import Program
    from hgq_core.layers.steps import Step

__all__ = ["FusedValues", "fused"]


def fused(program: Program) -> Program:
    """The program with each such chain as one step."""
    return program if chained is None else joined(program, lambda chain: chain)


class FusedValues(Values):
    """The forward pass of a `fused` program."""

    def step(self, program: Program, step: Step, args: list[Any]) -> Any:
        """The result of one step."""
        kind: Any = step.kind
        if type(kind) is not Chain:
            return super().step(program, step, args)
        x = self.slots.quantized(kind.data, args[0])
        weights = [
            None if part is None else self.slots.quantized(part[0], self.slots.stored(part[1]))
            for part in (kind.kernel, kind.bias)
        ]
        return chained(kind, x, *weights)
