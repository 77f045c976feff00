"""The operands of a call in the Graph: edges, and constants for what is no tensor of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import DataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hgq_core.graph.emit import Emitter
    from hgq_keras._topology import Call, Key

__all__ = ["constant_operand", "finite", "operand_names"]

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
    return emitter.constant(finite(value, emitter.label)[0].astype(np.float32), None, "constant")


def finite(value: NDArray[Any], label: str) -> NDArray[Any]:
    """The constant; raises DataError for NaN or infinity in it."""
    if not np.all(np.isfinite(value)):
        message = f"layer {label!r}: its constant contains NaN or infinity; replace it by finite numbers"
        raise DataError(message)
    return value


def constant_operand(value: Any, rank: int, dtype: str, emitter: Emitter) -> str:
    """Append a number or an array that meets data of this rank and type, as NumPy broadcasts.

    Raises:
        UnsupportedError: it differs from row to row of the batch, or has numbers that the type of the data rounds.
        DataError: NaN or infinity.
    """
    array = finite(np.asarray(value), emitter.label)
    if array.ndim > rank or (array.ndim == rank and array.shape[0] != 1):
        message = (
            f"layer {emitter.label!r} has a constant of shape {array.shape}; expected at most {rank} axes, as its "
            "tensor has, and then a first axis of size 1, since every row of data is computed alike"
        )
        raise UnsupportedError(message)
    array = array[0] if array.ndim == rank else array
    held = array.astype(dtype if np.dtype(dtype).kind == "f" else np.float32)
    if isinstance(value, np.ndarray) and np.any(held.astype(np.float64) != array.astype(np.float64)):
        message = (
            f"layer {emitter.label!r} has a constant of type {array.dtype} with numbers that {held.dtype} rounds, and "
            f"each backend in its own way; round it yourself: numpy.{held.dtype}(...)"
        )
        raise UnsupportedError(message)
    return emitter.constant(held, None, "constant")
