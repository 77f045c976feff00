"""The operands of a call in the Graph: edges, and constants for what is no tensor of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import DataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hgq_keras.export import Emitter
    from hgq_keras.topology import Call, Key

__all__ = ["operand_names"]

_TAKE_CONSTANTS = (
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
)


def operand_names(call: Call, values: Mapping[Key, str], emitter: Emitter) -> list[str]:
    """The edge of each operand; a constant is appended to the Graph.

    Raises:
        UnsupportedError: a constant where the Graph cannot hold one; it names the layer and the remedy.
        DataError: NaN or infinity in a constant.
    """
    most = max((len(emitter.shape(values[key])) + 1 for key in call.reads), default=0)
    return [
        values[operand] if isinstance(operand, tuple) else _constant(call.layer, operand, most, emitter)
        for operand in call.operands
    ]


def _constant(layer: Any, value: NDArray[Any], most: int, emitter: Emitter) -> str:
    """Append a constant operand without its batch axis, over which it must be the same."""
    named = f"layer {emitter.label!r} ({type(layer).__name__})"
    if not isinstance(layer, _TAKE_CONSTANTS):
        message = (
            f"{named} has a constant operand, which the Graph does not take there; combine it with the data by "
            "keras.layers.Add(), Subtract, Multiply, Maximum or Minimum, or make it an input of the model"
        )
        raise UnsupportedError(message)
    if value.ndim > most or value.shape[:1] != (1,):
        message = (
            f"{named} has a constant of shape {value.shape}; expected at most {most} axes, as its tensors have, and "
            "a first axis of size 1, since every row of data is computed alike"
        )
        raise UnsupportedError(message)
    if not np.all(np.isfinite(value)):
        message = f"layer {emitter.label!r}: its constant contains NaN or infinity; replace it by finite numbers"
        raise DataError(message)
    return emitter.constant(value[0].astype(np.float32), None, "constant")
