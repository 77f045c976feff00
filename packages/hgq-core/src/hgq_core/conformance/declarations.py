"""The declaration of each layer of a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from hgq_core.conformance import families
from hgq_core.conformance.backend import AT_EDGES, Layer
from hgq_core.graph.ops import Add, Relu, Reshape
from hgq_core.layers import (
    BatchNormalization,
    Convolution,
    Declaration,
    Dense,
    EinsumDense,
    FrameworkFunction,
    Layered,
    Merge,
    Pooling,
    Softmax,
    Trace,
    UnaryFunction,
    Value,
)

__all__ = ["FUNCTIONS", "declaration_of"]

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x))}
"""The functions of ``unary_lut``."""


def declaration_of(layer: Layer) -> Declaration:
    """What a layer computes, in the words of `hgq_core.layers`."""
    table = layer.kind == "unary_lut"
    at_edges = layer.kind in AT_EDGES
    operation = (_KINDS | families.KINDS)[layer.kind](layer)
    slots = {*layer.quantizers, *layer.defaults}
    return Layered(operation, enable_iq="iq" in slots and not at_edges, enable_oq="oq" in slots and not table)


def _common(layer: Layer) -> dict[str, Any]:
    activation = families.activation_of(layer.options.get("activation"))
    return {"activation": activation, "parallelization_factor": layer.options.get("parallelization_factor", -1)}


def _dense(layer: Layer) -> Declaration:
    return Dense(layer.options["units"], use_bias="bias" in layer.weights, **_common(layer))


def _einsum_dense(layer: Layer) -> Declaration:
    bias = layer.weights.get("bias")
    kernel = layer.weights["kernel"].shape
    return EinsumDense(layer.options["equation"], kernel, None if bias is None else bias.shape, **_common(layer))


def _convolution(layer: Layer) -> Declaration:
    options, rank = layer.options, int(layer.kind[4])
    return Convolution(
        options["filters"],
        options["kernel_size"],
        _several(options.get("strides", 1), rank),
        options.get("padding", "valid"),
        _several(options.get("dilation_rate", 1), rank),
        options.get("groups", 1),
        use_bias="bias" in layer.weights,
        **_common(layer),
    )


def _batch_norm(layer: Layer) -> Declaration:
    return BatchNormalization(layer.options.get("epsilon", 1e-3))


def _pooling(layer: Layer) -> Declaration:
    window = _several(layer.options.get("pool_size", 2), 2)
    strides = _several(layer.options.get("strides") or window, 2)
    kind: Any = "max" if layer.kind == "max_pool2d" else "average"
    factor = layer.options.get("parallelization_factor", -1)
    return Pooling(kind, window, strides, layer.options.get("padding", "valid"), factor)


@dataclass(frozen=True)
class _Activated:
    """A declaration with the activation that a case asks for."""

    operation: Declaration

    def __call__(self, t: Trace, *xs: Value) -> Value:
        return t.op(Relu(), self.operation(t, *xs), share=0.0)


def _add(layer: Layer) -> Declaration:
    return _Activated(Merge(Add())) if layer.options.get("activation") == "relu" else Merge(Add())


def _unary_lut(layer: Layer) -> Declaration:
    return UnaryFunction(FrameworkFunction(FUNCTIONS[layer.options["function"]]), affine="scale" in layer.weights)


def _softmax(layer: Layer) -> Declaration:
    options = layer.options
    factor = options.get("parallelization_factor", -1)
    return Softmax(
        options.get("axes", (-1,)),
        options.get("stable", True),
        options.get("input_scaler", 1.0),
        parallelization_factor=factor,
        mask=options.get("mask"),
    )


@dataclass(frozen=True)
class _Row:
    """Declarations in a row, each with its slots under ``parts/n/``."""

    parts: tuple[Declaration, ...]

    def __call__(self, t: Trace, x: Value) -> Value:
        for number, part in enumerate(self.parts):
            x = t.call(f"parts/{number}", part, x)
        return x


def _nested(layer: Layer) -> Declaration:
    return _Row(tuple(declaration_of(part) for part in layer.options["parts"]))


def _flatten(layer: Layer) -> Declaration:
    return lambda t, x: t.op(Reshape((prod(t.shape(x)),)), x)


def _several(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


_KINDS: dict[str, Callable[[Layer], Declaration]] = {
    "dense": _dense,
    "einsum_dense": _einsum_dense,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "batch_norm": _batch_norm,
    "max_pool2d": _pooling,
    "average_pool2d": _pooling,
    "add": _add,
    "unary_lut": _unary_lut,
    "softmax": _softmax,
    "nested": _nested,
    "flatten": _flatten,
}
