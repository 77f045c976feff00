"""Sums over axes by their definition."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.merge import power_of_two
from hgq_core.conformance.oracle.tensors import ADD, Array, bits_of

__all__ = ["ebops", "values"]


def _cells(layer: Layer, shape: tuple[int, ...]) -> tuple[tuple[int, ...], list[list[tuple[int, ...]]]]:
    """The shape of the output, and for each of its elements, in order, the elements that it is the sum of."""
    axes = [axis + len(shape) if axis < 0 else axis for axis in layer.options["axes"]]
    keep = layer.options.get("keepdims", False)
    left = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    others = [axis for axis in range(len(shape)) if axis not in axes]
    cells = [[at for at in np.ndindex(shape) if all(at[n] == where[n] for n in others)] for where in np.ndindex(left)]
    return left if keep else tuple(n for axis, n in enumerate(shape) if axis not in axes), cells


def _scale(layer: Layer, shape: tuple[int, ...]) -> Fraction:
    if layer.kind == "sum":
        return Fraction(layer.options.get("scale", 1.0))
    return power_of_two(prod(shape[axis] for axis in layer.options["axes"]))


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Cell by cell."""
    (x,) = inputs
    shape, cells = _cells(layer, x.shape[1:])
    rows = [[sum((row[at] for at in cell), Fraction(0)) * _scale(layer, x.shape[1:]) for cell in cells] for row in x]
    return np.array(rows, dtype=object).reshape(len(x), *shape)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output: all bits but those of the narrowest element of each sum."""
    bits = bits_of(layer, "iq", shape)
    out, cells = _cells(layer, shape)
    total = sum(sum(int(bits[at]) for at in cell) - min(int(bits[at]) for at in cell) for cell in cells)
    return ADD * total, out
