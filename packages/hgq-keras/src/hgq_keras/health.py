"""Layers that start, or have become, entirely zero."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from hgq_core.errors import DataError, DeadLayerWarning
from hgq_core.spec import KBI, KIF
from hgq_keras.layers._base import quantized_layers

if TYPE_CHECKING:
    import keras

    from hgq_keras.layers._base import QLayer
    from hgq_keras.quantizer import Quantizer

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
    """Names of the layers that compute a constant, because their quantized weights or quantized input are all zero."""
    return [layer.name for layer in _called(model) if _cause(layer)]


def _called(model: keras.Layer) -> list[QLayer]:
    """The quantized layers, without those that were never called although others were."""
    layers = quantized_layers(model)
    return [layer for layer in layers if layer.built] or layers


def _cause(layer: QLayer) -> str:
    """Why the layer computes a constant; empty if it does not."""
    weights = getattr(layer, "qkernel", None)
    if hasattr(layer, "qscaler_and_qoffset"):
        weights = layer.qscaler_and_qoffset[0]
    if weights is not None and not np.any(ops.convert_to_numpy(weights)):
        return "every quantized weight is 0"
    if layer.iqs and all(_silent(quantizer) for quantizer in layer.iqs):
        return "its quantized input is always 0"
    return ""


def _silent(quantizer: Quantizer) -> bool:
    """Whether every element of a fixed-point quantizer is dead."""
    if not isinstance(quantizer.spec, KIF | KBI):
        return False
    k, i, f = quantizer.array_kif
    return bool(np.all(k + i + f <= 0))


def warn_if_dead(model: keras.Layer) -> list[str]:
    """Warn of each layer that has collapsed to zero since the last look, by name; returns the names of all dead layers.

    It reads every kernel, so it belongs at the end of an epoch, not into a step. The callbacks of this package call it.
    """
    dead = []
    for layer in _called(model):
        cause = _cause(layer)
        if cause:
            dead.append(layer.name)
        if cause and not layer.reported_dead:
            message = (
                f"layer {layer.name!r} has collapsed: {cause} and its output is constant. "
                "Lower beta, raise the widths (b0, f0, or a lower bound bc=MinMax(1, ...)), or restore an earlier epoch"
            )
            warnings.warn(message, DeadLayerWarning, stacklevel=2)
        layer.reported_dead = bool(cause)
    return dead
