"""The pressure on a trained width, as Keras regularisers.

>>> as_regularizer(1e-8)
MonoL1(l1=1e-08)
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.numbers import finite

__all__ = ["MonoL1", "as_regularizer"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class MonoL1(keras.regularizers.Regularizer):
    """``l1 * sum(w)``, signed: unlike L1 it also presses a negative width further down.

    Args:
        l1: the factor, per bit.

    Raises:
        ConfigError: the factor is not a finite number, or beyond float32.
    """

    def __init__(self, l1: Any) -> None:
        self.l1 = finite(l1, "MonoL1: l1")

    def __call__(self, x: Any) -> Any:
        """The penalty, a scalar."""
        return self.l1 * keras.ops.sum(x)

    def get_config(self) -> dict[str, float]:
        """Keyword arguments that make an equal regulariser."""
        return {"l1": self.l1}

    def __repr__(self) -> str:
        return f"MonoL1(l1={self.l1})"


def as_regularizer(value: Any) -> keras.regularizers.Regularizer | None:
    """The Keras regulariser that a quantizer specification means.

    Args:
        value: a factor (per bit), anything that `keras.regularizers.get` takes, or None.

    Returns:
        A Keras regulariser, or None.

    Raises:
        ConfigError: anything else.

    >>> as_regularizer(None) is None
    True
    """
    if value is None or isinstance(value, keras.regularizers.Regularizer):
        return value
    if isinstance(value, Real):
        return MonoL1(float(value))
    try:
        return keras.regularizers.get(value)
    except (ValueError, TypeError) as error:
        message = (
            f"regulariser of a width: received {value!r}, expected a factor, a Keras regulariser or None; "
            "write for example MonoL1(1e-8)"
        )
        raise ConfigError(message) from error
