"""How the variables of widths begin, and their type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import DataError
from hgq_keras._initializers import Filled

if TYPE_CHECKING:
    from hgq_core.quantizer import Width

__all__ = ["initializer", "width_dtype"]


def initializer(width: Width, quantizer: str) -> Any:
    """The start of a width as Keras takes it; raises DataError for a number that is not finite."""
    if not isinstance(width.start, int | float | np.number):
        return width.start
    if not np.isfinite(width.start):
        message = (
            f"quantizer {quantizer!r}: initial width {width.name} is {width.start}, expected a finite number of bits"
        )
        raise DataError(message)
    return Filled(float(width.start))


def width_dtype() -> str:
    """The type of losses, which regularisers of widths and EBOPs enter, but never less than float32."""
    return "float64" if keras.config.floatx() == "float64" else "float32"
