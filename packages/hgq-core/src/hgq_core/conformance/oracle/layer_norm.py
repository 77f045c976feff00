"""Normalisation of each example by itself, by its definition."""

from __future__ import annotations

from fractions import Fraction
from math import prod, sqrt

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.lookup import table_cost
from hgq_core.conformance.oracle.tensors import ADD, Array, bits_of, quantized, rounded_values

__all__ = ["ebops", "values"]


def _axes(layer: Layer, rank: int) -> tuple[int, ...]:
    """Normalised axes, the batch axis being 0."""
    return tuple(axis % rank + 1 for axis in layer.options["axes"])


def _exact(weight: Array) -> Array:
    return np.asarray(np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(weight))


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Centred, divided by the root of the mean square, scaled and shifted; numbers of elements are powers of two."""
    x = inputs[0]
    axes = _axes(layer, x.ndim - 1)
    number = prod(x.shape[axis] for axis in axes)
    if layer.kind == "layer_norm":
        mean = quantized(layer, "mq", np.asarray(np.sum(x, axis=axes, keepdims=True) / Fraction(number)))
        x = quantized(layer, "cq", np.asarray(x - mean))
    squares = quantized(layer, "inv/iq", np.asarray(np.sum(x * x, axis=axes, keepdims=True)))
    root = rounded_values(lambda v: 1.0 / sqrt(v / number + layer.options["epsilon"]), squares)
    y = quantized(layer, "nq", np.asarray(x * quantized(layer, "inv/oq", root)))
    y = y * quantized(layer, "kq", _exact(layer.weights["ln_gamma"]))
    if "ln_beta" in layer.weights:
        y = y + quantized(layer, "bq", _exact(layer.weights["ln_beta"]))
    return np.asarray(y)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output: mean, difference, squares, their sum, the table, and two products."""
    axes = tuple(axis - 1 for axis in _axes(layer, len(shape)))
    rows = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    total = Fraction(0)
    bits = bits_of(layer, "iq", shape)
    if layer.kind == "layer_norm":
        total += ADD * int(bits.sum() - np.min(bits, axis=axes).sum())
        total += ADD * int(np.maximum(bits, bits_of(layer, "mq", rows)).sum())
        bits = bits_of(layer, "cq", shape)
    total += int((bits * bits).sum())
    table = bits_of(layer, "inv/oq", rows)
    total += table_cost(bits_of(layer, "inv/iq", rows), table)
    total += int((bits * table).sum())
    scale = bits_of(layer, "kq", layer.weights["ln_gamma"].shape)
    total += int((bits_of(layer, "nq", shape) * scale).sum())
    if "ln_beta" in layer.weights:
        total += int(np.broadcast_to(bits_of(layer, "bq", layer.weights["ln_beta"].shape), shape).sum())
    return total, shape
