"""What every layer has around its operation: quantizers of its inputs and of its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hgq_core.layers.tracing import checked

if TYPE_CHECKING:
    from hgq_core.layers.program import Declaration, Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Layered", "input_slots"]


def input_slots(number: int) -> tuple[str, ...]:
    """Names of the input quantizers of a layer with so many inputs.

    >>> input_slots(1), input_slots(2)
    (('iq',), ('iq_0', 'iq_1'))
    """
    return ("iq",) if number == 1 else tuple(f"iq_{n}" for n in range(number))


@dataclass(frozen=True)
class Layered:
    """``y = oq(operation(iq_0(x_0), iq_1(x_1), ...))``.

    Attributes:
        operation: the declaration of what is computed.
        enable_iq: whether the inputs are quantized.
        enable_oq: whether the output is, the first one of several.
    """

    operation: Declaration
    enable_iq: bool = True
    enable_oq: bool = False

    def __call__(self, t: Trace, *xs: Value) -> Value | tuple[Value, ...]:
        if self.enable_iq:
            xs = tuple(t.quantized(slot, x) for slot, x in zip(input_slots(len(xs)), xs, strict=True))
        y, *others = checked(self.operation(t, *xs))
        y = t.quantized("oq", y) if self.enable_oq else y
        return (y, *others) if others else y
