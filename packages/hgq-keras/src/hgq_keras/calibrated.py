"""Which layers have ranges that no calibration left as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_keras.layers._base import QLayer, quantized_layers
from hgq_keras.layers._walk import children
from hgq_keras.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import keras
    import numpy as np

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
    found = list(_named(model, "", frozenset()))
    if isinstance(model, QLayer | Quantizer):
        found = [(model.name, model), *((f"{model.name}/{name}", layer) for name, layer in found)]
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


def _named(outer: keras.Layer, prefix: str, entered: frozenset[int]) -> Iterator[tuple[str, QLayer | Quantizer]]:
    """The quantized layers inside, with the names of those around them; a layer may hold itself."""
    for layer in children(outer):
        name = f"{prefix}{layer.name}"
        if isinstance(layer, QLayer) or (isinstance(layer, Quantizer) and not isinstance(outer, QLayer)):
            yield name, layer
        if not isinstance(layer, Quantizer) and id(layer) not in entered:
            yield from _named(layer, f"{name}/", entered | {id(layer)})
