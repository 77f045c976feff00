"""Softmax by its definition: two rounded tables around a sum."""

from __future__ import annotations

from fractions import Fraction
from math import exp, prod

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.lookup import table_cost
from hgq_core.conformance.oracle.tensors import ADD, Array, bits_of, quantized, rounded_values

__all__ = ["ebops", "values"]

_EPSILON = 1e-7


def _last(layer: Layer) -> None:
    if tuple(layer.options.get("axes", (-1,))) != (-1,):
        message = "the case is at fault: the oracle knows softmax over the last axis"
        raise ValueError(message)


def _mask(layer: Layer, shape: tuple[int, ...]) -> Array:
    """Which elements take part."""
    return np.broadcast_to(np.asarray(layer.options.get("mask", True), bool), shape)


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Row by row: exponentials times the reciprocal of their sum, over the elements of the mask."""
    _last(layer)
    x, factor = inputs[0], layer.options.get("input_scaler", 1.0)
    stable = layer.options.get("stable", True)
    mask = np.broadcast_to(_mask(layer, x.shape[1:]), x.shape)
    if stable:
        rows = zip(x.reshape(-1, x.shape[-1]), mask.reshape(-1, x.shape[-1]), strict=True)
        largest = [max(row[own]) for row, own in rows]
        x = np.asarray(np.array(largest, dtype=object).reshape(*x.shape[:-1], 1) - x)
    x = quantized(layer, "exp/iq", x)
    e = quantized(layer, "exp/oq", rounded_values(lambda v: exp(-factor * v if stable else factor * v), x))
    e = np.asarray(np.where(mask, e, 0))
    total = quantized(layer, "inv/iq", np.asarray(np.sum(e, axis=-1, keepdims=True)))
    r = quantized(layer, "inv/oq", rounded_values(lambda v: 1.0 / (v + _EPSILON), total))
    return np.asarray(e * r)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output: difference, exponentials, sum, reciprocals, products."""
    rows, mask = (*shape[:-1], 1), _mask(layer, shape)
    e, r = np.where(mask, bits_of(layer, "exp/oq", shape), 0), bits_of(layer, "inv/oq", rows)
    total = table_cost(bits_of(layer, "exp/iq", shape), e) + table_cost(bits_of(layer, "inv/iq", rows), r)
    total += ADD * int(np.sum(e) - np.sum(np.min(e, axis=-1)))
    total += int(np.sum(e * r))
    if "iq" in layer.quantizers and layer.options.get("stable", True):
        # Of a number and the largest of its row, the difference is as wide as the wider one, the largest.
        bits = np.where(mask, bits_of(layer, "iq", shape), 0)
        total += ADD * int(np.sum(np.where(mask, np.max(bits, axis=-1, keepdims=True), 0)))
    built, instances = layer.options.get("parallelization_factor", -1), prod(shape[:-1])
    return total * (Fraction(1) if built == -1 else Fraction(built, instances)), shape
