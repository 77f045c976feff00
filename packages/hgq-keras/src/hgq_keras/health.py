"""Layers that start, or have become, entirely zero."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from hgq_core.errors import DataError, DeadLayerWarning
from hgq_keras.layers._base import quantized_layers

if TYPE_CHECKING:
    import keras

__all__ = ["check_finite", "dead_layers", "warn_if_dead"]


def check_finite(layer: keras.Layer) -> None:
    """Raise DataError, naming the layer and the variable, if a weight or a stored width is NaN or infinite."""
    for variable in layer.weights:
        values = ops.convert_to_numpy(variable)
        if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
            message = (
                f"layer {layer.name!r}: its variable {variable.path!r} contains NaN or infinity; "
                "restore an earlier checkpoint"
            )
            raise DataError(message)


def dead_layers(model: keras.Layer) -> list[str]:
    """Names of the layers whose quantized kernel is all zero: their output does not depend on their input."""
    names = []
    for layer in quantized_layers(model):
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and not np.any(ops.convert_to_numpy(layer.qkernel)):
            names.append(layer.name)
    return names


def warn_if_dead(model: keras.Layer) -> list[str]:
    """Warn of each layer that has collapsed to zero since the last look, by name; returns the names of all dead layers.

    It reads every kernel, so it belongs at the end of an epoch, not into a step. The callbacks of this package call it.
    """
    dead = dead_layers(model)
    for layer in quantized_layers(model):
        if layer.name in dead and not layer.reported_dead:
            message = (
                f"layer {layer.name!r} has collapsed: every quantized weight is 0 and its output is constant. "
                "Lower beta, raise the widths (b0, or a lower bound bc=MinMax(1, ...)), or restore an earlier epoch"
            )
            warnings.warn(message, DeadLayerWarning, stacklevel=2)
        layer.reported_dead = layer.name in dead
    return dead
