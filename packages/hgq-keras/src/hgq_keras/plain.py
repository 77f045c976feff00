"""Plain Keras layers that hardware can take as they are: they move, compare or add numbers, and cost no EBOPs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_keras.layers._pooling import pool_operation

if TYPE_CHECKING:
    from hgq_keras.export import Emitter

__all__ = ["emit_plain"]

_IDENTITY: tuple[type, ...] = (
    keras.layers.InputLayer,
    keras.layers.Identity,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.ActivityRegularization,
)
_NARY: dict[type, op.Operation] = {
    keras.layers.Add: op.Add(),
    keras.layers.Subtract: op.Subtract(),
    keras.layers.Maximum: op.Maximum(),
    keras.layers.Minimum: op.Minimum(),
    keras.layers.Multiply: op.Multiply(),
}
_KNOWN: tuple[type, ...] = (
    *_IDENTITY,
    *_NARY,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Concatenate,
    keras.layers.ReLU,
    keras.layers.Activation,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.RepeatVector,
)


def emit_plain(layer: Any, inputs: list[str], emitter: Emitter) -> str:  # noqa: PLR0911 (a list of layers)
    """Append a plain Keras layer; raises UnsupportedError, with the remedy, for one that needs a quantized version."""
    x = inputs[0]
    shape = emitter.shape(x)
    _check_exact(layer, emitter.label)
    if type(layer) in _IDENTITY:
        return x
    if type(layer) in _NARY:
        return emitter.add(_NARY[type(layer)], *inputs)
    match layer:
        case keras.layers.Flatten():
            return _flatten(layer, x, emitter)
        case keras.layers.Reshape():
            target = layer.compute_output_shape((1, *shape))[1:]
            return emitter.add(op.Reshape(tuple(int(n) for n in target)), x)
        case keras.layers.Permute():
            return emitter.add(op.Transpose(tuple(n - 1 for n in layer.dims)), x)
        case keras.layers.Concatenate():
            axis = layer.axis - 1 if layer.axis > 0 else len(shape) + layer.axis
            return emitter.add(op.Concatenate(axis), *inputs)
        case keras.layers.ReLU():
            plain = not layer.negative_slope and not layer.threshold
            if plain and layer.max_value is None:
                return emitter.add(op.Relu(), x)
            if plain:
                return emitter.add(op.Clip(0.0, float(layer.max_value)), x)
        case keras.layers.Activation():
            return emitter.activation(layer.activation, x)
        case keras.layers.MaxPooling1D() | keras.layers.MaxPooling2D():
            full = (None, *shape)
            if layer.data_format != "channels_last":
                raise UnsupportedError(_channels_first(layer, emitter.label))
            pool = pool_operation("max", full, layer.pool_size, layer.strides, layer.padding, layer.name)
            return emitter.add(pool, x)
        case keras.layers.ZeroPadding1D() | keras.layers.ZeroPadding2D():
            return emitter.add(op.Pad(_pads(layer)), x)
        case keras.layers.RepeatVector():
            return emitter.add(op.Broadcast((layer.n, *shape)), x)
    raise UnsupportedError(_refusal(layer, emitter.label))


def _check_exact(layer: Any, label: str) -> None:
    """A subclass may compute anything, so that only the layers themselves are known."""
    kind = type(layer)
    if kind in _KNOWN:
        return
    base = next((base for base in kind.__mro__ if base in _KNOWN), None)
    if base is not None:
        message = (
            f"layer {label!r} ({kind.__name__}) is a subclass of {base.__name__} and may compute something else; "
            f"use {base.__name__} itself, or write a quantized layer with the hooks of QLayer"
        )
        raise UnsupportedError(message)


def _flatten(layer: Any, x: str, emitter: Emitter) -> str:
    """Keras flattens channels-first data in the order of channels-last data."""
    shape = emitter.shape(x)
    if layer.data_format == "channels_first" and len(shape) > 1:
        x = emitter.add(op.Transpose((*range(1, len(shape)), 0)), x)
    return emitter.add(op.Reshape((prod(shape),)), x)


def _pads(layer: Any) -> tuple[tuple[int, int], ...]:
    """Zeros before and after each axis but that of the batch."""
    spatial = [tuple(p) for p in layer.padding] if isinstance(layer.padding[0], tuple) else [tuple(layer.padding)]
    first = layer.data_format == "channels_first"
    return ((0, 0), *spatial) if first else (*spatial, (0, 0))


def _channels_first(layer: Any, label: str) -> str:
    kind = type(layer).__name__
    return (
        f"layer {label!r} ({kind}) has data_format={layer.data_format!r}, expected 'channels_last'; permute the data "
        f"with keras.layers.Permute before it and build {kind} with data_format='channels_last'"
    )


def _refusal(layer: Any, label: str) -> str:
    kind = type(layer).__name__
    instead = {
        "Dense": "QDense",
        "EinsumDense": "QEinsumDense",
        "Conv1D": "QConv1D",
        "Conv2D": "QConv2D",
        "BatchNormalization": "QBatchNormalization",
        "AveragePooling2D": "QAveragePooling2D",
    }
    if not isinstance(layer, keras.layers.Layer):
        # An operator or a function on tensors, such as ``a + b``, is an operation of its own.
        instead = {name: f"keras.layers.{name}()" for name in ("Add", "Subtract", "Multiply", "Maximum", "Minimum")}
    remedy = f"use {instead[kind]} instead of {kind}" if kind in instead else "end the exported model before it"
    return f"layer {label!r} ({kind}) is not quantized and has no exact hardware; {remedy}"
