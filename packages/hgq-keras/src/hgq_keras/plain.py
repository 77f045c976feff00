"""Plain Keras layers that hardware can take as they are: they move, compare or add numbers, and cost no EBOPs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_keras.layers._pooling import pool_operation

if TYPE_CHECKING:
    from hgq_keras.export import Emitter

__all__ = ["emit_plain"]

_IDENTITY = (
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


def emit_plain(layer: Any, inputs: list[str], emitter: Emitter) -> str:  # noqa: PLR0911 (a list of layers)
    """Append a plain Keras layer; raises UnsupportedError, with the remedy, for one that needs a quantized version."""
    x = inputs[0]
    shape = emitter.shape(x)
    if isinstance(layer, _IDENTITY):
        return x
    if type(layer) in _NARY:
        return emitter.add(_NARY[type(layer)], *inputs)
    match layer:
        case keras.layers.Flatten() | keras.layers.Reshape():
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
            if layer.data_format == "channels_last":
                full = (None, *shape)
                pool = pool_operation("max", full, layer.pool_size, layer.strides, layer.padding, layer.name)
                return emitter.add(pool, x)
        case keras.layers.ZeroPadding1D() | keras.layers.ZeroPadding2D():
            pads = layer.padding if isinstance(layer.padding[0], tuple) else (tuple(layer.padding),)
            return emitter.add(op.Pad((*(tuple(p) for p in pads), (0, 0))), x)
        case keras.layers.RepeatVector():
            return emitter.add(op.Broadcast((layer.n, *shape)), x)
    raise UnsupportedError(_refusal(layer, emitter.label))


def _refusal(layer: Any, label: str) -> str:
    kind = type(layer).__name__
    quantized = {
        "Dense": "QDense",
        "EinsumDense": "QEinsumDense",
        "Conv1D": "QConv1D",
        "Conv2D": "QConv2D",
        "BatchNormalization": "QBatchNormalization",
        "AveragePooling2D": "QAveragePooling2D",
    }
    remedy = f"use {quantized[kind]} instead of {kind}" if kind in quantized else "end the exported model before it"
    return f"layer {label!r} ({kind}) is not quantized and has no exact hardware; {remedy}"
