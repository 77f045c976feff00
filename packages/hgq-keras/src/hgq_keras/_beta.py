"""The weight of EBOPs in the loss: the layers that have one, and how it is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.errors import ConfigError
from hgq_core.numbers import not_negative
from hgq_keras.layers import quantized_layers

if TYPE_CHECKING:
    import keras

    from hgq_keras.layers import QLayer

__all__ = ["set_beta", "with_ebops"]


def set_beta(model: keras.Model, beta: float) -> None:
    """Set the factor of EBOPs in the loss for every layer of the model that counts them, as a schedule does each epoch.

    Raises:
        ConfigError: beta is not finite, or negative, or no layer counts EBOPs.

    >>> import keras
    >>> from hgq_keras.layers import QDense
    >>> model = keras.Sequential([keras.Input((4,)), QDense(2)])
    >>> set_beta(model, 0.25)
    >>> model.layers[0].beta
    0.25
    """
    value = not_negative(beta, "beta")
    for layer in with_ebops(model):
        layer.assign_beta(value)


def with_ebops(model: keras.Model) -> list[QLayer]:
    """The layers of a model that count EBOPs, those of nested models included.

    Raises:
        ConfigError: there are none.
    """
    layers = [layer for layer in quantized_layers(model) if layer.enable_ebops]
    if not layers:
        message = (
            f"model {model.name!r}: received no layer that counts EBOPs, expected at least one; "
            "use layers of hgq_keras.layers with enable_ebops=True, or leave this callback out"
        )
        raise ConfigError(message)
    return layers
