"""Functions of one number: whether a function is one, and values of it that do not depend on how it is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.errors import ConfigError
from hgq_core.layers.noise import bits_without_noise
from hgq_keras._start import values_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_elementwise", "shared_values"]

_NUMBERS = np.array([-1.5, -0.25, 0.5, 2.0], np.float32)
_ORDER = np.array([0, 1, 2, 3, 3, 1, 0, 2])


def shared_values(function: Callable[..., Any], x: Any, *weights: Any) -> Any:
    """``function(x, *weights)`` in float32, the same bits from eager and from compiled code.

    TensorFlow's graph compiler replaces ``x * sigmoid(x)`` in float32 by one kernel of its own, and XLA has other
    polynomials and fused multiply-adds: each rounds the last bits of float32 in its own way. In float64 they differ
    too, but 2**-29 further down, where rounding removes it. On JAX all code goes through XLA, and float64 is switched
    off unless the user asks for it: there the function is one compiled piece everywhere.
    """
    if keras.backend.backend() == "jax":
        from hgq_keras.kernels.jax_unary import compiled

        return compiled(function, x, *weights)
    y = ops.cast(function(*(ops.cast(part, "float64") for part in (x, *weights))), "float64")
    exact = ops.view(bits_without_noise(ops.view(y, dtype="int64")), dtype="float64")
    return ops.cast(ops.cast(exact, "float32"), x.dtype)


def check_elementwise(function: Callable[[Any], Any], owner: str) -> None:
    """Raise ConfigError unless a function of a vector is the function of each of its elements.

    Args:
        function: the function, tried on a few numbers.
        owner: name of the layer, for the message.
    """
    mixed = _probe(function, _NUMBERS[_ORDER], owner)
    single = np.stack([_probe(function, np.full(_ORDER.shape, number), owner) for number in _NUMBERS])
    expected = single[_ORDER, np.arange(len(_ORDER))]
    everywhere = np.broadcast_to(single[:, :1], single.shape)
    # To the last bit: a table holds one result for each number, wherever it stands.
    if not np.array_equal(single, everywhere, equal_nan=True) or not np.array_equal(mixed, expected, equal_nan=True):
        raise ConfigError(_refusal(function, owner, "its result for one element depends on the others"))


def _probe(function: Callable[[Any], Any], x: np.ndarray, owner: str) -> np.ndarray:
    """The function of a vector."""
    try:
        with values_at_once():
            y = np.asarray(ops.convert_to_numpy(shared_values(function, ops.convert_to_tensor(x))))
    except Exception as error:  # a function of the user's own may raise anything
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(_refusal(function, owner, f"it fails on a vector of float64 numbers ({said})")) from error
    if y.shape != x.shape:
        message = _refusal(function, owner, f"it makes shape {y.shape} of shape {x.shape}")
        raise ConfigError(message)
    return y


def _refusal(function: Any, owner: str, found: str) -> str:
    name = getattr(function, "__name__", repr(function))
    return (
        f"layer {owner!r}: {name} is not a function of one number: {found}; expected an elementwise function such as "
        "'tanh', with constants as Python numbers; a layer that mixes elements has no table"
    )
