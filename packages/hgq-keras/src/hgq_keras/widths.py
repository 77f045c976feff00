"""The widths of a quantizer: which variables it has, how they start, and how many bits they amount to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import ops

from hgq_core.cost import counted_bits
from hgq_core.errors import DataError
from hgq_core.modes import Overflow
from hgq_core.spec import KBI, KIF, Float
from hgq_keras.initializers import Filled

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.ops import Ops

__all__ = ["Width", "counted", "declared", "straight_through", "width_dtype"]


class Width(NamedTuple):
    """One variable of a quantizer, in bits."""

    name: str
    start: Any
    constraint: Any
    regularizer: Any
    trained: bool

    def initializer(self, quantizer: str) -> Any:
        """The start as Keras takes it; raises DataError for a number that is not finite."""
        if not isinstance(self.start, int | float | np.number):
            return self.start
        if not np.isfinite(self.start):
            message = (
                f"quantizer {quantizer!r}: initial width {self.name} is {self.start}, expected a finite number of bits"
            )
            raise DataError(message)
        return Filled(float(self.start))


def declared(spec: KIF | KBI | Float) -> list[Width]:
    """The variables of a quantizer; the integer bits follow the data under WRAP, and are trained otherwise."""
    free = spec.trainable
    if isinstance(spec, Float):
        return [
            Width("m", spec.m0, spec.mc, spec.mr, free),
            Width("e", spec.e0, spec.ec, spec.er, free),
            Width("e0", spec.e00, spec.e0c, spec.e0r, free),
        ]
    limited = spec.overflow_mode is not Overflow.WRAP
    second = (
        Width("f", spec.f0, spec.fc, spec.fr, free)
        if isinstance(spec, KIF)
        else Width("b", spec.b0, spec.bc, spec.br, free)
    )
    return [Width("k", spec.k0, None, None, False), Width("i", spec.i0, spec.ic, spec.ir, free and limited), second]


def counted(verbs: Ops, spec: KIF | KBI | Float, whole: Callable[[str], Any]) -> Any:
    """Bits that EBOPs counts; ``whole`` gives a width by name as a whole number."""
    if isinstance(spec, Float):
        m = whole("m")
        return verbs.where(m < 0, m * 0.0, m + whole("e") + 1.0)
    if isinstance(spec, KBI) and spec.overflow_mode is not Overflow.SAT:
        b = whole("b")
        return verbs.where(b >= 0, b, b * 0.0)
    i = whole("i")
    f = whole("f") if isinstance(spec, KIF) else whole("b") - i
    return counted_bits(verbs, whole("k"), i, f, spec.overflow_mode)


def straight_through(width: Any) -> Any:
    """A stored width read as a whole number of bits: half to even, gradient passed through unchanged."""
    return width + ops.stop_gradient(ops.round(width) - width)


def width_dtype() -> str:
    """The type of losses, which regularisers of widths and EBOPs enter, but never less than float32."""
    return "float64" if keras.config.floatx() == "float64" else "float32"
