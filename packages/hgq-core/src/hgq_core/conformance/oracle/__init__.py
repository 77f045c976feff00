"""Layers by their definition: loops over fractions, for values and EBOPs; no code is shared with an implementation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from types import ModuleType

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle import linear, lookup, merge, norm, softmax, windows
from hgq_core.conformance.oracle.tensors import Array, quantized

__all__ = ["forward", "total_ebops"]

_FAMILIES: dict[str, ModuleType] = {
    "dense": linear,
    "einsum_dense": linear,
    "conv1d": linear,
    "conv2d": linear,
    "batch_norm": norm,
    "max_pool2d": windows,
    "average_pool2d": windows,
    "add": merge,
    "unary_lut": lookup,
    "softmax": softmax,
}


def forward(layers: Sequence[Layer], inputs: Sequence[Array]) -> Array:
    """The output of a chain of layers at inference, as fractions."""
    current: list[Array] = [np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(x) for x in inputs]
    for layer in layers:
        if layer.kind == "flatten":
            current = [current[0].reshape(len(current[0]), -1)]
            continue
        y = _FAMILIES[layer.kind].values(layer, [quantized(layer, "iq", x) for x in current])
        if layer.options.get("activation") == "relu":
            y = np.vectorize(lambda v: max(v, Fraction(0)), otypes=[object])(y)
        current = [quantized(layer, "oq", y)]
    return current[0]


def total_ebops(layers: Sequence[Layer], input_shape: tuple[int, ...]) -> float:
    """EBOPs of a chain of layers."""
    total, shape = Fraction(0), input_shape
    for layer in layers:
        if layer.kind == "flatten":
            shape = (prod(shape),)
            continue
        cost, shape = _FAMILIES[layer.kind].ebops(layer, shape)
        total += cost
    return float(total)
