"""Which layers have ranges that no calibration left as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_keras._names import named_layers
from hgq_keras.layers._base import QLayer, quantized_layers

if TYPE_CHECKING:
    from collections.abc import Iterable

    import keras
    import numpy as np

    from hgq_keras._quantizer import Quantizer

__all__ = ["mark_calibrated", "uncalibrated"]


def uncalibrated(model: keras.Layer) -> list[str]:
    """Names of the layers whose ranges of data under WRAP were never calibrated, or were trained since.

    Such a range is that of the batches of training, with its decay, or still the initial one: the hardware is larger
    than it has to be, and other data may wrap. `trace_minmax` calibrates; files keep what is calibrated.

    Returns:
        Names as the Graph has them: a layer of a nested model is ``outer/inner``.

    >>> import keras
    >>> import numpy as np
    >>> from hgq_keras import layers, trace_minmax
    >>> model = keras.Sequential([keras.Input((2,)), layers.QDense(1, name="dense")])
    >>> uncalibrated(model)
    ['dense']
    >>> cost = trace_minmax(model, np.ones((3, 2), "float32"))
    >>> uncalibrated(model)
    []
    """
    found = named_layers(model)
    weights = _weights(model)
    names = [name for name, layer in found if not all(q.is_calibrated(weights.get(id(q), ())) for q in _inside(layer))]
    return list(dict.fromkeys(names))


def mark_calibrated(model: keras.Layer, seen: Iterable[Quantizer]) -> None:
    """Mark the quantizers that a calibration has shown data to, as `uncalibrated` looks at them."""
    weights = _weights(model)
    for quantizer in seen:
        quantizer.mark_calibrated(weights.get(id(quantizer), ()))


def _weights(model: keras.Layer) -> dict[int, list[np.ndarray]]:
    """The weights of the layer of each quantizer; of the first one that has it."""
    found: dict[int, list[np.ndarray]] = {}
    for layer in [model] if isinstance(model, QLayer) else quantized_layers(model):
        own = layer.own_weights()
        for quantizer in layer.quantizers:
            found.setdefault(id(quantizer), own)
    return found


def _inside(layer: QLayer | Quantizer) -> tuple[Quantizer, ...]:
    return layer.quantizers if isinstance(layer, QLayer) else (layer,)
