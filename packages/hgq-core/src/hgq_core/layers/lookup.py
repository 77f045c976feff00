"""Functions of one number as lookup tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hgq_core.layers.program import Trace, Value

__all__ = ["UnaryFunction"]


@dataclass(frozen=True)
class UnaryFunction:
    """``y = oq(function(x))`` as a table over every representable x.

    Attributes:
        function: of one number, ``function(ops, x)``.
        enable_oq: whether the output is quantized; without, the layer only trains.
    """

    function: Any
    enable_oq: bool = True

    def __call__(self, t: Trace, x: Value) -> Value:
        return t.table("oq", self.function, x) if self.enable_oq else t.applied(self.function, x)
