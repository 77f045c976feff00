"""How widths begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Filled"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class Filled(keras.initializers.Initializer):
    """Every element is one number, made by NumPy: `keras.initializers.Constant` compiles each new shape on JAX.

    Args:
        value: the number.

    >>> keras.ops.convert_to_numpy(Filled(2.0)((1, 2))).tolist()
    [[2.0, 2.0]]
    """

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """A tensor of this shape and type."""
        dtype = keras.backend.standardize_dtype(dtype)
        # With its type: JAX compiles a step for each shape of an array that comes without one.
        return keras.ops.convert_to_tensor(np.full(tuple(shape), self.value, dtype), dtype)

    def get_config(self) -> dict[str, float]:
        """Keyword arguments that make an equal initialiser."""
        return {"value": self.value}
