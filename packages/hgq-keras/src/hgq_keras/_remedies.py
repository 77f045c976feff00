"""What to do instead: the sentence for a layer or an operation that has no exact hardware as it is."""

from __future__ import annotations

import re
from typing import Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import WITHOUT_NODES, unfit
from hgq_keras._unary import check_elementwise

__all__ = ["refused_activation", "refused_layer", "refused_operation"]

_SOFTMAX = (
    "has no exact hardware; as the last layer leave it out and train with from_logits=True in the loss, for example "
    "keras.losses.CategoricalCrossentropy(from_logits=True): the largest output is the same one. Elsewhere end the "
    "exported model before it"
)
_QUARTER = "; a Quantizer with HardSigmoidConfig() is a hard sigmoid of slope 1/4, without a table"
_SOFTMAXES = ("softmax", "log_softmax", "sparsemax")
_QUANTIZED = {
    "BatchNormalization": "QBatchNormalization",
    "Conv1D": "QConv1D",
    "Conv2D": "QConv2D",
    "Dense": "QDense",
    "EinsumDense": "QEinsumDense",
}
_LAYERS = {"ELU": "elu"}


def refused_operation(kind: str, label: str) -> str:
    """The message for an operation on tensors, by the name of its class."""
    named = f"layer {label!r} ({kind})"
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    if name in _SOFTMAXES:
        return f"{named} {_SOFTMAX}"
    if kind == "Power":
        return f"{named} has no exact hardware; use keras.ops.square, or products such as x * x * x"
    if _of_one_number(getattr(keras.ops, name, None), label):
        why = _why_not(name)
        quarter = _QUARTER if why else ""
        return f"{named} is a function of one number{why}; use a table in its place: {_table(name)}(x){quarter}"
    return (
        f"{named} has no exact hardware here; of the operators and keras.ops use those that move numbers (slices, "
        "reshape, transpose, concatenate, take, pad, ...), +, -, *, / by a power of two, maximum, minimum, clip, relu, "
        "abs, sum, mean, max, min, matmul or einsum, for a function of one number QUnaryFunctionLUT(function), or end "
        "the exported model before it"
    )


def _of_one_number(function: Any, label: str) -> bool:
    """Whether a table can hold this function."""
    if not callable(function):
        return False
    try:
        check_elementwise(function, label)
    except ConfigError:
        return False
    return True


def refused_activation(function: Any, label: str) -> str:
    """The message for an activation inside a layer."""
    if isinstance(function, keras.layers.Layer):
        return _refused_rectifier(function, label)
    name = getattr(function, "__name__", repr(function))
    if name in _SOFTMAXES:
        return f"layer {label!r}: activation {name!r} {_SOFTMAX}"
    known = isinstance(name, str) and getattr(keras.activations, name, None) is function
    table = f"QUnaryFunctionLUT({name!r})" if known else "QUnaryFunctionLUT(function) with that function"
    written = "" if known else "; a ReLU is exact if written activation='relu'"
    why = _why_not(name)
    return (
        f"layer {label!r}: activation {name!r} has no exact hardware here{why}; use activation=None and add {table} "
        f"after the layer{written}{_QUARTER if why else ''}"
    )


def _why_not(name: str) -> str:
    """Why a function of straight lines has no exact nodes; empty for another one."""
    return f": {WITHOUT_NODES[name]}" if name in WITHOUT_NODES else ""


def _refused_rectifier(function: Any, label: str) -> str:
    """The message for a layer as the activation of another one."""
    kind = type(function).__name__
    slope, limit = getattr(function, "negative_slope", None), getattr(function, "max_value", None)
    threshold = getattr(function, "threshold", None)
    reason = "" if slope is None else unfit(float(slope), limit, float(threshold or 0.0))
    found = f"has no exact product in float32 where its {reason}" if reason else "has no exact hardware here"
    return (
        f"layer {label!r}: activation {kind} {found}; or use activation=None and add QUnaryFunctionLUT(function) with "
        "a function of one number after the layer"
    )


def refused_layer(layer: Any, label: str) -> str:
    """The message for a plain Keras layer."""
    kind = type(layer).__name__
    named = f"layer {label!r} ({kind})"
    if kind == "Softmax":
        return f"{named} {_SOFTMAX}"
    if kind == "Masking":
        return (
            f"{named} marks steps for layers that read masks, of which none has hardware; leave it out, and give steps "
            "without data the number 0"
        )
    if kind == "Lambda":
        return f"{named} runs any function; write it with keras.ops on the tensors of a functional model"
    if kind == "PReLU":
        return f"{named} trains its slopes; use keras.layers.LeakyReLU(negative_slope=0.25)"
    if kind in _LAYERS:
        return f"{named} is a function of one number; use a table in its place: QUnaryFunctionLUT({_LAYERS[kind]!r})"
    remedy = f"use {_QUANTIZED[kind]} instead of {kind}" if kind in _QUANTIZED else "end the exported model before it"
    return f"{named} is not quantized and has no exact hardware; {remedy}"


def _table(name: str) -> str:
    known = hasattr(keras.activations, name)
    return f"QUnaryFunctionLUT({name!r})" if known else f"QUnaryFunctionLUT(keras.ops.{name})"
