"""Layers that start, or have become, entirely zero."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from hgq_core.errors import DataError, DeadLayerWarning
from hgq_core.health import cause_of_collapse, collapse_message
from hgq_keras._names import named_layers
from hgq_keras._slots import GraphSlots
from hgq_keras.layers._base import QLayer

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


def dead_layers(model: keras.Layer) -> dict[str, str]:
    """The layers that compute a constant, by name, each with the reason.

    Names are those of the Graph: a layer inside of another one is ``outer/inner``.

    >>> import keras
    >>> from hgq_keras.layers import QDense
    >>> model = keras.Sequential([keras.Input((4,)), QDense(2, name="dense")])
    >>> dead_layers(model)
    {}
    """
    found = {name: _cause(layer) for name, layer in _called(model)}
    return {name: cause for name, cause in found.items() if cause}


def _called(model: keras.Layer) -> list[tuple[str, QLayer]]:
    """The quantized layers by name, without those that were never called although others were."""
    layers = [(name, layer) for name, layer in named_layers(model) if isinstance(layer, QLayer)]
    return [(name, layer) for name, layer in layers if layer.built] or layers


def _cause(layer: QLayer) -> str:
    return cause_of_collapse(layer.program, GraphSlots(layer)) if layer.built else ""


def warn_if_dead(model: keras.Layer) -> dict[str, str]:
    """Warn of each layer that has collapsed to zero since the last look; returns `dead_layers`.

    It reads every kernel, so it belongs at the end of an epoch, not into a step. The callbacks of this package call it.
    """
    dead = {}
    for name, layer in _called(model):
        cause = _cause(layer)
        if cause:
            dead[name] = cause
        if cause and not layer.reported_dead:
            warnings.warn(collapse_message(name, cause), DeadLayerWarning, stacklevel=2)
        layer.reported_dead = bool(cause)
    return dead
