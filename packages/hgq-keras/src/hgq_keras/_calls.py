"""How often a model applies each of its quantized layers: every call is a circuit, and costs as one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
from keras import ops

from hgq_keras._topology import wiring
from hgq_keras.layers._base import QLayer, quantized_layers
from hgq_keras.layers._recording import recording

__all__ = ["ebops", "ebops_by_layer", "layer_calls"]


def ebops(model: keras.Layer) -> float:
    """EBOPs of a model at its present widths: the number that its loss, its callbacks and its graph have too.

    Every call of a layer counts, nested models included, since each call is built as a circuit of its own.

    Raises:
        ConfigError: a layer that is not built.

    >>> import numpy as np
    >>> from hgq_keras.layers import QDense
    >>> layer, x = QDense(4), keras.Input((4,))
    >>> once, twice = keras.Model(x, layer(x)), keras.Model(x, layer(layer(x)))
    >>> ebops(twice) == 2 * ebops(once)
    True
    """
    return float(sum(layer.ebops * number for layer, number in layer_calls(model)))


def ebops_by_layer(model: keras.Layer) -> dict[str, float]:
    """EBOPs of each quantized layer by its path, all of its calls together, in the order of the model.

    >>> from hgq_keras.layers import QDense
    >>> model = keras.Sequential([keras.Input((4,)), QDense(2, name="a"), QDense(1, name="b")])
    >>> [name.rpartition("/")[2] for name in ebops_by_layer(model)]
    ['a', 'b']
    """
    return {layer.path: layer.ebops * number for layer, number in layer_calls(model)}


def layer_calls(model: keras.Layer) -> list[tuple[QLayer, int]]:
    """Every quantized layer with how often one pass of the model applies it, in order.

    A functional model tells it by its topology. A model or a layer of the user's that computes something of its own is
    shown zeros of the shapes that it was built for, and watched.
    """
    counted: Counter[int] = Counter()
    _count(model, 1, counted)
    layers = quantized_layers(model)
    # A layer that was never called, although others were, is no part of the circuit; it may be one of training only.
    known = [layer for layer in layers if layer.built]
    return [(layer, counted[id(layer)]) for layer in known or layers]


def _count(layer: Any, times: int, counted: Counter[int]) -> None:
    """Add the calls of all quantized layers inside a layer that is applied this many times."""
    if isinstance(layer, QLayer):
        counted[id(layer)] += times
        for part in layer.applied if layer.built else ():
            _count(part, times, counted)
        return
    inside = quantized_layers(layer) if isinstance(layer, keras.Layer) else []
    if not inside:
        return
    parts = _parts(layer)
    if parts is None:
        for seen in _watched(layer, inside):
            counted[id(seen)] += times
        return
    for part, number in parts:
        _count(part, times * number, counted)


def _parts(layer: Any) -> list[tuple[Any, int]] | None:
    """The layers that a Keras model applies, each with its number of calls; None where only a call tells."""
    if isinstance(layer, keras.Sequential):
        return [(part, 1) for part in layer.layers]
    wired = wiring(layer)
    if wired is None:
        return None
    numbers = Counter(id(call.layer) for call in wired.calls)
    known = {id(call.layer): call.layer for call in wired.calls}
    return [(known[key], number) for key, number in numbers.items()]


def _watched(layer: keras.Layer, inside: list[QLayer]) -> list[QLayer]:
    """The quantized layers that a call applies, each as often as it does; ``inside`` are all that it holds."""
    built = layer.get_build_config() or {}
    shapes = built.get("shapes_dict") or {"": built.get("input_shape")}
    if any(shape is None for shape in shapes.values()):
        # It was never called by itself, so that no shape is known; what it holds was built, and called, from outside.
        return inside
    named = {name.removesuffix("_shape"): _zeros(shape) for name, shape in shapes.items()}
    args, kwargs = ((named[""],), {}) if "" in named else ((), named)
    with recording() as seen:
        if keras.backend.backend() == "jax":
            import jax

            trained, others = layer.trainable_variables, layer.non_trainable_variables
            values = [[variable.value for variable in kind] for kind in (trained, others)]
            jax.eval_shape(lambda: layer.stateless_call(*values, *args, **kwargs))
        else:
            layer(*args, **kwargs)
    return seen


def _zeros(shape: Any) -> Any:
    """Zeros of a shape, or of a structure of shapes, as a batch of one."""
    if isinstance(shape, dict):
        return {name: _zeros(part) for name, part in shape.items()}
    if shape and isinstance(shape[0], list | tuple | dict):
        return [_zeros(part) for part in shape]
    return ops.zeros((1, *(int(n or 1) for n in shape[1:])))
