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


def _axes(layer: Layer, rank: int) -> tuple[int, ...]:
    """Normalised axes of data without the batch axis."""
    return tuple(sorted(axis % rank for axis in layer.options.get("axes", (-1,))))


def _flat(x: Array, axes: tuple[int, ...]) -> Array:
    """The array with these axes at the end, as one."""
    others = tuple(axis for axis in range(x.ndim) if axis not in axes)
    return x.transpose(*others, *axes).reshape(*(x.shape[axis] for axis in others), -1)


def _back(y: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """The inverse of `_flat`."""
    order = (*(axis for axis in range(len(shape)) if axis not in axes), *axes)
    return y.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


def _mask(layer: Layer, shape: tuple[int, ...]) -> Array:
    """Which elements take part."""
    return np.broadcast_to(np.asarray(layer.options.get("mask", True), bool), shape)


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Vector by vector: exponentials times the reciprocal of their sum, over the elements of the mask."""
    shape, factor = inputs[0].shape, layer.options.get("input_scaler", 1.0)
    axes = tuple(axis + 1 for axis in _axes(layer, len(shape) - 1))
    stable = layer.options.get("stable", True)
    x, mask = _flat(inputs[0], axes), _flat(np.broadcast_to(_mask(layer, shape[1:]), shape), axes)
    if stable:
        rows = zip(x.reshape(-1, x.shape[-1]), mask.reshape(-1, x.shape[-1]), strict=True)
        largest = [max(row[own]) for row, own in rows]
        x = np.asarray(np.array(largest, dtype=object).reshape(*x.shape[:-1], 1) - x)
    x = quantized(layer, "exp/iq", x)
    e = quantized(layer, "exp/oq", rounded_values(lambda v: exp(-factor * v if stable else factor * v), x))
    e = np.asarray(np.where(mask, e, 0))
    total = quantized(layer, "inv/iq", np.asarray(np.sum(e, axis=-1, keepdims=True)))
    r = quantized(layer, "inv/oq", rounded_values(lambda v: 1.0 / (v + _EPSILON), total))
    return _back(np.asarray(e * r), shape, axes)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output: difference, exponentials, sum, reciprocals, products."""
    axes = _axes(layer, len(shape))
    mask = _flat(_mask(layer, shape), axes)
    rows = (*mask.shape[:-1], 1)
    e, r = np.where(mask, bits_of(layer, "exp/oq", mask.shape), 0), bits_of(layer, "inv/oq", rows)
    total = table_cost(bits_of(layer, "exp/iq", mask.shape), e) + table_cost(bits_of(layer, "inv/iq", rows), r)
    total += ADD * int(np.sum(e) - np.sum(np.min(e, axis=-1)))
    total += int(np.sum(e * r))
    if "iq" in layer.quantizers and layer.options.get("stable", True):
        # Of a number and the largest of its row, the difference is as wide as the wider one, the largest.
        bits = np.where(mask, _flat(bits_of(layer, "iq", shape), axes), 0)
        total += ADD * int(np.sum(np.where(mask, np.max(bits, axis=-1, keepdims=True), 0)))
    built, instances = layer.options.get("parallelization_factor", -1), prod(rows)
    return total * (Fraction(1) if built == -1 else Fraction(built, instances)), shape
