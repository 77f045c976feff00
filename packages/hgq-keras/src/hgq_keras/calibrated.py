"""Which layers have ranges that no calibration left as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_keras.layers._base import QLayer
from hgq_keras.layers._walk import children
from hgq_keras.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

__all__ = ["uncalibrated"]


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
    found = [(model.name, model)] if isinstance(model, QLayer | Quantizer) else _named(model, "", frozenset())
    names = [name for name, layer in found if not all(q.calibrated for q in _quantizers(layer))]
    return list(dict.fromkeys(names))


def _quantizers(layer: QLayer | Quantizer) -> tuple[Quantizer, ...]:
    return layer.quantizers if isinstance(layer, QLayer) else (layer,)


def _named(outer: keras.Layer, prefix: str, entered: frozenset[int]) -> Iterator[tuple[str, QLayer | Quantizer]]:
    """The quantized layers inside, with the names of those around them; a layer may hold itself."""
    for layer in children(outer):
        name = f"{prefix}{layer.name}"
        if isinstance(layer, QLayer | Quantizer):
            yield name, layer
        elif id(layer) not in entered:
            yield from _named(layer, f"{name}/", entered | {id(layer)})
