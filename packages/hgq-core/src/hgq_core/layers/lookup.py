"""Functions of one number as lookup tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace
    from hgq_core.ops import Ops

__all__ = ["UnaryFunction"]


@dataclass(frozen=True)
class UnaryFunction:
    """``y = oq(function(x))`` as a table over every representable x, or ``y = oq(function(x * scale + bias))``.

    Attributes:
        function: of one number, ``function(ops, x)``.
        enable_oq: whether the output is quantized; without, the layer only trains.
        affine: whether there are a learned ``scale`` and ``bias``, one number each, inside of the table.
    """

    function: Any
    enable_oq: bool = True
    affine: bool = False

    def __call__(self, t: Trace, x: Value) -> Value:
        if self.affine:
            weights = t.stored("scale", (1,), start="ones"), t.stored("bias", (1,), start="zeros")
            return t.table("oq", _Affine(self.function), x, *weights)
        return t.table("oq", self.function, x) if self.enable_oq else t.applied(self.function, x)


@dataclass(frozen=True)
class _Affine:
    """``function(x * scale + bias)``."""

    function: Any

    def __call__(self, ops: Ops, x: Any, scale: Any, bias: Any) -> Any:
        return self.function(ops, x * scale + bias)
