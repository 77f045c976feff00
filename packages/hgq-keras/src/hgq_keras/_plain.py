"""Plain Keras layers that hardware can take as they are: they have no weights, are exact, and cost no EBOPs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_core.layers import FrameworkFunction
from hgq_keras._arithmetic import averaged, exact_activation, mean_of, pooled, rectified
from hgq_keras._contractions import dot_layer
from hgq_keras._moves import emit_moves
from hgq_keras._operands import constant_operand
from hgq_keras._remedies import refused_activation, refused_layer
from hgq_keras.layers._kernel import declared_activation, rectifier_numbers

if TYPE_CHECKING:
    from hgq_core.graph.emit import Emitter
    from hgq_keras._topology import Call

__all__ = ["check_unmasked", "emit_plain"]

_IDENTITY: tuple[type, ...] = (
    keras.layers.InputLayer,
    keras.layers.Identity,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.AlphaDropout,
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
_MOVES: tuple[type, ...] = (
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    keras.layers.ZeroPadding3D,
)
_POOLS: dict[type, Any] = {
    keras.layers.MaxPooling1D: "max",
    keras.layers.MaxPooling2D: "max",
    keras.layers.MaxPooling3D: "max",
    keras.layers.AveragePooling1D: "sum",
    keras.layers.AveragePooling2D: "sum",
    keras.layers.AveragePooling3D: "sum",
}
_GLOBAL: dict[type, Any] = {
    keras.layers.GlobalMaxPooling1D: "max",
    keras.layers.GlobalMaxPooling2D: "max",
    keras.layers.GlobalMaxPooling3D: "max",
    keras.layers.GlobalAveragePooling1D: "sum",
    keras.layers.GlobalAveragePooling2D: "sum",
    keras.layers.GlobalAveragePooling3D: "sum",
}
_KNOWN: tuple[type, ...] = (
    *_IDENTITY,
    *_NARY,
    *_MOVES,
    *_POOLS,
    *_GLOBAL,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Concatenate,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.Activation,
    keras.layers.Average,
    keras.layers.Dot,
    keras.layers.Rescaling,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.RepeatVector,
)


def check_unmasked(call: Call, label: str) -> None:
    """Raise UnsupportedError for a layer that a mask changes and that is given one."""
    if call.masked and type(call.layer) is keras.layers.GlobalAveragePooling1D:
        message = f"layer {label!r} averages by a mask, which has no exact hardware; call it without a mask"
        raise UnsupportedError(message)


def _activated(function: Any, x: str, emitter: Emitter) -> str:
    """Append relu, limits or nothing; raises UnsupportedError for another activation."""
    activation = declared_activation(function)
    if isinstance(activation, FrameworkFunction):
        raise UnsupportedError(refused_activation(function, emitter.label))
    return exact_activation(activation, x, emitter)


def emit_plain(layer: Any, inputs: list[str], emitter: Emitter) -> str:
    """Append a plain Keras layer; raises UnsupportedError, with the remedy, for one that needs a quantized version."""
    kind = type(layer)
    _check_exact(layer, emitter.label)
    if kind in _IDENTITY:
        return inputs[0]
    if kind in _NARY:
        return emitter.add(_NARY[kind], *inputs)
    if kind in _POOLS:
        return pooled(_POOLS[kind], inputs[0], layer.get_config(), emitter)
    if kind in _GLOBAL:
        return _global(layer, _GLOBAL[kind], inputs[0], emitter)
    if kind in _MOVES and getattr(layer, "interpolation", "nearest") == "nearest":
        return emit_moves(lambda operands: [layer(*operands)], inputs, emitter, None)[0]
    return _moved(layer, inputs, emitter) or _computed(layer, inputs, emitter)


def _moved(layer: Any, inputs: list[str], emitter: Emitter) -> str | None:
    """A layer that only moves numbers; None for another one."""
    x = inputs[0]
    shape = emitter.shape(x)
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
        case keras.layers.ZeroPadding1D() | keras.layers.ZeroPadding2D():
            return emitter.add(op.Pad(_pads(layer)), x)
        case keras.layers.RepeatVector():
            return emitter.add(op.Broadcast((layer.n, *shape)), x)
    return None


def _computed(layer: Any, inputs: list[str], emitter: Emitter) -> str:
    """A layer that computes without a table."""
    x = inputs[0]
    match layer:
        case keras.layers.ReLU() | keras.layers.LeakyReLU():
            return rectified(x, *rectifier_numbers(layer), emitter)
        case keras.layers.Activation():
            return _activated(layer.activation, x, emitter)
        case keras.layers.Average():
            return mean_of(inputs, emitter)
        case keras.layers.Dot() if not layer.normalize:
            return dot_layer(layer, inputs, emitter)
        case keras.layers.Rescaling():
            rank = len(emitter.shape(x)) + 1
            scale, offset = (
                constant_operand(n, rank, layer.compute_dtype, emitter) for n in (layer.scale, layer.offset)
            )
            return emitter.add(op.Add(), emitter.add(op.Multiply(), x, scale), offset)
    raise UnsupportedError(refused_layer(layer, emitter.label))


def _global(layer: Any, kind: Any, x: str, emitter: Emitter) -> str:
    """Maximum or average over all positions."""
    axes = tuple(range(len(emitter.shape(x)) - 1))
    axes = tuple(a + 1 for a in axes) if layer.data_format == "channels_first" else axes
    if kind == "max":
        return emitter.add(op.Reduce("max", axes, layer.keepdims), x)
    return averaged(x, axes, layer.keepdims, emitter)


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
