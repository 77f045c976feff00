"""Widths apart from weights, for optimizers that treat them differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_keras._calibrate import quantizers

if TYPE_CHECKING:
    import keras

__all__ = ["width_variables"]


def width_variables(model: keras.Layer) -> list[keras.Variable]:
    """The variables that hold widths (bits), trained or not, of every quantizer of a model.

    Weight decay, as of ``AdamW``, pulls a width to 0 bits like any other variable, whatever the loss says of it: with
    a rate of 1e-3 and a decay of 4e-3, 8 bits lose one in about 33,000 steps. Exclude widths before the first step::

        optimizer = keras.optimizers.AdamW(1e-3, weight_decay=4e-3)
        optimizer.exclude_from_weight_decay(var_list=width_variables(model))
        model.compile(optimizer, "mse")

    Args:
        model: a built model, or one layer.

    >>> import keras
    >>> from hgq_keras.layers import QDense
    >>> model = keras.Sequential([keras.Input((4,)), QDense(2, use_bias=False)])
    >>> sorted(variable.name for variable in width_variables(model))
    ['b', 'f', 'i', 'i', 'k', 'k']
    """
    return [variable for quantizer in quantizers(model) for variable in quantizer.weights]
